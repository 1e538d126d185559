"""All nodes of the chain as one: what is asked before something is sent, and how far an answer is believed.

With a quorum of one, the first node that answers is believed; with more, so many have to say the same before an exit is
given up, and one that says that it can go on is enough for it to go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from swapd.chains.base import Fate, SignedTx
from swapd.chains.endpoints import PATIENCE_SECONDS, Endpoints
from swapd.chains.ethereum.fate import fate_at, hand_over
from swapd.chains.ethereum.fees import Market
from swapd.chains.ethereum.node import Header, Node, Receipt
from swapd.chains.ethereum.rpc import Refusal
from swapd.chains.ethereum.transactions import Call
from swapd.chains.quorum import fate_of, middle, reached
from swapd.errors import Rejected

_R = TypeVar("_R")


class Nodes:
    """Has the names of `Node` where it is asked the same."""

    def __init__(self, endpoints: Endpoints[Node]) -> None:
        self._endpoints = endpoints

    @property
    def quorum(self) -> int:
        return self._endpoints.quorum

    async def heard(self, question: Callable[[Node], Awaitable[_R]], patience: float = PATIENCE_SECONDS) -> list[_R]:
        """What there is to weigh: one answer where one is enough, else those of all who answer in time."""
        if self.quorum == 1:
            return [await self._endpoints.first(question, patience)]
        return [answer for _, answer in await self._endpoints.every(question, patience)]

    async def tip(self) -> Header:
        return await self._endpoints.first(lambda node: node.tip(), PATIENCE_SECONDS)

    async def returned(self, call: Call, block: str = "latest") -> bytes:
        return await self._endpoints.first(lambda node: node.returned(call, block), PATIENCE_SECONDS)

    async def market(self) -> Market:
        said = await self.heard(lambda node: node.market())
        return Market(middle([each.base_fee for each in said]), middle([each.priority for each in said]))

    async def balance(self, address: str, block: str = "latest") -> int:
        return middle(await self.heard(lambda node: node.balance(address, block)))

    async def nonce(self, address: str, block: int | str) -> int:
        """One that is too high would have us leave a gap, or make a transaction again that still waits: so it takes a
        quorum to reach it."""
        return reached(await self.heard(lambda node: node.nonce(address, block)), self.quorum)

    async def receipt(self, txid: str) -> Receipt | None:
        """None too while there are not enough who say the same."""
        said = await self.heard(lambda node: node.receipt(txid))
        receipt, number = Counter(said).most_common(1)[0]
        return receipt if number >= min(self.quorum, len(said)) else None

    async def holds(self, contract: str, slot: bytes, word: int) -> bool:
        """Whether this storage word may be what it should be: unless a quorum says that it is not, or with a quorum of
        one all of them: one that is a block behind must not be what keeps an exit from going out."""
        if self.quorum == 1:

            async def right(node: Node) -> None:
                if await node.storage(contract, slot, "latest") != word:
                    raise Rejected("the storage is another one")

            try:
                await self._endpoints.first(right, PATIENCE_SECONDS)
            except Rejected:
                return False
            return True
        said = await self.heard(lambda node: node.storage(contract, slot, "latest"))
        return word in said and sum(each != word for each in said) < self.quorum

    async def estimate(self, sender: str, call: Call) -> int:
        """Raises Refusal if a quorum says that it would be reverted, or nobody that it would not."""
        if self.quorum == 1:
            return await self._endpoints.first(lambda node: node.estimate(sender, call), PATIENCE_SECONDS)
        said = await self.heard(lambda node: _estimate(node, sender, call))
        refusals = [each for each in said if isinstance(each, Refusal)]
        gas = [each for each in said if not isinstance(each, Refusal)]
        if not gas or len(refusals) >= self.quorum:
            raise refusals[0]
        return middle(gas)

    async def broadcast(self, tx: SignedTx) -> None:
        """To all of them."""
        await self._endpoints.hand_in(lambda node: hand_over(node, tx))

    async def fate(self, own: str, tx: SignedTx) -> Fate:
        said = await self.heard(lambda node: fate_at(node, own, tx))
        return said[0] if self.quorum == 1 else fate_of(said, self.quorum)


async def _estimate(node: Node, sender: str, call: Call) -> int | Refusal:
    try:
        return await node.estimate(sender, call)
    except Refusal as refusal:
        return refusal
