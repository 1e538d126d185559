"""Questions to the mempool about one transaction."""

from __future__ import annotations

from swapd.chains.bitcoin.blocks import absent, satoshi
from swapd.chains.bitcoin.fees import Rival
from swapd.chains.bitcoin.rpc import Call, Rpc
from swapd.chains.words import quoted
from swapd.errors import Rejected

_KNOWN = ("txn-already-in-mempool", "txn-already-known")


async def simulate(rpc: Rpc, raw: bytes) -> None:
    """Refuse (Rejected) what the node would not take, without sending it anywhere."""
    verdict = (await rpc.call("testmempoolaccept", [raw.hex()], 0))[0]
    if verdict["allowed"] or verdict["reject-reason"] in _KNOWN:
        return
    words = quoted(str(verdict["reject-reason"]))
    if words == "non-final":
        raise Rejected("the chain's median time has not passed the timelock yet (non-final)")
    raise Rejected(f"the node would not take it: {words}")


async def rival_of(rpc: Rpc, txid: str) -> Rival:
    """A transaction in the mempool, with everything that hangs on it."""
    entry = (await rpc.batch([Call("getmempoolentry", (txid,))]))[0]
    if absent(entry):
        return Rival(0, 0)  # it left meanwhile
    own = satoshi(entry["fees"]["modified"])
    return Rival(satoshi(entry["fees"]["descendant"]), -(-own // int(entry["vsize"])))
