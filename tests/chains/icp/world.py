"""A replica with a ledger and the swap canister on it, swapd's adapter looking at it over HTTP, and other people."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swapd.chains.base import Cursor, SignedTx, WatchedLeg
from swapd.chains.icp import candid, interface
from swapd.chains.icp.act import IcpDraft
from swapd.chains.icp.candid.types import Blob, Nat, Nat8, Nat64, Null, Principal, Record, Text, Tuple, Variant, Vec
from swapd.chains.icp.canister import COMPLETE, INITIATE, REFUND, SwapCanister, swap_of
from swapd.chains.icp.chain import IcpChain
from swapd.chains.icp.escrow import Escrow, EscrowTerms, Swap
from swapd.chains.icp.ledger import APPROVE, candid_account
from swapd.chains.icp.principal import Account, text
from swapd.chains.icp.settings import IcpSettings
from swapd.devnet.canisters import built
from swapd.devnet.replica import Replica
from swapd.devnet.replica.certificates import Delegated
from swapd.devnet.replica.server import application
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegView
from swapd.protocol.terms import Leg, LegTerms, Role, Wallet
from swapd.vault.derivation import Network
from swapd.vault.secret import Secret
from swapd.vault.vault import Vault
from tests.chains.icp.proxy import Proxy
from tests.chains.icp.serving import served

FEE = 10_000
ICP = 10**8
DAY = 86_400
NS = 10**9
PREIMAGE = bytes(range(1, 33))
DEPLOYER = b"\x11" * 28 + b"\x02"
ALICE = Account(b"\xaa" * 28 + b"\x02")
BOB = Account(b"\xbb" * 28 + b"\x02", b"\x07" * 32)

LEDGER_INIT = Record(
    {
        "symbol": Text,
        "name": Text,
        "decimals": Nat8,
        "fee": Nat,
        "minting_account": interface.Account,
        "initial": Vec(Tuple(interface.Account, Nat)),
    }
)
CONFIG = Record(
    {
        "arbiter": Principal,
        "ledgers": Vec(Principal),
        "min_timelock": Nat64,
        "max_timelock": Nat64,
        "marketplaces": Vec(Principal),
        "coordinators": Vec(Principal),
        "limits": Record({"open_swaps_per_caller": Nat, "initiates_per_minute": Nat, "requests_per_minute": Nat}),
        "min_cycles": Nat,
        "sweep_seconds": Nat64,
    }
)
FAULT = Variant({"Err": Variant({"TemporarilyUnavailable": Null}), "RejectAfter": Null, "RejectBefore": Null})

SETTINGS: dict[str, Any] = {
    "enabled": True,
    "poll_seconds": 0.05,
    "timeout_seconds": 5,
    "timing": {
        "arrival": "fixed",
        "block_seconds": 1,
        "missed_share": 0,
        "inclusion": 600,
        "clock_ahead": 60,
        "clock_behind": 150,
        "funding_window": 2400,
        "outage": 3600,
    },
    "network": "local",
    "module_hashes": [],
    "more_api_urls": [],
    "marketplaces": [],
    "certificate_age": 90,
    "request_seconds": 120,
    "most_blocks": 100,
    "ledger_fees": {"ICP": FEE},
}


@dataclass
class World:
    replica: Replica
    proxy: Proxy
    vault: Vault
    chain: IcpChain
    settings: IcpSettings
    ledger: bytes
    canister: bytes
    start: int
    """The replica's time when the test began, Unix seconds."""
    numbers: list[int] = field(default_factory=lambda: [0])

    @property
    def own(self) -> Account:
        return Account(self.vault.icp_principal)

    @property
    def escrow(self) -> Escrow:
        return Escrow(self.canister)

    @property
    def now(self) -> int:
        return self.replica.now_ns // NS

    # -- legs

    def terms(self, **changes: Any) -> LegTerms:
        """Of a leg that swapd funds and Bob may claim: 1 ICP, an hour to fund, refund after a day."""
        return replace(
            LegTerms(
                asset=self.chain.assets["ICP"],
                amount=ICP,
                hashlock=hashlib.sha256(changes.pop("preimage", PREIMAGE)).digest(),
                sender=self.own.text,
                receiver=BOB.text,
                timelock=self.start + DAY,
                fund_by=self.start + 3_600,
            ),
            **changes,
        )

    def leg(self, *, birth: int = 0, swap_id: str = "one", **changes: Any) -> WatchedLeg:
        terms = self.terms(**changes)
        own = self.own.text
        leg = Leg(
            role=Role.PARTICIPANT,
            terms=terms,
            funded_by=Wallet.HOT if terms.sender == own else Wallet.EXTERNAL,
            claimed_by=Wallet.HOT if terms.receiver == own else Wallet.EXTERNAL,
            pay_to=terms.receiver,
            refund_to=terms.sender,
            claim_by_swapd=True,
            refund_by_swapd=True,
            claim_waived=False,
            confirmations=1,
            lock_by=terms.fund_by,
        )
        return WatchedLeg(swap_id, 0, leg, birth)

    # -- acting as swapd

    async def draft(
        self,
        kind: EffectKind,
        leg: WatchedLeg,
        sent: Sequence[SignedTx] = (),
        *,
        secret: bytes | None = None,
        reveals: bool = False,
    ) -> IcpDraft | None:
        effect = Effect(kind, leg.leg.role, self.now + 600, reveals=reveals)
        return await self.chain.draft(effect, leg, secret, sent, self.now)

    async def sign(self, kind: EffectKind, leg: WatchedLeg, sent: Sequence[SignedTx] = (), **how: Any) -> SignedTx:
        draft = await self.draft(kind, leg, sent, **how)
        assert draft is not None
        return draft.sign(None)

    async def send(self, kind: EffectKind, leg: WatchedLeg, sent: Sequence[SignedTx] = (), **how: Any) -> SignedTx:
        """Draft, sign, broadcast, and wait until it was carried out."""
        tx = await self.sign(kind, leg, sent, **how)
        await self.chain.broadcast(tx)
        self.replica.settle()
        return tx

    async def lock(self, leg: WatchedLeg) -> list[SignedTx]:
        """Approval and lock by swapd."""
        approval = await self.send(EffectKind.LOCK, leg)
        return [approval, await self.send(EffectKind.LOCK, leg, [approval])]

    # -- acting as somebody else

    def call(self, sender: bytes, canister: bytes, method: str, type_: Any, value: object) -> bytes:
        return self.replica.update(canister, method, candid.encode(type_, value), sender)

    def approve_by(self, sender: Account, terms: LegTerms) -> None:
        escrow_terms = EscrowTerms.of(terms)
        swap_canister: Any = SwapCanister(None, self.escrow)  # type: ignore[arg-type]
        args = swap_canister.approve_args(escrow_terms, FEE, self.replica.now_ns)
        reply = self.call(sender.owner, self.ledger, APPROVE, interface.ApproveArgs, args)
        assert "Ok" in candid.decode(interface.ApproveResult, reply)

    def initiate_by(self, sender: Account, terms: LegTerms, **changes: Any) -> dict[str, Any]:
        """The canister's answer."""
        swap_canister: Any = SwapCanister(None, self.escrow)  # type: ignore[arg-type]
        args = swap_canister.initiate_args(EscrowTerms.of(terms), FEE) | changes
        reply = self.call(sender.owner, self.canister, INITIATE, interface.InitiateArgs, args)
        answer: dict[str, Any] = candid.decode(interface.SwapResult, reply)
        return answer

    def lock_by(self, sender: Account, terms: LegTerms) -> Swap:
        """Somebody's lock with a wallet of his own, terms and all."""
        terms = replace(terms, sender=sender.text)
        self.approve_by(sender, terms)
        return swap_of(self.initiate_by(sender, terms)["Ok"])

    def complete_by(self, sender: Account, swap_id: bytes, secret: bytes = PREIMAGE) -> dict[str, Any]:
        reply = self.call(
            sender.owner, self.canister, COMPLETE, interface.CompleteArgs, {"id": swap_id, "secret": secret}
        )
        answer: dict[str, Any] = candid.decode(interface.SwapResult, reply)
        return answer

    def refund_by(self, sender: Account, swap_id: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = candid.decode(
            interface.SwapResult, self.call(sender.owner, self.canister, REFUND, Blob, swap_id)
        )
        return answer

    def sweep_but_once_a_day(self) -> None:
        """For what has to be due without the canister's own timer being first."""
        config = {**config_of(self.ledger, self.own.owner), "sweep_seconds": DAY}
        self.call(DEPLOYER, self.canister, "configure", CONFIG, config)

    def restore(self, folder: Path) -> None:
        """Everything on the subnet as it was when it was saved there, but for the time."""
        now = self.replica.now_ns
        self.replica._begin(Replica.load(folder).state)
        self.replica.clock.advance(max(0, now - self.replica.now_ns) / NS + 1)

    def misbehave(self, method: str, *faults: dict[str, Any]) -> None:
        """What the ledger does with the next calls of a method."""
        plan = {"method": method, "account": None, "faults": list(faults)}
        type_ = Record({"method": Text, "account": interface.Opt(interface.Account), "faults": Vec(FAULT)})
        self.call(DEPLOYER, self.ledger, "misbehave", type_, plan)

    # -- looking

    async def view(self, leg: WatchedLeg) -> LegView:
        return await self.chain.view(leg)

    async def cursor(self) -> Cursor:
        return (await self.chain.scan(None, [])).cursor

    def swap_id(self, leg: WatchedLeg) -> bytes:
        return self.escrow.id_of(EscrowTerms.of(leg.leg.terms))

    def balance(self, account: Account) -> int:
        arg = candid.encode(interface.Account, candid_account(account))
        return int(candid.decode(Nat, self.replica.query(self.ledger, "icrc1_balance_of", arg, DEPLOYER)))

    @asynccontextmanager
    async def another_chain(self, now_ns: Callable[[], int] | None = None, **changes: Any) -> AsyncIterator[IcpChain]:
        """The same chain seen with other settings, or by another clock."""
        settings = self.settings.model_copy(update=changes)
        chain = IcpChain("icp", settings, self.vault, now_ns or self._now_ns)
        try:
            yield chain
        finally:
            await chain.close()

    def _now_ns(self) -> int:
        return self.replica.now_ns


def config_of(ledger: bytes, coordinator: bytes) -> dict[str, Any]:
    return {
        "arbiter": DEPLOYER,
        "ledgers": [ledger],
        "min_timelock": 60 * NS,
        "max_timelock": 30 * DAY * NS,
        "marketplaces": [],
        "coordinators": [coordinator],
        "limits": {"open_swaps_per_caller": 100, "initiates_per_minute": 100, "requests_per_minute": 100},
        "min_cycles": 10**12,
        "sweep_seconds": 60,
    }


def deploy(replica: Replica, own: bytes) -> tuple[bytes, bytes]:
    """Ledger and swap canister; swapd, Alice and Bob have money."""
    ledger = replica.create_canister(DEPLOYER)
    rich = [(candid_account(account), 1_000 * ICP) for account in (Account(own), ALICE, BOB)]
    init = {
        "symbol": "ICP",
        "name": "Internet Computer",
        "decimals": 8,
        "fee": FEE,
        "minting_account": candid_account(Account(DEPLOYER)),
        "initial": rich,
    }
    replica.install(ledger, built("devnet_ledger").wasm, candid.encode(LEDGER_INIT, init), DEPLOYER)
    canister = replica.create_canister(DEPLOYER)
    replica.install(canister, built("atomic_swap").wasm, candid.encode(CONFIG, config_of(ledger, own)), DEPLOYER)
    replica.settle()
    return ledger, canister


@asynccontextmanager
async def new_world(folder: Path, *, delegated: Delegated = "none", **changes: Any) -> AsyncIterator[World]:
    replica = Replica(delegated=delegated)
    vault = Vault(Secret(bytes(32)), Network.DEVNET)
    ledger, canister = deploy(replica, vault.icp_principal)
    async with served(application(replica, folder)) as url, Proxy(url) as proxy:
        its = IcpSettings.model_validate(
            {
                **SETTINGS,
                "api_url": proxy.url,
                "root_key": replica.root_key.hex(),
                "canister": text(canister),
                "assets": {
                    "ICP": {
                        "token": text(ledger),
                        "decimals": 8,
                        "minimum": 1,
                        "maximum": "1_000_000_000_000",
                        "tiers": [{"confirmations": 1}],
                    }
                },
                **changes,
            }
        )
        chain = IcpChain("icp", its, vault, lambda: replica.now_ns)
        try:
            await chain.start()
            yield World(replica, proxy, vault, chain, its, ledger, canister, replica.now_ns // NS)
        finally:
            await chain.close()
            vault.close()
