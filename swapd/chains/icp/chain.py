"""The adapter: `HtlcChain` for the Internet Computer. It connects the other files and keeps the connection alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from swapd.chains.abilities import Clues, ConsentRequest, Submitted, Trace
from swapd.chains.base import (
    ChainClock,
    Cursor,
    Fate,
    Health,
    Instructions,
    Party,
    Scan,
    Sighting,
    SignedTx,
    Tip,
    WatchedLeg,
)
from swapd.chains.calls import Observer
from swapd.chains.icp import cooperate, handover, people
from swapd.chains.icp.act import Actor, IcpDraft
from swapd.chains.icp.agent import Agent
from swapd.chains.icp.board import Board
from swapd.chains.icp.canister import SwapCanister
from swapd.chains.icp.certificate import MAINNET_ROOT_KEY
from swapd.chains.icp.discover import Discovery
from swapd.chains.icp.envelope import Signer
from swapd.chains.icp.escrow import NANOSECONDS, Escrow, EscrowTerms
from swapd.chains.icp.examine import Examiner
from swapd.chains.icp.ledger import Ledger
from swapd.chains.icp.log import Log
from swapd.chains.icp.principal import ANONYMOUS, Account, parse
from swapd.chains.icp.program import Program
from swapd.chains.icp.prove import prove
from swapd.chains.icp.settings import IcpSettings
from swapd.chains.icp.view import view
from swapd.chains.icp.watch import Watcher
from swapd.errors import Invalid
from swapd.protocol.effects import Effect
from swapd.protocol.observation import LegView
from swapd.protocol.terms import Asset, Leg, LegTerms, Wallet


class IcpChain:
    """The swap canister, its ledgers, and the vault's principal. See `HtlcChain` for each method."""

    def __init__(
        self, name: str, settings: IcpSettings, signer: Signer, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.name = name
        self.assets: Mapping[str, Asset] = settings.asset_table(name)
        self._ledgers = {
            symbol: parse(f"chains.{name}.assets.{symbol}.token", asset.token) for symbol, asset in self.assets.items()
        }
        self._settings = settings
        self._now_ns = now_ns
        self._own = Account(signer.icp_principal)
        self._agent = Agent(
            settings.api_url,
            signer,
            root_key=bytes.fromhex(settings.root_key) or MAINNET_ROOT_KEY,
            timeout=settings.timeout_seconds,
            max_age=settings.certificate_age,
            now_ns=now_ns,
            more_urls=settings.more_api_urls,
        )
        principal = parse(f"chains.{name}.canister", settings.canister) if settings.canister else ANONYMOUS
        self._canister = SwapCanister(self._agent, Escrow(principal))
        self._program = Program(self._agent, principal, frozenset(map(bytes.fromhex, settings.module_hashes)))
        self._watcher = Watcher(
            self._canister, most_blocks=settings.most_blocks, beat=math.ceil(settings.timing.block_seconds)
        )
        self._actor = Actor(
            self._agent,
            self._canister,
            own=self._own.owner,
            fees={self._ledgers[symbol]: fee for symbol, fee in settings.ledger_fees.items()},
            program=self._program,
            request_seconds=settings.request_seconds,
        )
        listed = [parse(f"chains.{name}.marketplaces", each) for each in settings.marketplaces]
        log = Log(self._canister, settings.most_blocks)
        self.board = Board(principal, self._watcher, log, self._actor, listed) if listed else None

    def observe(self, observer: Observer) -> None:
        self._agent.observe(observer)

    @property
    def holding(self) -> Mapping[str, int]:
        """What is wrong here is told by errors alone."""
        return {}

    @property
    def in_order(self) -> bool:
        """Requests do not wait for each other."""
        return False

    @property
    def takes_locks_once(self) -> bool:
        """The canister takes a lock by its initiator and nonce."""
        return True

    @property
    def sees_all(self) -> bool:
        """The canister remembers every swap by its id."""
        return True

    async def start(self) -> None:
        if not self._settings.canister:
            raise Invalid(f"chains.{self.name}.canister", "", "the principal of the swap canister: docs/canister.md")
        await self._watcher.tip()  # with the wrong root key, or no canister there, this says so

    async def resume(self, signed: Sequence[SignedTx]) -> None:
        """Nothing is reserved here: requests use up neither coins nor a nonce that others wait for."""

    async def close(self) -> None:
        await self._agent.close()

    async def examine(self, now: int | None = None) -> Sequence[Health]:
        examiner = Examiner(self.name, self._agent, self._canister, self._own, self._settings, self.assets)
        return await examiner.examine(self._now_ns() if now is None else now * NANOSECONDS)

    async def clock(self) -> ChainClock:
        """Certified time: the canister compares with that of the message, which comes later."""
        tip = await self._watcher.tip()
        seconds = tip.time_ns // NANOSECONDS
        return ChainClock(Tip(tip.length, tip.hash.hex(), seconds), seconds)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def scan(self, cursor: Cursor | None, legs: Sequence[WatchedLeg]) -> Scan:
        return await self._watcher.scan(cursor, legs)

    async def rescan(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        return await self._watcher.rescan(legs)

    async def discover(self, since: int, clues: Clues, tell: Callable[[str], None]) -> Sequence[Trace]:
        tokens = {ledger: self.assets[symbol] for symbol, ledger in self._ledgers.items()}
        search = Discovery(self._canister, Log(self._canister, self._settings.most_blocks), self._own.owner, tokens)
        return await search.traces(await self._watcher.tip(), since, tell)

    async def mempool(self, legs: Sequence[WatchedLeg]) -> Sequence[Sighting]:
        """Nobody sees a request here before the subnet has taken it."""
        return ()

    async def view(self, leg: WatchedLeg) -> LegView:
        return await view(self._canister, self._program, leg)

    async def prove(self, leg: WatchedLeg) -> Mapping[str, str]:
        return await prove(self._canister, leg)

    # -- acting ----------------------------------------------------------------------------------------------------

    async def draft(
        self, effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> IcpDraft | None:
        return await self._actor.draft(effect, leg.leg.terms, preimage, sent, now, leg.note, leg.consent)

    def prepares(self, tx: SignedTx) -> bool:
        return self._actor.prepares(tx)

    async def void(self, sent: Sequence[SignedTx], *, out: bool = True) -> None:
        """A request that is not wanted any more ends by itself, and so does an approval: the canister takes no money
        after fund_by."""

    async def broadcast(self, tx: SignedTx) -> None:
        await self._actor.broadcast(tx)

    async def fate(self, tx: SignedTx) -> Fate:
        return await self._actor.fate(tx)

    # -- what others sign ------------------------------------------------------------------------------------------

    async def consent_wanted(self, leg: WatchedLeg) -> ConsentRequest:
        return cooperate.wanted(self._canister, leg.leg)

    async def check_consent(self, leg: WatchedLeg, consent: bytes) -> None:
        cooperate.check(self._own.owner, leg.leg, consent)

    async def own_consent(self, leg: WatchedLeg) -> bytes:
        return cooperate.own_consent(self._own.owner, leg.leg)

    async def claim_for_owner(self, leg: WatchedLeg, preimage: bytes | None = None) -> Instructions:
        return handover.claim(self._canister, leg.leg, preimage)

    async def refund_for_owner(self, leg: WatchedLeg) -> Instructions:
        return handover.refund(self._canister, leg.leg)

    async def check_signed(self, leg: WatchedLeg, raw: bytes) -> Submitted:
        return handover.submitted(self._canister, leg.leg, raw, self._agent.now_ns())

    # -- people ----------------------------------------------------------------------------------------------------

    async def party(self, field: str, text: str | None, index: int, *, sends: bool) -> Party:
        return people.party(self._canister.principal, self._own, field, text)

    def check_terms(self, leg: Leg) -> None:
        people.check_terms(self._canister.principal, self._own, self.assets, leg)

    def instructions(self, leg: Leg) -> Instructions:
        return people.instructions(self._canister, self._fee(leg), leg)

    def fingerprint(self, terms: LegTerms) -> str:
        return self._canister.escrow.id_of(EscrowTerms.of(terms)).hex()

    async def balances(self) -> Mapping[str, int]:
        return {
            symbol: await Ledger(self._agent, ledger).balance(self._own) for symbol, ledger in self._ledgers.items()
        }

    async def costs(self, leg: Leg) -> Mapping[str, int]:
        """Locking takes three ledger fees: to approve, to take, and put aside to pay out. Claims and refunds cost
        nothing, the canister pays for its own work."""
        if leg.funded_by is not Wallet.HOT:
            return {}
        return {leg.terms.asset.symbol: leg.terms.amount + 3 * self._fee(leg)}

    async def addresses(self) -> Mapping[str, str]:
        return dict.fromkeys(self.assets, self._own.text)

    def _fee(self, leg: Leg) -> int:
        return self._settings.ledger_fees[leg.terms.asset.symbol]
