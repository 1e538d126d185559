"""Gas of the HTLC contract, read from receipts on a fresh anvil: `python -m bench.gas`.

Every row starts from the same snapshot, so none depends on another, and anybody can measure it again to the unit:
accounts, clock, preimages and amounts are fixed, and chosen without zero bytes, since those are the cheap ones. The
token is OpenZeppelin's plain ERC-20; payees and contract already hold some, and the allowance is exact.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import count, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from swapd.devnet.anvil import Anvil
from tests.contract import rig
from tests.contract.operations import Operations
from tests.contract.rig import ETH, Chain, Terms

RESULT = Path(__file__).parent / "results/gas.json"
TOKEN = Path(rig.__file__).parent / "tokens/PlainToken.sol"

START, FUND_BY, TIMELOCK = 0x6B495A5A, 0x6B496A6A, 0x6B4A5A5A  # Unix seconds: about 1 h to fund, 18 h to claim
AMOUNT = 123_456_789_012_345_678  # wei, or the token's smallest unit: eight bytes
BATCH = 10

PEERS = {
    "eth_lock": ("Boltz", 47_585),
    "eth_claim": ("Boltz", 32_424),
    "eth_refund": ("Boltz", 31_583),
    "erc20_lock": ("Boltz", 65_231),
    "erc20_claim": ("Boltz", 41_876),
    "erc20_refund": ("Boltz", 41_068),
    "batch_lock_per_extra": ("dcrdex V1", 29_767),
    "batch_claim_per_extra": ("dcrdex V1", 13_453),
}

Rows = dict[str, int]


def preimages() -> Iterator[bytes]:
    """32 bytes each, without zero bytes in them or in their hashes."""
    for number in count():
        preimage = sha256(b"gas %d" % number).digest()
        if 0 not in preimage + sha256(preimage).digest():
            yield preimage


def single(do: Operations, terms: Terms) -> Rows:
    """A lock of one asset, and each way to end it: by its payee, by somebody else, and while fundBy lasts."""
    ends: dict[str, Callable[[], Any]] = {
        "claim": lambda: do.claim(terms, at=FUND_BY + 1, by=terms.receiver),
        "claim_by_third_party": lambda: do.claim(terms, at=FUND_BY + 1),
        "claim_before_fund_by": lambda: do.claim(terms, at=FUND_BY, by=terms.receiver),
        "refund": lambda: do.refund(terms, at=TIMELOCK, by=terms.sender),
        "refund_by_third_party": lambda: do.refund(terms, at=TIMELOCK),
    }
    rows: Rows = {}
    for name, end in ends.items():
        with undone(do.chain):
            rows["lock"] = do.lock(terms)["gasUsed"]
            rows[name] = end()["gasUsed"]
    return rows


def batch(do: Operations, locks: Sequence[Terms]) -> Rows:
    """Batches of one and of all; what each extra swap adds, rounded up."""
    claims = {"batch_claim": FUND_BY + 1, "batch_claim_before_fund_by": FUND_BY}
    rows: Rows = {}
    for name, time in claims.items():
        for size in (1, BATCH):
            with undone(do.chain):
                rows[f"batch_lock_{size}"] = do.batch_lock(locks[:size])["gasUsed"]
                rows[f"{name}_{size}"] = do.batch_claim(locks[:size], at=time, by=do.chain.receiver)["gasUsed"]
    for name in ("batch_lock", *claims):
        extra = rows[f"{name}_{BATCH}"] - rows.pop(f"{name}_1")
        rows[f"{name}_per_extra"] = -(-extra // (BATCH - 1))
    return rows


@contextmanager
def undone(chain: Chain) -> Iterator[None]:
    """What happens inside is taken back."""
    snapshot = chain.rpc("evm_snapshot")
    yield
    assert chain.rpc("evm_revert", snapshot)


def measure(url: str) -> Rows:
    """All rows, on an anvil whose first block is at START."""
    chain = Chain(url)
    do = Operations(chain, chain.deploy(rig.htlc_artifact()))
    token = chain.deploy(rig.compiled(TOKEN)["PlainToken"])
    for holder in (chain.sender, chain.receiver, do.htlc.address):
        chain.send(token.functions.mint(holder, 10**24), chain.deployer)
    chain.send(token.functions.approve(do.htlc.address, AMOUNT), chain.sender)

    secrets = islice(preimages(), BATCH)
    locks = [Terms(each, ETH, AMOUNT, chain.sender, chain.receiver, FUND_BY, TIMELOCK) for each in secrets]
    # ETH of somebody else's, so that no row empties the contract
    do.lock(replace(locks[0], sender=chain.other))
    rows: Rows = {}
    for asset, address in {"eth": ETH, "erc20": token.address}.items():
        rows |= {f"{asset}_{name}": gas for name, gas in single(do, replace(locks[0], token=address)).items()}
    return rows | batch(do, locks)


def table(rows: Rows) -> Table:
    """The rows that a peer has too, then the others."""
    shown = Table("row", title="Gas used, beside the best measured elsewhere")
    for heading in ("gas", "best peer", "ratio"):
        shown.add_column(heading, justify="right")
    for name, (peer, gas) in PEERS.items():
        colour = "green" if rows[name] <= gas else "red"
        shown.add_row(name, f"{rows[name]:,}", f"{peer} {gas:,}", f"[{colour}]{rows[name] / gas:.3f}")
    for name in (row for row in rows if row not in PEERS):
        shown.add_row(f"[dim]{name}", f"[dim]{rows[name]:,}")
    return shown


async def measured() -> Rows:
    """All rows, by the rules that the contract is compiled for, whatever newer ones anvil knows."""
    async with Anvil(options=("--timestamp", str(START), "--hardfork", "prague")) as node:
        return await asyncio.to_thread(measure, node.rpc_url)


def main() -> None:
    rows = asyncio.run(measured())
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=2) + "\n")
    Console().print(table(rows))


if __name__ == "__main__":
    main()
