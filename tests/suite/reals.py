"""The stages of the real nodes: bitcoind, anvil and the replica."""

from __future__ import annotations

import hashlib
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import count
from typing import Any

from swapd.chains.base import WatchedLeg
from swapd.chains.bitcoin import BitcoinChain
from swapd.protocol.terms import Wallet
from tests.chains.bitcoin.conftest import World as BitcoinWorld
from tests.chains.bitcoin.conftest import settings_for
from tests.chains.ethereum.world import World as EthereumWorld
from tests.chains.icp.world import ALICE
from tests.chains.icp.world import World as IcpWorld
from tests.suite.stage import DAY, Stage, closing, median_becomes

NOBODY = "http://127.0.0.1:9"
"""The discard port, on which nothing answers."""


class BitcoinStage(Stage):
    """swapd finds what pays to the leg's own script, and no other."""

    shows_strangers = False

    def __init__(self, world: BitcoinWorld) -> None:
        self.world, self.chain = world, world.chain
        self._latest = int(time.time())

    async def leg(self, *, ours: bool = True) -> WatchedLeg:
        leg = await self.world.leg(timelock=await self.now() + DAY)
        return leg if ours else replace(leg, leg=replace(leg.leg, funded_by=Wallet.EXTERNAL))

    def preimage(self, leg: WatchedLeg) -> bytes:
        return self.world.vault.preimage(leg.index)

    async def now(self) -> int:
        return self._latest

    async def mine(self, blocks: int = 1) -> None:
        # to a new address: a block like one that was taken back would be refused
        await self.world.node.mine(blocks, await self.world.node.rpc("getnewaddress", wallet="miner"))

    async def clock_reaches(self, time: int) -> None:
        for stamp in median_becomes(time, (await self.chain.clock()).time):
            await self.world.node.set_time(stamp)
            await self.mine()
        self._latest = time

    async def reorg(self, depth: int) -> None:
        node = self.world.node
        height, _ = await node.best()
        await node.invalidate(await node.rpc("getblockhash", height - depth + 1))
        address = await node.rpc("getnewaddress", wallet="miner")
        for _ in range(depth):
            await node.rpc("generateblock", address, [])

    async def pay(self, leg: WatchedLeg, **wrong: Any) -> None:
        amount = wrong.pop("amount", leg.leg.terms.amount)
        terms = replace(leg.leg.terms, **wrong)
        await self.world.node.fund(self.chain.fingerprint(terms), amount, confirm=False)
        await self.mine()

    def cut_off(self) -> AbstractAsyncContextManager[BitcoinChain]:
        settings = settings_for(self.world.node, self.world.wallet, rpc_url=NOBODY)
        return closing(BitcoinChain(settings, self.world.vault))


class EthereumStage(Stage):
    """swapd's own pending claim is left out of the view, so that it is followed like any other transaction."""

    shows_own = False

    def __init__(self, world: EthereumWorld) -> None:
        self.world, self.chain = world, world.chain
        self._numbers = count(1)
        self._preimages: dict[str, bytes] = {}

    async def leg(self, *, ours: bool = True) -> WatchedLeg:
        number = next(self._numbers)
        preimage = hashlib.sha256(number.to_bytes(4)).digest()
        self._preimages[f"{number}"] = preimage
        birth, _ = await self.world.node.best()
        changes = {} if ours else {"sender": self.world.alice}
        return self.world.leg(birth=birth, swap_id=f"{number}", preimage=preimage, **changes)

    def preimage(self, leg: WatchedLeg) -> bytes:
        return self._preimages[leg.swap_id]

    async def now(self) -> int:
        return (await self.chain.clock()).time

    async def mine(self, blocks: int = 1) -> None:
        await self.world.node.mine(blocks)

    async def clock_reaches(self, time: int) -> None:
        await self.world.time_is(time)

    async def reorg(self, depth: int) -> None:
        await self.world.node.reorg(depth)

    async def pay(self, leg: WatchedLeg, **wrong: Any) -> None:
        await self.world.lock_by(self.world.alice, replace(leg.leg.terms, **wrong))

    def cut_off(self) -> AbstractAsyncContextManager[Any]:
        return self.world.another_chain(rpc_url=NOBODY)


class IcpStage(Stage):
    """What the subnet has certified is final: nothing is pending, nothing can be taken back, nothing is outbid. A call
    that is too early is refused when it is carried out, and costs nothing."""

    pools = reorgs = deepens = outbids = exact = foresees = False
    sweeps = True

    def __init__(self, world: IcpWorld) -> None:
        self.world, self.chain = world, world.chain
        self._numbers = count(1)
        self._preimages: dict[str, bytes] = {}

    async def leg(self, *, ours: bool = True) -> WatchedLeg:
        number = next(self._numbers)
        preimage = hashlib.sha256(number.to_bytes(4)).digest()
        self._preimages[f"{number}"] = preimage
        changes = {} if ours else {"sender": ALICE.text}
        return self.world.leg(swap_id=f"{number}", preimage=preimage, **changes)

    def preimage(self, leg: WatchedLeg) -> bytes:
        return self._preimages[leg.swap_id]

    async def now(self) -> int:
        return self.world.now

    async def mine(self, blocks: int = 1) -> None:
        self.world.replica.advance(2 * blocks)

    async def carried_out(self) -> None:
        self.world.replica.settle()

    async def clock_reaches(self, time: int) -> None:
        self.world.replica.advance(max(0, time - self.world.now) + (1 if time > self.world.now else 0))

    async def pay(self, leg: WatchedLeg, **wrong: Any) -> None:
        self.world.lock_by(ALICE, replace(leg.leg.terms, **wrong))

    def cut_off(self) -> AbstractAsyncContextManager[Any]:
        return self.world.another_chain(api_url=NOBODY)
