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
from swapd.crashpoint import crashpoint
from swapd.errors import Invalid, Rejected, Unavailable, Unknown
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

SETTLED_BLOCKS = 96
"""Three epochs: deeper than the finalized block on a healthy chain, and among the 128 blocks whose state every full
node has."""

_LEAST_GAS = 30_000  # that anything here is sent with, the margin included
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

        Attempts that were mined and reverted belong into `sent` too: they are counted against a payee that is not us.
        A claim's simulation shows the node the secret. It is the very last question, and the account was found to be
        able to pay before it.
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
        if effect.kind is EffectKind.LOCK:
            return await self._fresh(await self._next_call(intent, terms), left)
        return await self._spend(effect.kind, terms, intent.call, sent, left)

    async def void(self, sent: Sequence[SignedTx]) -> EthereumDraft | None:
        """See `HtlcChain.void`: a transfer of nothing to ourselves, at the lowest nonce that needs one.

        Earlier voids belong into `sent` as well: one that pays too little for the market is replaced by one that pays
        more. None when each nonce is used, or has a void that is good enough.
        """
        used = await self._node.nonce(self._own, "latest")
        attempts = [attempt for tx in sent if (attempt := attempt_of(tx)).nonce >= used]
        if not attempts:
            return None
        market = await self._node.market()
        for nonce in sorted({attempt.nonce for attempt in attempts}):
            rivals = [attempt for attempt in attempts if attempt.nonce == nonce]
            outbid = self._policy.outbid_again if rivals[-1].call == self._nothing else self._policy.outbid
            fees = outbid(market, [rival.fees for rival in rivals])
            if fees is not None:
                return EthereumDraft(
                    self._signer, self._htlc.chain_id, self._nothing, _TRANSFER_GAS, fees, nonce, nonce
                )
        return None

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

    async def _spend(
        self, kind: EffectKind, terms: HtlcTerms, call: Call, sent: Sequence[SignedTx], left: int
    ) -> EthereumDraft:
        """A claim or refund. One that pays somebody else may be costly, or fail at our cost, within limits only."""
        payee = terms.receiver if kind is EffectKind.CLAIM else terms.sender
        if payee == self._own:
            return await self._fresh(call, left)
        if await self._reverted(sent) >= MOST_REVERTED:
            raise self._left_to(payee, kind, terms, f"it was mined and reverted {MOST_REVERTED} times")
        draft = await self._fresh(call, left)
        if draft.gas > _with_margin(MOST_FOREIGN_GAS):
            raise self._left_to(payee, kind, terms, f"it would take more than {MOST_FOREIGN_GAS} gas")
        return draft

    async def _reverted(self, sent: Sequence[SignedTx]) -> int:
        receipts = [await self._node.receipt(tx.txid) for tx in sent]
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
        fees = self._policy.first(await self._node.market(), left)
        floor = await self._node.nonce(self._own, "pending")
        balance = await self._node.balance(self._own)
        self._require(balance, call.value + _LEAST_GAS * fees.max_fee)
        try:
            gas = await self._node.estimate(self._own, call)
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
        if last.call not in (intent.call, intent.approval):
            raise Invalid("sent", f"nonce {last.nonce}", "attempts at this very effect")
        fees = self._policy.replacement(await self._node.market(), left, last.fees)
        if fees is None:
            return None
        draft = EthereumDraft(
            self._signer, self._htlc.chain_id, last.call, last.gas, fees, floor=last.nonce, nonce=last.nonce
        )
        self._require(await self._node.balance(self._own), draft.cost)
        return draft

    def _require(self, balance: int, cost: int) -> None:
        if balance < cost:
            raise Rejected(f"{self._own} has {balance} wei, and this may take {cost}")

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
        crashpoint("ethereum.broadcast.before")
        try:
            answer = await self._node.send(tx.raw)
            crashpoint("ethereum.broadcast.after")
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
        """See `HtlcChain.fate`.

        Of a transaction that lost its nonce, the block that took the nonce is not known. Its depth is 0 until that is
        `SETTLED_BLOCKS` ago; from then on it is as deep as the chain, since no block will give the nonce back.
        """
        fate = await self._in_block(tx)
        if fate is not None:
            return fate
        if await self._node.transaction(tx.txid) is not None:
            return Fate(TxState.PENDING)
        if tx.sequence is None or await self._node.nonce(self._own, "latest") <= tx.sequence:
            return Fate(TxState.MISSING)
        # its nonce is used, perhaps by itself since we looked
        return await self._in_block(tx) or Fate(TxState.REPLACED, await self._depth_of_use(tx.sequence))

    async def _depth_of_use(self, nonce: int) -> int:
        tip = await self._node.tip()
        first_settled = tip.height - SETTLED_BLOCKS + 1
        if first_settled < 0 or await self._node.nonce(self._own, first_settled) <= nonce:
            return 0
        return tip.height + 1

    async def _in_block(self, tx: SignedTx) -> Fate | None:
        receipt = await self._node.receipt(tx.txid)
        if receipt is None:
            return None
        tip = await self._node.tip()
        state = TxState.MINED if receipt.succeeded else TxState.FAILED
        return Fate(state, max(tip.height - receipt.height + 1, 1), receipt.fee)


def _with_margin(gas: int) -> int:
    return gas * (100 + GAS_MARGIN_PERCENT) // 100
