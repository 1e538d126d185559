"""Locks, claims and refunds: what is sent, what replaces it, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swapd.chains.base import Fate, SignedTx
from swapd.chains.ethereum.erc20 import allowance, approve, number
from swapd.chains.ethereum.fees import FeePolicy, Fees
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms, SlotState
from swapd.chains.ethereum.nodes import Nodes
from swapd.chains.ethereum.rpc import Refusal
from swapd.chains.ethereum.transactions import Attempt, Call, EthereumDraft, Signer, attempt_of
from swapd.crashpoint import crashpoint
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.terms import LegTerms

GAS_MARGIN_PERCENT = 25
"""On top of the estimate: payee and token may need a little more by then. What is not used is not paid."""

MOST_FOREIGN_GAS = 200_000
"""What a claim or refund may take that pays somebody else, who may be a contract that burns what it gets. Paying an
account takes 37,000, tokens 46,000, behind a proxy 30,000 more; the rest is for honest wallets that keep books.
"""

MOST_REVERTED = 3
"""Of the same kind, in blocks: a payee that takes the money in the simulation and refuses it in the block, at our cost.
"""

_LEAST_GAS = 30_000  # that anything here is sent with, the margin included
_TRANSFER_GAS = 21_000  # of a transfer to an account without code (yellow paper, G_transaction)


@dataclass(frozen=True)
class _Intent:
    """What is wanted: a call, and the approval that has to be in a block before it, if any. likewise: another call that
    has the same effect, and may have been sent before."""

    call: Call
    approval: Call | None = None
    note: bytes = b""
    likewise: Call | None = None

    def is_it(self, call: Call | None) -> bool:
        """Whether a call does this: a lock is the same whatever note it carries, or none from before there were any."""
        if call is None or (call.to, call.value) != (self.call.to, self.call.value):
            return False
        return call in (self.call, self.likewise) or (
            bool(self.note) and call.data.startswith(self.call.data.removesuffix(self.note))
        )


class Actor:
    def __init__(self, nodes: Nodes, htlc: Htlc, signer: Signer, policy: FeePolicy) -> None:
        self._nodes = nodes
        self._htlc = htlc
        self._signer = signer
        self._policy = policy
        self._fills: dict[int, list[Fees]] = {}

    @property
    def _own(self) -> str:
        return self._signer.ethereum_address

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
    ) -> EthereumDraft | None:
        """See `HtlcChain.draft`. note, consent: as in `WatchedLeg`.

        The lock of a token is two transactions: as long as the contract may not take the amount, this drafts an
        approval of exactly it. An approval that was mined is no lock yet, so ask again.

        Attempts that were mined and reverted belong into `sent` too: they are counted against a payee that is not us.
        A claim's simulation shows the node the secret. It is the very last question, and the account was found to be
        able to pay before it.
        """
        if effect.stray is not None:
            raise Invalid("stray", effect.stray, "none: anybody can refund it, with the calldata of its way back")
        terms = HtlcTerms.of(leg_terms)
        intent = self._intent(effect.kind, terms, preimage, note)
        if effect.kind is EffectKind.REFUND and consent:
            intent = await self._given_back(intent, terms, consent)
        left = effect.deadline - now
        last, open_ = attempt_of(sent[-1]) if sent else None, False
        if last is not None:
            open_, mined = await self._outcome(last.nonce, sent)
            if intent.is_it(mined):
                return None
        if effect.kind is EffectKind.LOCK:
            await self._refuse_late_lock(terms, now)
        if last is not None and open_:
            return await self._replacement(intent, last, left)
        if effect.kind is EffectKind.CLAIM:
            await self._refuse_vain_claim(terms)
        if effect.kind is EffectKind.LOCK:
            return await self._fresh(await self._next_call(intent, terms), left)
        return await self._spend(effect.kind, terms, intent.call, sent, left)

    def by_hand(self, effect: Effect, leg_terms: LegTerms, preimage: bytes | None) -> str:
        """See `ByHand`."""
        call = self._intent(effect.kind, HtlcTerms.of(leg_terms), preimage).call
        return f"to {call.to} on chain {self._htlc.chain_id}, value {call.value} wei, data 0x{call.data.hex()}"

    async def void(self, sent: Sequence[SignedTx]) -> EthereumDraft | None:
        """See `HtlcChain.void`: a transfer of nothing to ourselves, at the lowest nonce that needs one.

        Earlier voids belong into `sent` as well: one that pays too little for the market is replaced by one that pays
        more. None when each nonce is used, or has a void that is good enough.
        """
        used = await self._nodes.nonce(self._own, "latest")
        attempts = [attempt for tx in sent if (attempt := attempt_of(tx)).nonce >= used]
        if not attempts:
            return None
        market = await self._nodes.market()
        for nonce in sorted({attempt.nonce for attempt in attempts}):
            rivals = [attempt for attempt in attempts if attempt.nonce == nonce]
            outbid = self._policy.outbid_again if rivals[-1].call == self._nothing else self._policy.outbid
            fees = outbid(market, [rival.fees for rival in rivals])
            if fees is not None:
                return EthereumDraft(
                    self._signer, self._htlc.chain_id, self._nothing, _TRANSFER_GAS, fees, nonce, nonce
                )
        return None

    async def places(self) -> tuple[int, int]:
        """See `Ordered`."""
        used = await self._nodes.nonce(self._own, "latest")
        return used, max(used, await self._nodes.nonce(self._own, "pending"))

    async def fill(self, nonce: int) -> None:
        """See `Ordered`."""
        market = await self._nodes.market()
        # in memory alone: what a life before this one has sent is found out by the node's refusal of the first bid
        used = await self._nodes.nonce(self._own, "latest")
        self._fills = {place: bids for place, bids in self._fills.items() if place >= used}
        bids = self._fills.setdefault(nonce, [])
        if not bids:
            bids.append(self._policy.first(market, left=0))
        elif (better := self._policy.outbid_again(market, bids)) is not None:
            bids.append(better)
        draft = EthereumDraft(self._signer, self._htlc.chain_id, self._nothing, _TRANSFER_GAS, bids[-1], nonce, nonce)
        await self._nodes.broadcast(draft.sign(None))

    @property
    def _nothing(self) -> Call:
        return Call(self._own, 0, b"")

    def _intent(self, kind: EffectKind, terms: HtlcTerms, preimage: bytes | None, note: bytes = b"") -> _Intent:
        if kind is EffectKind.CLAIM:
            if preimage is None or not opens(preimage, terms.hashlock):
                raise Invalid("preimage", "a secret", "the one whose SHA-256 is the leg's hashlock")
            return _Intent(self._htlc.claim(terms, preimage))
        if kind is EffectKind.REFUND:
            return _Intent(self._htlc.refund(terms))
        if terms.sender != self._own:
            raise Invalid("sender", terms.sender, f"swapd's own address {self._own}: the contract takes from who calls")
        approval = approve(terms.token, self._htlc.address, terms.amount) if terms.is_token else None
        return _Intent(self._htlc.lock(terms, note), approval, note)

    async def _given_back(self, refund: _Intent, terms: HtlcTerms, consent: bytes) -> _Intent:
        """Before the timelock by the receiver's word; after it without, since nobody can take that back."""
        early = self._htlc.cooperative_refund(terms, consent)
        if (await self._nodes.tip()).time >= terms.timelock:
            return _Intent(refund.call, likewise=early)
        return _Intent(early, likewise=refund.call)

    async def _refuse_late_lock(self, terms: HtlcTerms, now: int) -> None:
        """Rule S3. The contract refuses it too; this saves the fee."""
        tip = await self._nodes.tip()
        if max(now, tip.time) > terms.fund_by:
            raise Rejected(f"it is too late to lock: fund_by was {terms.fund_by}, it is {max(now, tip.time)}")

    async def _refuse_vain_claim(self, terms: HtlcTerms) -> None:
        """Looked up before anything is simulated: a simulation shows the node the secret."""
        lock_id = self._htlc.id_of(terms)
        if not await self._nodes.holds(self._htlc.address, bytes.fromhex(lock_id[2:]), SlotState.LOCKED):
            raise Rejected(f"the claim would be reverted: NotLocked(id={lock_id})")

    async def _next_call(self, intent: _Intent, terms: HtlcTerms) -> Call:
        if intent.approval is None:
            return intent.call
        question = allowance(terms.token, self._own, self._htlc.address)
        # pending too: there another leg's lock may have used it up
        granted = [number(await self._nodes.returned(question, block)) for block in ("latest", "pending")]
        return intent.call if min(granted) >= terms.amount else intent.approval

    async def _spend(
        self, kind: EffectKind, terms: HtlcTerms, call: Call, sent: Sequence[SignedTx], left: int
    ) -> EthereumDraft:
        """A claim or refund. One that runs somebody else's code, who is paid or whose word is asked for, may be costly,
        or fail at our cost, within limits only."""
        payee = terms.receiver if kind is EffectKind.CLAIM else terms.sender
        by_word = kind is EffectKind.REFUND and call != self._htlc.refund(terms)
        if payee == self._own and not by_word:
            return await self._fresh(call, left)
        if await self._reverted(call, sent) >= MOST_REVERTED:
            raise self._left_to(payee, kind, terms, f"it was mined and reverted {MOST_REVERTED} times")
        draft = await self._fresh(call, left)
        if draft.gas > _with_margin(MOST_FOREIGN_GAS):
            raise self._left_to(payee, kind, terms, f"it would take more than {MOST_FOREIGN_GAS} gas")
        return draft

    async def _reverted(self, call: Call, sent: Sequence[SignedTx]) -> int:
        receipts = [await self._nodes.receipt(tx.txid) for tx in sent if attempt_of(tx).call == call]
        return sum(receipt is not None and not receipt.succeeded for receipt in receipts)

    def _left_to(self, payee: str, kind: EffectKind, terms: HtlcTerms, why: str) -> Rejected:
        """The calldata of a claim is given without its secret, which may not be public yet (rule S9)."""
        is_claim = kind is EffectKind.CLAIM
        call = self._htlc.claim(terms, bytes(32)) if is_claim else self._htlc.refund(terms)
        return Rejected(
            f"this {kind.value} is not sent, since {why}: somebody else's contract may not spend swapd's gas. Whoever "
            f"owns {payee} can send it from any account: to {call.to} on chain {self._htlc.chain_id}, value 0, data "
            f"0x{call.data.hex()}" + (" with the preimage in the place of its first 32 zero bytes" if is_claim else "")
        )

    async def _fresh(self, call: Call, left: int) -> EthereumDraft:
        """The simulation comes last: see `draft`."""
        fees = self._policy.first(await self._nodes.market(), left)
        floor = await self._nodes.nonce(self._own, "pending")
        balance = await self._nodes.balance(self._own)
        self._require(balance, call.value + _LEAST_GAS * fees.max_fee)
        try:
            gas = await self._nodes.estimate(self._own, call)
        except Refusal as refusal:
            reason = self._htlc.reason(refusal.data) if refusal.data else None
            raise Rejected(f"it would be reverted: {reason or refusal}") from None
        draft = EthereumDraft(self._signer, self._htlc.chain_id, call, _with_margin(gas), fees, floor)
        self._require(balance, draft.cost)
        return draft

    async def _replacement(self, intent: _Intent, last: Attempt, left: int) -> EthereumDraft | None:
        """The very same call at the same nonce, for more (rule S4)."""
        if last.call == self._nothing:
            return None  # it was voided: nothing of ours may take that nonce back
        if last.call != intent.approval and not intent.is_it(last.call):
            raise Invalid("sent", f"nonce {last.nonce}", "attempts at this very effect")
        fees = self._policy.replacement(await self._nodes.market(), left, last.fees)
        if fees is None:
            return None
        draft = EthereumDraft(
            self._signer, self._htlc.chain_id, last.call, last.gas, fees, floor=last.nonce, nonce=last.nonce
        )
        self._require(await self._nodes.balance(self._own), draft.cost)
        return draft

    def _require(self, balance: int, cost: int) -> None:
        if balance < cost:
            raise Rejected(f"{self._own} has {balance} wei, and this may take {cost}")

    # -- outcomes --------------------------------------------------------------------------------------------------

    async def _outcome(self, nonce: int, sent: Sequence[SignedTx]) -> tuple[bool, Call | None]:
        """Whether this nonce is still open; else the attempt of ours that took it and succeeded, if one did.

        Nonce first: once it is used, the receipts say by what.
        """
        if await self._nodes.nonce(self._own, "latest") <= nonce:
            return True, None
        for tx in sent:
            attempt = attempt_of(tx)
            receipt = await self._nodes.receipt(tx.txid) if attempt.nonce == nonce else None
            if receipt is not None and receipt.succeeded:
                return False, attempt.call
        return False, None

    async def broadcast(self, tx: SignedTx) -> None:
        """See `HtlcChain.broadcast`."""
        crashpoint("ethereum.broadcast.before")
        await self._nodes.broadcast(tx)
        crashpoint("ethereum.broadcast.after")

    async def fate(self, tx: SignedTx) -> Fate:
        """See `HtlcChain.fate`."""
        return await self._nodes.fate(self._own, tx)


def _with_margin(gas: int) -> int:
    return gas * (100 + GAS_MARGIN_PERCENT) // 100
