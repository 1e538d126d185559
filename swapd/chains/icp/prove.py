"""What shows a leg to somebody who believes nobody but the network: the very bytes that `view` believes."""

from __future__ import annotations

from swapd.chains.base import WatchedLeg
from swapd.chains.icp.canister import SwapCanister
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import EscrowTerms
from swapd.chains.icp.principal import text

MOST_CHARACTERS = 200_000
"""Of hex. They take some 10,000; but a node can put things into an answer that nobody signs, and nobody minds."""


async def prove(canister: SwapCanister, watched: WatchedLeg) -> dict[str, str]:
    """See `Proves.prove`. Checked before it is given away. A secret is in it only if the canister shows it to all."""
    swap_id = canister.escrow.id_of(EscrowTerms.of(watched.leg.terms))
    proven = await canister.proven(swap_id)
    if proven is None:
        return {}
    if 2 * (len(proven.certificate) + len(proven.witness)) > MOST_CHARACTERS:
        raise Untrusted("the proof of a swap is far longer than one is")
    return {
        "canister": text(canister.principal),
        "swap_id": swap_id.hex(),
        "certificate": proven.certificate.hex(),
        "witness": proven.witness.hex(),
        "root_key": canister.agent.root_key.hex(),
    }
