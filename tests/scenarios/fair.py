"""A house with a third chain, and on it a marketplace canister that asks the house for swaps: no web server in between.

The replica's clock is that of the other chains: it moves when the test says so.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from swapd.chains.icp import candid, interface
from swapd.chains.icp.candid.types import Nat
from swapd.chains.icp.chain import IcpChain
from swapd.chains.icp.escrow import NANOSECONDS, Escrow
from swapd.chains.icp.ledger import candid_account
from swapd.chains.icp.principal import Account, text
from swapd.devnet.bitcoind import to_btc
from swapd.devnet.party import PASSPHRASE
from swapd.devnet.replica import Replica
from swapd.devnet.replica.clock import ManualClock
from swapd.devnet.replica.server import application
from swapd.protocol.status import Status
from swapd.protocol.terms import SwapTerms
from swapd.store import RequestRow, SwapRow
from swapd.vault import Vault
from swapd.vault.secret import Secret
from tests.chains.icp.market import HOT, Marketplace, allow, external, open_marketplace
from tests.chains.icp.proxy import Proxy
from tests.chains.icp.serving import served
from tests.chains.icp.world import ALICE, DEPLOYER, FEE, ICP, deploy
from tests.scenarios.chains import Chains
from tests.scenarios.side import START_SATOSHI, TIMING, Side
from tests.tables import make_tables

SATOSHI = 1_000_000
E8S = 2 * ICP
ROUNDS = 6
ENOUGH_BLOCKS = 12


class FairSide(Side):
    """A house that has a replica, too, and takes requests from a board on it."""

    replica: Replica

    async def open(self) -> None:
        def by_its_clock(name: str, settings: Any, vault: Vault) -> IcpChain:
            return IcpChain(name, settings, vault, lambda: self.replica.now_ns)

        with patch("swapd.chains.icp.chain.IcpChain", by_its_clock):
            await super().open()

    async def look(self) -> bool:
        woken = [await intake.look() for intake in self.daemon.intakes.values()]
        woken.append(await super().look())
        self.replica.settle()
        return any(woken)

    @property
    def trouble(self) -> str:
        return self.daemon.intakes["icp"].trouble

    async def forget_everything(self) -> None:
        """Its database is gone, but not its seed; nor was it recovered."""
        from swapd.store import Store

        await self.stop()
        for file in self.folder.glob("swapd.db*"):
            file.unlink()
        settings = self.settings
        await make_tables(settings.database.url)
        vault = Vault.unlock(settings.vault.key_file, Secret(PASSPHRASE.encode()), settings.daemon.network)
        with vault:
            store = await Store.open(settings.database.url, vault)
            async with store.write("operator") as writing:
                await writing.bind("seed", vault.fingerprint)
                await writing.bind("network", settings.daemon.network.value)
            await store.close()
        await self.start()


@dataclass
class Fair:
    """ledger, canister: principals. wallet: of somebody with bitcoin, who is Alice on the replica."""

    chains: Chains
    replica: Replica
    proxy: Proxy
    house: FairSide
    market: Marketplace
    own: Account
    ledger: bytes
    canister: bytes
    wallet: str

    # -- asking

    async def request(self, **changes: Any) -> dict[str, Any]:
        """Alice's bitcoin for the house's ICP."""
        back = await self.chains.bitcoind.rpc("getnewaddress", "", "bech32", wallet=self.wallet)
        asked: dict[str, Any] = {
            "give": "BTC",
            "give_amount": SATOSHI,
            "get": "ICP",
            "get_amount": E8S,
            "initiator": external(back, ALICE.text),
            "participant": HOT,
        }
        return asked | changes

    async def reverse(self) -> dict[str, Any]:
        """The house's bitcoin for Alice's ICP: the house would lock first."""
        receive = await self.chains.bitcoind.rpc("getnewaddress", "", "bech32", wallet=self.wallet)
        return {
            "give": "BTC",
            "give_amount": SATOSHI,
            "get": "ICP",
            "get_amount": E8S,
            "initiator": HOT,
            "participant": external(ALICE.text, receive),
        }

    def allow(self, *others: Marketplace, coordinators: tuple[bytes, ...] = ()) -> None:
        """What the swap canister's controllers allow."""
        markets = [market.canister for market in (self.market, *others)]
        listed = [self.own.owner, *coordinators]
        allow(self.replica, self.canister, ledger=self.ledger, marketplaces=markets, coordinators=listed)

    def answered(self, request_id: bytes) -> Any:
        """The answer that the marketplace finds; None while there is none."""
        return self.market.answer(request_id)

    def refusal(self, request_id: bytes) -> tuple[str, str]:
        answer = self.answered(request_id)
        assert answer is not None, "nobody has answered"
        return answer["Refused"]["field"], answer["Refused"]["reason"]

    # -- time

    async def settle(self) -> None:
        for _ in range(ROUNDS):
            await self.house.look()

    async def blocks(self, count: int = 1) -> None:
        for _ in range(count):
            await self.chains.blocks()
            self.catch_up()
            await self.settle()

    async def time_is(self, unix_seconds: int) -> None:
        await self.chains.time_is(unix_seconds)
        self.catch_up()
        await self.settle()

    def catch_up(self) -> None:
        self.replica.advance(self.chains.now - self.replica.now_ns / NANOSECONDS)

    async def until(self, swap_id: str, status: Status) -> SwapRow:
        for _ in range(ENOUGH_BLOCKS):
            row = await self.house.row(swap_id)
            if row.status is status:
                return row
            await self.blocks()
        row = await self.house.row(swap_id)
        assert row.status is status, f"{row.status.value}: {row.note} ({row.reason})"
        return row

    # -- looking

    async def swaps(self) -> tuple[SwapRow, ...]:
        async with self.house.house.store.read() as reading:
            return (await reading.swaps()).swaps

    async def requests(self) -> tuple[RequestRow, ...]:
        async with self.house.house.store.read() as reading:
            return (await reading.requests()).requests

    def e8s(self, account: Account) -> int:
        arg = candid.encode(interface.Account, candid_account(account))
        return int(candid.decode(Nat, self.replica.query(self.ledger, "icrc1_balance_of", arg, DEPLOYER)))

    async def satoshi(self, wallet: str) -> int:
        balance = await self.chains.bitcoind.rpc("getbalance", wallet=wallet)
        return round(balance * 10**8)

    async def pay(self, address: str, satoshi: int) -> None:
        await self.chains.bitcoind.rpc("sendtoaddress", address, to_btc(satoshi), wallet=self.wallet)

    def nothing_is_locked_for(self, terms: SwapTerms) -> bool:
        escrow = Escrow(self.canister)
        chain = self.house.house.chain("icp")
        leg = next(leg for leg in terms.legs if leg.terms.chain == "icp")
        return self.e8s(escrow.account_of(bytes.fromhex(chain.fingerprint(leg.terms)))) == 0


