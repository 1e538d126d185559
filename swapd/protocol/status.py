"""The life of a swap, as people see it: the statuses and which may follow which.

`docs/statuses.md` is generated from `TRANSITIONS`; the property tests hold `decide` to it.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    INITIATOR_LOCKED = "initiator_locked"
    PARTICIPANT_LOCKED = "participant_locked"
    REDEEMING = "redeeming"
    COMPLETED = "completed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Nothing is left to do unless a reorg or late money brings it back (rules S7, S12)."""
        return self in ENDED


ENDED = frozenset({Status.COMPLETED, Status.REFUNDED, Status.EXPIRED, Status.CANCELLED, Status.FAILED})

MEANING = {
    Status.PROPOSED: "valid, and waiting until swapd takes up new swaps again",
    Status.ACCEPTED: "the initiator leg may be funded now",
    Status.INITIATOR_LOCKED: "the initiator leg is in a block",
    Status.PARTICIPANT_LOCKED: "both legs are in blocks",
    Status.REDEEMING: "the secret is out; both legs are being claimed",
    Status.COMPLETED: "both legs are claimed, finally",
    Status.REFUNDING: "the swap can not complete any more; what is locked goes back at its timelock",
    Status.REFUNDED: "everything that was locked went back, finally",
    Status.EXPIRED: "nothing was locked in time",
    Status.CANCELLED: "called off before anything was locked",
    Status.FAILED: "needs a person: one leg was claimed and the other was not; look who is owed something",
}

_FORWARD: dict[Status, tuple[Status, ...]] = {
    Status.PROPOSED: (
        Status.ACCEPTED,
        Status.INITIATOR_LOCKED,
        Status.PARTICIPANT_LOCKED,
        Status.REDEEMING,
        Status.EXPIRED,
        Status.CANCELLED,
    ),
    Status.ACCEPTED: (
        Status.INITIATOR_LOCKED,
        Status.PARTICIPANT_LOCKED,
        Status.REDEEMING,
        Status.REFUNDING,
        Status.EXPIRED,
        Status.CANCELLED,
        Status.PROPOSED,
    ),
    Status.INITIATOR_LOCKED: (Status.PARTICIPANT_LOCKED, Status.REDEEMING, Status.REFUNDING),
    Status.PARTICIPANT_LOCKED: (Status.REDEEMING, Status.REFUNDING),
    Status.REDEEMING: (Status.COMPLETED, Status.REFUNDED, Status.FAILED),
    Status.REFUNDING: (Status.REFUNDED, Status.PARTICIPANT_LOCKED, Status.REDEEMING),
    Status.EXPIRED: (Status.REFUNDING, Status.REDEEMING),
    Status.CANCELLED: (Status.REFUNDING, Status.REDEEMING),
    Status.REFUNDED: (Status.REFUNDING,),
    Status.COMPLETED: (),
    Status.FAILED: (),
}
"""What time and the other party can do, with the chains growing. A reorg, or a look after being away, may skip steps or
go back."""

TRANSITIONS = tuple((before, after) for before, follow in _FORWARD.items() for after in follow)


def mermaid() -> str:
    """The state diagram of `TRANSITIONS` in Mermaid's language."""
    lines = ["stateDiagram-v2", f"    [*] --> {Status.PROPOSED.value}"]
    lines += [f"    {before.value} --> {after.value}" for before, after in TRANSITIONS]
    lines += [f"    {status.value} --> [*]" for status in Status if status in ENDED]
    return "\n".join(lines)
