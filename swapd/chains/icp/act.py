"""Locks, claims and refunds: signed calls to the canister, what follows them, and what became of them.

A call is a request with an id and a time until which it may be taken. It is stored before it goes, and the same bytes
are sent until it was taken or its time is over. A second request for the same thing does no harm here, since the
canister takes a lock by its nonce, a claim and a refund by the lock: what was done is not done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from swapd.chains.base import Fate, SignedTx, TxState
from swapd.chains.icp import candid, interface
from swapd.chains.icp.agent import MOST_LATE, Agent, NotSeen, Pending, RejectedCall, Replied
from swapd.chains.icp.canister import ACKNOWLEDGE, COMPLETE, INITIATE, REFUND, RESUME, SwapCanister
from swapd.chains.icp.envelope import read_call
from swapd.chains.icp.escrow import NANOSECONDS, EscrowTerms, Phase, Swap
from swapd.chains.icp.ledger import APPROVE, Ledger
from swapd.chains.icp.outcome import refusal
from swapd.chains.icp.principal import text
from swapd.chains.icp.program import UNTRUSTED_PROGRAM, Program
from swapd.chains.icp.view import FINAL
from swapd.crashpoint import crashpoint
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.terms import LegTerms

FIRST_PAUSE = 2
LONGEST_PAUSE = 300
LONGEST_PAUSE_OF_EXITS = 30
"""Seconds between two requests for the same thing when the first was refused or had no effect; doubled each time."""


@dataclass(frozen=True)
class IcpDraft:
    """See `Draft`. Nothing here is in a sequence."""

    agent: Agent
    canister: bytes
    method: str
    arg: bytes = field(repr=False)  # a claim's holds the secret
    fee: int
    now_ns: int
    lifetime_ns: int
    account: str | None = None
    floor: int = 0

    def sign(self, sequence: int | None) -> SignedTx:
        crashpoint("icp.sign.before")
        call = self.agent.sign_call(self.canister, self.method, self.arg, now_ns=self.now_ns, ttl_ns=self.lifetime_ns)
        crashpoint("icp.sign.after")
        return SignedTx(call.request_id.hex(), call.raw, self.fee, 0)


class Actor:
    """fees: of each ledger, by its principal. own: swapd's principal. request_seconds: for which a request may be
    taken."""

    def __init__(
        self,
        agent: Agent,
        canister: SwapCanister,
        *,
        own: bytes,
        fees: dict[bytes, int],
        program: Program,
        request_seconds: int,
    ) -> None:
        self._agent = agent
        self._canister = canister
        self._own = own
        self._fees = fees
        self._program = program
        self._lifetime_ns = request_seconds * NANOSECONDS

    # -- drafts ----------------------------------------------------------------------------------------------------

    async def draft(
        self,
        effect: Effect,
        leg_terms: LegTerms,
        preimage: bytes | None,
        sent: Sequence[SignedTx],
        now: int,
        note: bytes = b"",
        consent: bytes = b"",
    ) -> IcpDraft | None:
        """See `HtlcChain.draft`. note, consent: as in `WatchedLeg`.

        Nothing is simulated, and nobody but the canister is shown the secret: that a claim will do is read from
        certified state. A lock is two calls, as long as the canister may not take the money yet.
        """
        if effect.stray is not None:
            raise Invalid("stray", effect.stray, "none: the canister sends it back by itself")
        terms = EscrowTerms.of(leg_terms)
        last = await self._last(effect.kind, sent)
        if last in (TxState.PENDING, TxState.MISSING):
            return None
        swap = await self._canister.swap(self._canister.escrow.id_of(terms))
        if swap is not None and not self._canister.escrow.is_it(swap, terms):
            raise Rejected(f"the canister has other terms under the id {swap.id.hex()}")
        if effect.kind is EffectKind.LOCK:
            approved = last is TxState.MINED and self.prepares(sent[-1])
            return await self._lock(terms, swap, approved, now, note)
        if swap is None:
            raise Rejected("there is no such lock in the canister")
        if effect.kind is EffectKind.CLAIM:
            return await self._claim(terms, swap, preimage, reveals=effect.reveals)
        return await self._refund(terms, swap, consent)

    async def _last(self, kind: EffectKind, sent: Sequence[SignedTx]) -> TxState | None:
        """What became of the last request, None if there is none. Raises Rejected if it was in vain, and so lately that
        another one would be, too."""
        if not sent:
            return None
        fate, why = await self.outcome(sent[-1])
        if fate.state is TxState.FAILED:
            longest = LONGEST_PAUSE if kind is EffectKind.LOCK else LONGEST_PAUSE_OF_EXITS
            pause = min(FIRST_PAUSE * 2 ** min(len(sent), 16), longest)
            signed_at = self._agent.parse_call(sent[-1].raw).ingress_expiry_ns - self._lifetime_ns
            if self._agent.now_ns() < signed_at + pause * NANOSECONDS:
                raise Rejected(why)
        return fate.state

    def acknowledge(self, arg: bytes) -> IcpDraft:
        """The answer to a marketplace's request."""
        return self._to_canister(ACKNOWLEDGE, arg)

    async def _lock(
        self, terms: EscrowTerms, swap: Swap | None, approved: bool, now: int, note: bytes
    ) -> IcpDraft | None:
        """approved: by an approval of our own that was certified. The ledger's word alone could be a node's lie, that
        makes us approve, and pay for it, for ever."""
        if terms.sender.owner != self._own:
            raise Invalid("sender", terms.sender.text, f"an account of swapd's own principal {text(self._own)}")
        if swap is not None and swap.phase not in (Phase.CANCELLED, Phase.FUNDING):
            return None
        if swap is not None and swap.phase is Phase.FUNDING:
            return self._to_canister(RESUME, self._canister.by_id(swap.id))
        if now * NANOSECONDS > terms.fund_by:  # rule S3; the canister refuses it, too
            raise Rejected(f"it is too late to lock: fund_by was {terms.fund_by // NANOSECONDS}, it is {now}")
        await self._require_sure()
        fee = self._fees[terms.ledger]
        if approved or await self._allowance(terms) >= terms.amount + 2 * fee:
            return self._to_canister(INITIATE, self._canister.initiate(terms, fee, note), 2 * fee)
        args = self._canister.approve_args(terms, fee, self._agent.now_ns())
        return self._call(terms.ledger, APPROVE, candid.encode(interface.ApproveArgs, args), fee)

    async def _allowance(self, terms: EscrowTerms) -> int:
        spender = self._canister.escrow.account_of(self._canister.escrow.id_of(terms))
        return await Ledger(self._agent, terms.ledger).allowance(terms.sender, spender)

    async def _require_sure(self) -> None:
        """Before money or a secret goes in."""
        if not await self._program.is_trusted():
            raise Rejected(UNTRUSTED_PROGRAM)
        if self._agent.is_late:
            raise Rejected(f"this machine's clock is more than {MOST_LATE} s behind the network's")

    async def _claim(self, terms: EscrowTerms, swap: Swap, preimage: bytes | None, *, reveals: bool) -> IcpDraft | None:
        if preimage is None or not opens(preimage, terms.hashlock):
            raise Invalid("preimage", "a secret", "the one whose SHA-256 is the leg's hashlock")
        if swap.phase is Phase.CLAIMED:
            return None
        if swap.phase is Phase.CLAIMING:
            return self._to_canister(RESUME, self._canister.by_id(swap.id))
        self._require_phase(swap, Phase.LOCKED)
        if reveals:
            await self._require_sure()
        return self._to_canister(COMPLETE, self._canister.complete(swap.id, preimage))

    async def _refund(self, terms: EscrowTerms, swap: Swap, consent: bytes) -> IcpDraft | None:
        if swap.phase is Phase.REFUNDED:
            return None
        if swap.phase is Phase.REFUNDING:
            return self._to_canister(RESUME, self._canister.by_id(swap.id))
        self._require_phase(swap, Phase.LOCKED)
        # whatever the receiver calls so early is its consent: of swapd it must be meant as such
        if terms.receiver.owner == self._own != consent and (await self._canister.tip()).time_ns < terms.timelock:
            raise Rejected(f"before {terms.timelock // NANOSECONDS} it would be swapd's consent, which was not given")
        return self._to_canister(REFUND, self._canister.by_id(swap.id))

    def _require_phase(self, swap: Swap, phase: Phase) -> None:
        if swap.phase is not phase:
            words = f"the canister has it as {swap.phase.value}, not as {phase.value}"
            if swap.phase is Phase.QUARANTINED:
                words += ": its arbiter must look at the ledger, and call resolveQuarantined"
            raise Rejected(words)

    def _to_canister(self, method: str, arg: bytes, fee: int = 0) -> IcpDraft:
        return self._call(self._canister.principal, method, arg, fee)

    def _call(self, canister: bytes, method: str, arg: bytes, fee: int) -> IcpDraft:
        return IcpDraft(self._agent, canister, method, arg, fee, self._agent.now_ns(), self._lifetime_ns)

    # -- outcomes --------------------------------------------------------------------------------------------------

    async def broadcast(self, tx: SignedTx) -> None:
        """See `HtlcChain.broadcast`. The network takes the same request once, however often it comes, and whoever
        has signed it: claims and refunds of others are handed in here, too."""
        crashpoint("icp.broadcast.before")
        await self._agent.submit(read_call(tx.raw))
        crashpoint("icp.broadcast.after")

    async def fate(self, tx: SignedTx) -> Fate:
        """See `HtlcChain.fate`. Of a request that the network has forgotten, or never took in its time, nothing comes
        any more: whether it had its effect stands in the canister's state alone."""
        return (await self.outcome(tx))[0]

    async def outcome(self, tx: SignedTx) -> tuple[Fate, str]:
        """And why it had no effect, in words; "" if it had."""
        call = self._agent.parse_call(tx.raw)
        status = await self._agent.status(call)
        if isinstance(status, NotSeen):
            return Fate(TxState.MISSING), ""
        if isinstance(status, Pending):
            return Fate(TxState.PENDING), ""
        if isinstance(status, RejectedCall):
            return Fate(TxState.FAILED, FINAL, 0), f"{call.method} was rejected, code {status.code}: {status.message}"
        if isinstance(status, Replied):
            why = refusal(call.method, status.reply)
            return (Fate(TxState.MINED, FINAL, tx.fee), "") if why is None else (Fate(TxState.FAILED, FINAL, 0), why)
        return Fate(TxState.REPLACED, FINAL), ""

    def prepares(self, tx: SignedTx) -> bool:
        return self._agent.parse_call(tx.raw).method == APPROVE