@asynccontextmanager
async def new_fair(chains: Chains, folder: Path) -> AsyncIterator[Fair]:
    tag = secrets.token_hex(4)
    house = FairSide("house", f"house-{tag}", folder, chains)
    await chains.blocks()
    replica = Replica(clock=ManualClock(chains.now * NANOSECONDS))
    house.replica = replica
    await house.found()
    settings = house.settings
    with Vault.unlock(settings.vault.key_file, Secret(PASSPHRASE.encode()), settings.daemon.network) as vault:
        own = Account(vault.icp_principal)
    ledger, canister = deploy(replica, own.owner)
    market = open_marketplace(replica, canister)
    wallet = await chains.bitcoind.create_wallet(f"alice-{tag}")
    target = await chains.bitcoind.rpc("getnewaddress", "", "bech32", wallet=wallet)
    await chains.bitcoind.fund(target, START_SATOSHI)
    async with served(application(replica, folder)) as url, Proxy(url) as proxy:
        house.more = {
            **{f"SWAPD__CHAINS__ICP__TIMING__{name}": str(value) for name, value in TIMING.items()},
            "SWAPD__CHAINS__ICP__ENABLED": "true",
            "SWAPD__CHAINS__ICP__NETWORK": "local",
            "SWAPD__CHAINS__ICP__API_URL": proxy.url,
            "SWAPD__CHAINS__ICP__ROOT_KEY": replica.root_key.hex(),
            "SWAPD__CHAINS__ICP__CANISTER": text(canister),
            "SWAPD__CHAINS__ICP__MARKETPLACES": f'["{market.name}"]',
            "SWAPD__CHAINS__ICP__TIMEOUT_SECONDS": "5",
            "SWAPD__CHAINS__ICP__LEDGER_FEES__ICP": str(FEE),
            "SWAPD__CHAINS__ICP__ASSETS__ICP__TOKEN": text(ledger),
        }
        fair = Fair(chains, replica, proxy, house, market, own, ledger, canister, wallet)
        fair.allow()
        try:
            await chains.blocks()
            fair.catch_up()
            await house.start()
            yield fair
        finally:
            await house.stop()
            for each in (house.wallet, wallet):  # else the node would load them all at its next start
                await chains.bitcoind.rpc("unloadwallet", each, False)
