"""Faults by seed: storms, in which several fall on daemons, nodes and chains at once, and calms between them.

What swapd promises, it promises within its margins. So a storm ends after a few blocks, every daemon runs then and
every node answers, and the calm after it is long enough for what was due to get into a block.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from swapd.devnet.icp import Icp
from tests.soak import proxy
from tests.soak.log import Log
from tests.soak.trader import CHAINS, FINALITY, Trader
from tests.soak.world import SoakWorld

STORM_BLOCKS = (4, 8)
"""At most eight minutes, of an outage margin of twenty."""

CALM_BLOCKS = (5, 9)
SHARE = 0.75
"""Of a storm's blocks that bring a new fault."""

SOON_SECONDS = 0.5
"""After a block, in which what follows from it is done: signals come at a moment of it."""

LONG_LOCK_SECONDS = 17.0
"""Longer than the store waits for a lock."""

LONG_LOCKS = 0.15
DEAR_WEI = 20 * 10**9
NEVER = -(10**9)
"""Satoshi by which a transaction seems to pay less, to a miner who is to leave it out."""

Undo = Callable[[], Awaitable[None]]


@dataclass
class _Fault:
    words: str
    until: int
    undo: Undo


@dataclass
class Weather:
    """counted: faults by kind. soon: signals that have to be sent during the present block. stormy: some fault is going
    on. patience: seconds that this block has to last."""

    world: SoakWorld
    traders: list[Trader]
    dice: random.Random
    log: Log
    counted: Counter[str] = field(default_factory=Counter)
    soon: list[asyncio.Task[None]] = field(default_factory=list)
    patience: float = 0.0
    _block: int = 0
    _storm_ends: int = 0
    _next_storm: int = 2
    _deck: list[str] = field(default_factory=list)
    _going: list[_Fault] = field(default_factory=list)
    _no_bitcoin_blocks: bool = False
    _no_ethereum_blocks: bool = False

    @property
    def kinds(self) -> dict[str, Callable[[], Awaitable[bool]]]:
        """Each returns whether it could be done now."""
        found: dict[str, Callable[[], Awaitable[bool]]] = {
            "SIGKILL": self._kill,
            "SIGTERM": self._terminate,
            "database locked": self._lock,
            "bitcoin reorg": self._bitcoin_reorg,
            "ethereum reorg": self._ethereum_reorg,
            "bitcoind restart": self._restart_bitcoind,
            "no bitcoin blocks": self._pause_bitcoin,
            "no ethereum blocks": self._pause_ethereum,
            "full bitcoin blocks": self._crowd_bitcoin,
            "dear ethereum gas": self._dear_ethereum,
        }
        if isinstance(self.world.icp, Icp):
            found["replica restart"] = self._restart_replica
        for kind in proxy.KINDS:
            found[f"node {kind}"] = self._node(kind)
        return found

    @property
    def stormy(self) -> bool:
        return bool(self._going)

    async def before_block(self, *, worth_it: bool) -> None:
        """End what is over, begin what the dice say. worth_it: whether there is something going on to be disturbed."""
        self._block += 1
        self.patience = 0.0
        for fault in [each for each in self._going if each.until <= self._block]:
            await self._end(fault)
        if self._block >= self._storm_ends:
            await self.clear()
            if self._block < self._next_storm or not worth_it:
                return
            self._storm_ends = self._block + self.dice.randint(*STORM_BLOCKS)
            self._next_storm = self._storm_ends + self.dice.randint(*CALM_BLOCKS)
        if self.dice.random() < SHARE:
            await self._new()

    async def blocks(self) -> None:
        """A minute passes, and each chain has a block, if it can have one now."""
        if self._no_bitcoin_blocks or self._no_ethereum_blocks:
            await self.world.minute(bitcoin=not self._no_bitcoin_blocks, ethereum=not self._no_ethereum_blocks)
        else:
            await self.world.block()

    async def clear(self) -> None:
        """All is well from now on."""
        for fault in list(self._going):
            await self._end(fault)

    async def _end(self, fault: _Fault) -> None:
        self._going.remove(fault)
        await fault.undo()
        self.log.say(f"over: {fault.words}")

    async def _new(self) -> None:
        """The next of a shuffled deck in which each kind is once, so that none is seldom."""
        kinds = self.kinds
        if not self._deck:
            self._deck = [*kinds, "SIGKILL", "SIGKILL", "SIGTERM"]  # these more often
            self.dice.shuffle(self._deck)
        kind = self._deck.pop()
        if await kinds[kind]():
            self.counted[kind] += 1

    def _lasting(self, words: str, undo: Undo) -> bool:
        until = self.dice.randint(self._block + 1, self._storm_ends)
        self._going.append(_Fault(words, until, undo))
        self.log.say(f"fault: {words}, for {until - self._block} blocks")
        return True

    # -- daemons ---------------------------------------------------------------------------------------------------

    def _victim(self) -> Trader | None:
        """Somebody who runs, and has something to lose if there is such a one."""
        running = [trader for trader in self.traders if trader.daemon.running and not trader.down]
        engaged = [trader for trader in running if trader.engaged]
        return self.dice.choice(engaged or running) if running else None

    async def _kill(self) -> bool:
        return self._signal("SIGKILL", Trader.kill)

    async def _terminate(self) -> bool:
        return self._signal("SIGTERM", Trader.terminate)

    def _signal(self, name: str, end: Callable[[Trader], Awaitable[None]]) -> bool:
        trader = self._victim()
        if trader is None:
            return False
        trader.down = True
        delay = SOON_SECONDS * self.dice.random() ** 2

        async def strike() -> None:
            await asyncio.sleep(delay)
            await end(trader)

        self.soon.append(asyncio.create_task(strike()))
        return self._lasting(f"{name} for {trader.name}, {delay:.3f} s after the block", trader.revive)

    async def _lock(self) -> bool:
        trader = self._victim()
        if trader is None or trader.disturbed:
            return False
        try:
            trader.lock()
        except sqlite3.OperationalError:
            return False

        async def unlock() -> None:
            trader.unlock()

        if self.dice.random() < LONG_LOCKS:
            self.patience = LONG_LOCK_SECONDS
        return self._lasting(f"database of {trader.name} locked, {self.patience:g} s at the least", unlock)

    # -- nodes -----------------------------------------------------------------------------------------------------

    def _node(self, kind: str) -> Callable[[], Awaitable[bool]]:
        async def fail() -> bool:
            trader, chain = self._victim(), self.dice.choice(CHAINS)
            if trader is None or trader.nodes[chain].fault:
                return False
            node = trader.nodes[chain]
            await node.set(kind)
            return self._lasting(f"node {kind}: {chain} of {trader.name}", lambda: node.set(""))

        return fail

    async def _restart_bitcoind(self) -> bool:
        self.log.say("fault: bitcoind restart")
        await self.world.bitcoind.restart()
        return True

    async def _restart_replica(self) -> bool:
        self.log.say("fault: replica restart")
        await self.world.restart_icp()
        return True

    # -- chains ----------------------------------------------------------------------------------------------------

    async def _bitcoin_reorg(self) -> bool:
        """What was in the blocks that are gone waits in the mempool, or is in the new ones at once."""
        depth, left_out = self.dice.randint(1, FINALITY - 1), self.dice.random() < 0.5
        self.log.say(f"fault: bitcoin reorg of {depth} blocks, {'empty ones' if left_out else 'others'} instead")
        node = self.world.bitcoind
        height, _ = await node.best()
        await node.invalidate(await node.rpc("getblockhash", height - depth + 1))
        waiting = await node.rpc("getrawmempool") if left_out else []
        for txid in waiting:
            await node.rpc("prioritisetransaction", txid, 0, NEVER)
        for _ in range(depth + 1):
            self.world.now += 1
            await self.world.bitcoin_block()
        for txid in waiting:
            await node.rpc("prioritisetransaction", txid, 0, -NEVER)
        return True

    async def _ethereum_reorg(self) -> bool:
        """What was in the blocks that are gone is gone, too."""
        depth = self.dice.randint(1, FINALITY - 1)
        self.log.say(f"fault: ethereum reorg of {depth} blocks")
        await self.world.anvil.reorg(depth)
        await self.world.ethereum_block()
        return True

    async def _pause_bitcoin(self) -> bool:
        if self._no_bitcoin_blocks:
            return False
        self._no_bitcoin_blocks = True

        async def go_on() -> None:
            self._no_bitcoin_blocks = False

        return self._lasting("no bitcoin blocks", go_on)

    async def _pause_ethereum(self) -> bool:
        if self._no_ethereum_blocks:
            return False
        self._no_ethereum_blocks = True

        async def go_on() -> None:
            self._no_ethereum_blocks = False

        return self._lasting("no ethereum blocks", go_on)

    async def _crowd_bitcoin(self) -> bool:
        """Blocks come, full of others' transactions."""
        if self.world.holding:
            return False
        self.world.holding = True

        async def go_on() -> None:
            self.world.holding = False

        return self._lasting("full bitcoin blocks", go_on)

    async def _dear_ethereum(self) -> bool:
        """The base fee goes up to twenty times, and down from there by an eighth each empty block."""
        self.log.say("fault: dear ethereum gas")
        await self.world.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(DEAR_WEI))
        return True
