"""What is told of a swap, in one shape for all who may see it. Nothing secret is in it before it is public (S9)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swapd.api.access import Caller
from swapd.api.forms import Moment, Told, ToldAmount, moment, moment_or_none
from swapd.chains.base import Instructions
from swapd.coordinator import approvals
from swapd.coordinator.house import House
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.outlook import outlook
from swapd.protocol.status import Status
from swapd.protocol.terms import Leg, Role, SecretHolder, Wallet
from swapd.store import Attempt, DisputeRow, DisputeState, EffectRow, EffectState, SwapRow


class StrayTold(Told):
    """Money at the leg's address or in its contract that is not the leg."""

    ref: str
    amount: ToldAmount
    why: str
    way_back: str


class LegTold(Told):
    """contract: the chain's name for the HTLC before it is funded (an address, a lock id). depth: blocks that hold it,
    its own included. given_back: its receiver agreed to a refund before the timelock."""

    role: Role
    chain: str
    asset: str
    amount: ToldAmount
    sender: str
    receiver: str
    pay_to: str
    refund_to: str
    funded_by: Wallet
    claimed_by: Wallet
    fund_by: Moment
    timelock: Moment
    contract: str
    state: LegState
    depth: int
    confirmations: Annotated[int, Field(description="From this depth on it is final.")]
    lock_txid: str | None
    spend_txid: str | None
    strays: list[StrayTold]
    given_back: bool


class DeadlineTold(Told):
    """what: has to be done by then. after: what happens by itself if it is not."""

    at: Moment
    what: str
    after: str


class ApprovalTold(Told):
    operator: str
    given: Moment
    expires: Moment
    withdrawn: Moment | None
    counts: bool


class ApprovalsTold(Told):
    """needed: operators who must agree before swapd locks anything; 0 below the thresholds."""

    needed: int
    given: int
    all: list[ApprovalTold]


class SwapTold(Told):
    """next: what swapd does or waits for. trouble: why it does not go on; told to those of the house alone, because a
    node's words may be in it. preimage: once it is public. frozen: a dispute is open. forced: a dispute was decided,
    and what is locked goes back."""

    id: str
    owner: str
    status: Status
    ended: bool
    next: str
    trouble: str
    secret_holder: SecretHolder
    hashlock: str
    preimage: str | None
    created: Moment
    updated: Moment
    cancelled: Moment | None
    frozen: Moment | None
    forced: Moment | None
    reveal_by: Moment
    deadlines: list[DeadlineTold]
    initiator: LegTold
    participant: LegTold
    approvals: ApprovalsTold


class TransactionTold(Told):
    """fee: the most it can cost; fee_paid: what it did cost, once in a block; both in the chain's coin."""

    txid: str
    voiding: bool
    signed: Moment
    sent: Moment | None
    fate: str | None
    depth: int
    fee: ToldAmount
    fee_paid: ToldAmount | None


class EffectTold(Told):
    """Something that swapd does, with all transactions that it made for it, the newest last."""

    key: str
    kind: EffectKind
    role: Role
    state: EffectState
    wanted: bool
    deadline: Moment
    error: str
    transactions: list[TransactionTold]


class InstructionsTold(Told):
    """How an external wallet does its part: words for a person, exact values for a wallet."""

    summary: str
    fields: dict[str, str]


class DisputeTold(Told):
    id: int
    swap_id: str
    state: DisputeState
    opened: Moment
    opened_by: str
    reason: str
    decided: Moment | None
    decided_by: str
    decision: str


def swap_told(house: House, row: SwapRow, caller: Caller) -> SwapTold:
    views = {role: row.legs[role].view for role in Role}
    return SwapTold(
        id=row.id,
        owner=row.owner,
        status=row.status,
        ended=row.status.ended,
        next=row.note,
        trouble=row.reason if caller.of_the_house else "",
        secret_holder=row.terms.secret,
        hashlock=row.terms.hashlock.hex(),
        preimage=row.revealed_preimage.hex() if row.revealed_preimage else None,
        created=moment(row.created_at),
        updated=moment(row.updated_at),
        cancelled=moment_or_none(row.cancelled_at),
        frozen=moment_or_none(row.frozen_at),
        forced=moment_or_none(row.forced_at),
        reveal_by=moment(row.terms.reveal_by),
        deadlines=[
            DeadlineTold(at=moment(each.at), what=each.what, after=each.after)
            for each in outlook(row.terms, views, row.status)
        ],
        initiator=_leg(row, row.terms.initiator),
        participant=_leg(row, row.terms.participant),
        approvals=approvals_told(house, row),
    )


def approvals_told(house: House, row: SwapRow) -> ApprovalsTold:
    now = house.clock()
    return ApprovalsTold(
        needed=approvals.needed(house, row.terms),
        given=approvals.given(house, row),
        all=[
            ApprovalTold(
                operator=each.operator,
                given=moment(each.given_at),
                expires=moment(each.expires_at),
                withdrawn=moment_or_none(each.withdrawn_at),
                counts=each.counts(now),
            )
            for each in row.approvals
        ],
    )


def effect_told(row: EffectRow, caller: Caller) -> EffectTold:
    return EffectTold(
        key=row.effect.key,
        kind=row.effect.kind,
        role=row.effect.role,
        state=row.state,
        wanted=row.wanted,
        deadline=moment(row.effect.deadline),
        error=row.error if caller.of_the_house else "",
        transactions=[_transaction(attempt) for attempt in row.attempts],
    )


def instructions_told(instructions: Instructions) -> InstructionsTold:
    return InstructionsTold(summary=instructions.summary, fields=dict(instructions.fields))


def dispute_told(row: DisputeRow) -> DisputeTold:
    return DisputeTold(
        id=row.id,
        swap_id=row.swap_id,
        state=row.state,
        opened=moment(row.opened_at),
        opened_by=row.opened_by,
        reason=row.reason,
        decided=moment_or_none(row.decided_at),
        decided_by=row.decided_by,
        decision=row.decision,
    )


def _leg(row: SwapRow, leg: Leg) -> LegTold:
    terms, view = leg.terms, row.legs[leg.role].view
    return LegTold(
        role=leg.role,
        chain=terms.chain,
        asset=terms.asset.symbol,
        amount=terms.amount,
        sender=terms.sender,
        receiver=terms.receiver,
        pay_to=leg.pay_to,
        refund_to=leg.refund_to,
        funded_by=leg.funded_by,
        claimed_by=leg.claimed_by,
        fund_by=moment(terms.fund_by),
        timelock=moment(terms.timelock),
        contract=row.legs[leg.role].fingerprint,
        state=view.state,
        depth=view.depth,
        confirmations=leg.confirmations,
        lock_txid=view.lock_txid,
        spend_txid=view.spend_txid,
        strays=[StrayTold(ref=s.ref, amount=s.amount, why=s.why, way_back=s.way_back) for s in view.strays],
        given_back=leg.role in row.consents,
    )


def _transaction(attempt: Attempt) -> TransactionTold:
    fate = attempt.fate
    return TransactionTold(
        txid=attempt.tx.txid,
        voiding=attempt.voiding,
        signed=moment(attempt.signed_at),
        sent=moment_or_none(attempt.sent_at),
        fate=fate.state.value if fate else None,
        depth=fate.depth if fate else 0,
        fee=attempt.tx.fee,
        fee_paid=fate.fee if fate else None,
    )
