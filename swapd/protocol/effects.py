"""What the shell is asked to do. Each effect has a stable key: asked for twice, it is the same effect.

There is no `Bump`: how much a transaction pays is a function of the time left until the effect's deadline, and the
shell follows it for as long as the effect is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from swapd.protocol.terms import Role


class EffectKind(StrEnum):
    LOCK = "lock"
    CLAIM = "claim"
    REFUND = "refund"


@dataclass(frozen=True)
class Effect:
    """One transaction that swapd wants on a chain.

    deadline: Unix seconds by which it should be in a block; fees rise towards it.
    reveals: this claim is the first to show the secret (rule S2); it is never sent without asking `decide` again.
    stray: the ref of a stray lock that this refund is for; None for the leg itself.
    """

    kind: EffectKind
    role: Role
    deadline: int
    reveals: bool = False
    stray: str | None = None

    @property
    def key(self) -> str:
        """Unique within a swap: at most one row, one intent, one chain of replacements (rule S4)."""
        return f"{self.kind.value}:{self.role.value}" + (f":{self.stray}" if self.stray else "")
