"""The nodes that all runs share, under a clock that the harness moves, and marketplaces on one of them."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from swapd.chains.icp import candid
from swapd.chains.icp.candid import types as t
from swapd.chains.icp.principal import parse
from swapd.devnet import icp_world
from swapd.devnet.bitcoind import to_btc
from swapd.devnet.canisters import built
from swapd.devnet.icp_world import IcpWorld, SwapConfig, purse, swap_config
from swapd.devnet.money import Coin
from tests.chains.icp.market import RESULT, SWAP_REQUEST
from tests.crash.page import Page
from tests.scenarios.chains import BLOCK_SECONDS, Chains

NANOSECONDS = 10**9


@dataclass
class World(Chains):
    """As for the scenarios, but that the clock goes on between two blocks: it is everybody's, see `Page`.

    moved_at: when the last block came (nanoseconds, monotonic). holding: Bitcoin's blocks are empty.
    """

    page: Page = field(kw_only=True)
    canisters: IcpWorld = field(init=False)
    counted: list[Coin] = field(default_factory=list)
    moved_at: int = 0
    holding: bool = False
    _icp_moved: int = 0

    async def begin(self) -> None:
        """Nodes, contract, canisters."""
        await self.start_icp()  # first: time does not move before
        await self.start()
        self.canisters = self.world()
        self.counted = [coin for coin in self.coins(self.canisters) if coin.asset.symbol != "TOK"]

    async def end(self) -> None:
        if self.counted:
            await self.canisters.close()
        await self.stop()

    # -- time ------------------------------------------------------------------------------------------------------

    async def block(self) -> None:
        """One on each chain, a minute after the last."""
        await self._clock_is(self.now + BLOCK_SECONDS)
        await asyncio.gather(self.bitcoin_block(), self.ethereum_block())
        self.moved_at = time.monotonic_ns()

    async def bitcoin_block(self) -> None:
        if not self.holding:
            await super().bitcoin_block()
            return
        await self.bitcoind.set_time(self.now)
        await self.bitcoind.rpc("generateblock", await self.bitcoind._miner(), [])

    async def reach(self, unix_seconds: int) -> None:
        """This moment, by the clocks of all chains."""
        await self._clock_is(unix_seconds)
        await super().time_is(self.now)
        self.moved_at = time.monotonic_ns()

    async def _clock_is(self, unix_seconds: int) -> None:
        """Or later, if it is later already. The replica first: it takes calls from a clock that is a little late."""
        late = unix_seconds - time.time()
        if late > 0:
            ahead = self.page.ahead + int(late * NANOSECONDS)
            await self._move_icp(ahead)
            self.page.ahead = ahead
        self.now = max(self.now, int(time.time()))

    async def _icp_time(self) -> None:
        """Called by all that moves `now` alone."""
        await self._clock_is(self.now)
        await self._move_icp(self.page.ahead)

    async def _move_icp(self, ahead: int) -> None:
        if self.icp is not None and ahead > self._icp_moved:
            await self.icp.advance((ahead - self._icp_moved) / NANOSECONDS)
            self._icp_moved = ahead

    def icp_now(self) -> int:
        return time.time_ns()

    async def pay(self, addresses: list[str], satoshi: int) -> None:
        """To each, from the miner."""
        await self.bitcoind.rpc("sendmany", "", dict.fromkeys(addresses, to_btc(satoshi)), wallet="miner")

    # -- marketplaces ----------------------------------------------------------------------------------------------

    async def open_marketplace(self) -> bytes:
        """Its principal."""
        assert self.icp is not None
        agent, place = self.canisters.agent, parse("canister", self.canisters.places.canister)
        made = await icp_world._create(self.icp, agent)
        owner = purse().icp_principal
        arg = candid.encode(t.Record({"owner": t.Principal, "swaps": t.Principal}), {"owner": owner, "swaps": place})
        await icp_world._install(agent, made, built("marketplace"), arg, {"install": None})
        return parse("marketplace", made)

    async def allow(self, marketplaces: list[bytes], coordinators: list[bytes]) -> None:
        """Who may ask, and who may answer."""
        ledgers = [parse("ledger", place) for place in self.canisters.places.ledgers.values()]
        config = swap_config(purse().icp_principal, ledgers)
        config |= {"marketplaces": marketplaces, "coordinators": coordinators}
        place = parse("canister", self.canisters.places.canister)
        reply = await self.canisters.agent.call(place, "configure", candid.encode(SwapConfig, config))
        done = candid.decode(t.Variant({"Ok": t.Null, "Err": t.Record({"message": t.Opt(t.Text)})}), reply)
        assert "Ok" in done, done

    async def ask(self, market: bytes, request: dict[str, Any]) -> None:
        """Have a marketplace ask for a swap."""
        form = t.Record({"request_id": t.Blob, "request": SWAP_REQUEST})
        arg = candid.encode(form, {"request_id": secrets.token_bytes(16), "request": request})
        told = candid.decode(RESULT, await self.canisters.agent.call(market, "sell", arg))
        assert "Ok" in told, told
