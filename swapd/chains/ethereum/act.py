"""Locks, claims and refunds: what is sent, what replaces it, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swapd.chains.base import Fate, SignedTx, TxState
from swapd.chains.ethereum.erc20 import allowance, approve, number
from swapd.chains.ethereum.fees import FeePolicy
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms, SlotState
from swapd.chains.ethereum.node import Node
from swapd.chains.ethereum.rpc import Refusal
from swapd.chains.ethereum.transactions import Attempt, Call, EthereumDraft, Signer, attempt_of
from swapd.errors import Invalid, Rejected, Unavailable, Unknown
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.terms import LegTerms

GAS_MARGIN_PERCENT = 25
"""On top of the estimate: payee and token may need a little more by then. What is not used is not paid."""

_TRANSFER_GAS = 21_000  # of a transfer to an account without code (yellow paper, G_transaction)


@dataclass(frozen=True)
class _Intent:
    """What is wanted: a call, and the approval that has to be in a block before it, if any."""

    call: Call
    approval: Call | None = None


class Actor:
    def __init__(self, node: Node, htlc: Htlc, signer: Signer, policy: FeePolicy) -> None:
        self._node = node
        self._htlc = htlc
        self._signer = signer
        self._policy = policy

    @property
    def _own(self) -> str:
        return self._signer.ethereum_address

    # -- drafts ----------------------------------------------------------------------------------------------------

    async def draft(
        self, effect: Effect, leg_terms: LegTerms, preimage: bytes | None, sent: Sequence[SignedTx], now: int
    ) -> EthereumDraft | None:
        """See `HtlcChain.draft`.

        The lock of a token is two transactions: as long as the contract may not take the amount, this drafts an
        approval of exactly it. An approval that was mined is no lock yet, so ask again.
        """
        if effect.stray is not None:
            raise Invalid("stray", effect.stray, "none: anybody can refund it, with the calldata of its way back")
        terms = HtlcTerms.of(leg_terms)
        intent = self._intent(effect.kind, terms, preimage)
        left = effect.deadline - now
        last, open_ = attempt_of(sent[-1]) if sent else None, False
        if last is not None:
            open_, mined = await self._outcome(last.nonce, sent)
            if mined == intent.call:
                return None
        if effect.kind is EffectKind.LOCK:
            await self._refuse_late_lock(terms, now)
        if last is not None and open_:
            return await self._replacement(intent, last, left)
        if effect.kind is EffectKind.CLAIM:
            await self._refuse_vain_claim(terms)
        return await self._fresh(await self._next_call(intent, terms), left)

    async def void(self, sent: Sequence[SignedTx]) -> EthereumDraft | None:
        """See `HtlcChain.void`: a transfer of nothing to ourselves, at the lowest nonce that is still open."""
        used = await self._node.nonce(self._own, "latest")
        attempts = [attempt for tx in sent if (attempt := attempt_of(tx)).nonce >= used]
        if not attempts:
            return None
        nonce = min(attempt.nonce for attempt in attempts)
        rivals = [attempt for attempt in attempts if attempt.nonce == nonce]
        market = await self._node.market()
        if rivals[-1].call == self._nothing:
            fees = self._policy.replacement(market, 0, rivals[-1].fees)
        else:
            fees = self._policy.outbid(market, [rival.fees for rival in rivals])
        if fees is None:
            return None
        return EthereumDraft(self._signer, self._htlc.chain_id, self._nothing, _TRANSFER_GAS, fees, nonce, nonce)

    @property
    def _nothing(self) -> Call:
        return Call(self._own, 0, b"")

    def _intent(self, kind: EffectKind, terms: HtlcTerms, preimage: bytes | None) -> _Intent:
        if kind is EffectKind.CLAIM:
            if preimage is None or not opens(preimage, terms.hashlock):
                raise Invalid("preimage", "a secret", "the one whose SHA-256 is the leg's hashlock")
            return _Intent(self._htlc.claim(terms, preimage))
        if kind is EffectKind.REFUND:
            return _Intent(self._htlc.refund(terms))
        if terms.sender != self._own:
            raise Invalid("sender", terms.sender, f"swapd's own address {self._own}: the contract takes from who calls")
        approval = approve(terms.token, self._htlc.address, terms.amount) if terms.is_token else None
        return _Intent(self._htlc.lock(terms), approval)

    async def _refuse_late_lock(self, terms: HtlcTerms, now: int) -> None:
        """Rule S3. The contract refuses it too; this saves the fee."""
        tip = await self._node.tip()
        if max(now, tip.time) > terms.fund_by:
            raise Rejected(f"it is too late to lock: fund_by was {terms.fund_by}, it is {max(now, tip.time)}")

    async def _refuse_vain_claim(self, terms: HtlcTerms) -> None:
        """Looked up before anything is simulated: a simulation shows the node the secret."""
        lock_id = self._htlc.id_of(terms)
        if await self._node.storage(self._htlc.address, bytes.fromhex(lock_id[2:]), "latest") != SlotState.LOCKED:
            raise Rejected(f"the claim would be reverted: NotLocked(id={lock_id})")

    async def _next_call(self, intent: _Intent, terms: HtlcTerms) -> Call:
        if intent.approval is None:
            return intent.call
        question = allowance(terms.token, self._own, self._htlc.address)
        # pending too: there another leg's lock may have used it up
        granted = [number(await self._node.returned(question, block)) for block in ("latest", "pending")]
        return intent.call if min(granted) >= terms.amount else intent.approval

    async def _fresh(self, call: Call, left: int) -> EthereumDraft:
        try:
            gas = await self._node.estimate(self._own, call)
        except Refusal as refusal:
            reason = self._htlc.reason(refusal.data) if refusal.data else None
            raise Rejected(f"it would be reverted: {reason or refusal}") from None
        fees = self._policy.first(await self._node.market(), left)
        draft = EthereumDraft(
            self._signer,
            self._htlc.chain_id,
            call,
            gas * (100 + GAS_MARGIN_PERCENT) // 100,
            fees,
            await self._node.nonce(self._own, "pending"),
        )
        return await self._affordable(draft)

    async def _replacement(self, intent: _Intent, last: Attempt, left: int) -> EthereumDraft | None:
        """The very same call at the same nonce, for more (rule S4)."""
        if last.call == self._nothing:
            return None  # it was voided: nothing of ours may take that nonce back
        if last.call not in (intent.call, intent.approval):
            raise Invalid("sent", f"nonce {last.nonce}", "attempts at this very effect")
        fees = self._policy.replacement(await self._node.market(), left, last.fees)
        if fees is None:
            return None
        draft = EthereumDraft(
            self._signer, self._htlc.chain_id, last.call, last.gas, fees, floor=last.nonce, nonce=last.nonce
        )
        return await self._affordable(draft)

    async def _affordable(self, draft: EthereumDraft) -> EthereumDraft:
        balance = await self._node.balance(self._own)
        if balance < draft.cost:
            raise Rejected(f"{self._own} has {balance} wei, and this may take {draft.cost}")
        return draft

    # -- outcomes --------------------------------------------------------------------------------------------------

    async def _outcome(self, nonce: int, sent: Sequence[SignedTx]) -> tuple[bool, Call | None]:
        """Whether this nonce is still open; else the attempt of ours that took it and succeeded, if one did.

        Nonce first: once it is used, the receipts say by what.
        """
        if await self._node.nonce(self._own, "latest") <= nonce:
            return True, None
        for tx in sent:
            attempt = attempt_of(tx)
            receipt = await self._node.receipt(tx.txid) if attempt.nonce == nonce else None
            if receipt is not None and receipt.succeeded:
                return False, attempt.call
        return False, None

    async def broadcast(self, tx: SignedTx) -> None:
        """See `HtlcChain.broadcast`. Whatever words a node has for "I know it": it is looked up."""
        try:
            answer = await self._node.send(tx.raw)
        except Refusal as refusal:
            if not await self._known(tx, refusal):
                raise
            return
        if answer != tx.txid:
            raise Unknown(f"the Ethereum node answered {answer[:80]!r} to transaction {tx.txid}")

    async def _known(self, tx: SignedTx, refusal: Refusal) -> bool:
        try:
            return await self._node.transaction(tx.txid) is not None
        except Unavailable as error:
            raise Unknown(f"{refusal}; whether it knows {tx.txid} already can not be told: {error}") from None

    async def fate(self, tx: SignedTx) -> Fate:
        """See `HtlcChain.fate`."""
        fate = await self._in_block(tx)
        if fate is not None:
            return fate
        if await self._node.transaction(tx.txid) is not None:
            return Fate(TxState.PENDING)
        if tx.sequence is None or await self._node.nonce(self._own, "latest") <= tx.sequence:
            return Fate(TxState.MISSING)
        # its nonce is used, perhaps by itself since we looked
        return await self._in_block(tx) or Fate(TxState.REPLACED)

    async def _in_block(self, tx: SignedTx) -> Fate | None:
        receipt = await self._node.receipt(tx.txid)
        if receipt is None:
            return None
        tip = await self._node.tip()
        state = TxState.MINED if receipt.succeeded else TxState.FAILED
        return Fate(state, max(tip.height - receipt.height + 1, 1), receipt.fee)
