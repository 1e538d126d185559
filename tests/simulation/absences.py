"""When swapd or one of its nodes is away: together no longer than the outage margin of the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from swapd.protocol.terms import Role, SwapTerms

MOMENTS = ("after the lock", "after the reveal", "before the reveal goes out", "secret seen", "T_p", "T_i claim")


@dataclass
class Absences:
    """spans: (begin, end, who): who is None for swapd itself, else the role whose node is away. strike: at which moment
    swapd dies, and for how many seconds."""

    spans: list[tuple[float, float, Role | None]] = field(default_factory=list)
    strike: tuple[str, float] | None = None

    @classmethod
    def draw(cls, swap: SwapTerms, margin: int, rng: Random) -> Absences:
        """Most swaps see none. Otherwise one long absence at a bad moment, or up to three at any."""
        absences = cls()
        luck = rng.random()
        if luck < 0.2:
            length = margin * rng.choice((1.0, rng.random(), rng.random() / 20))
            moment = rng.choice(MOMENTS)
            if moment == "T_p":
                begin = swap.participant.terms.timelock - length * rng.random()
                absences.spans.append((begin, begin + length, rng.choice((None, None, *Role))))
            elif moment == "T_i claim":
                begin = swap.participant.terms.timelock + rng.random() * 3600
                absences.spans.append((begin, begin + length, rng.choice((None, *Role))))
            else:
                absences.strike = (moment, length)
        elif luck < 0.4:
            left = float(margin)
            for _ in range(rng.randint(1, 3)):
                length = left * rng.random()
                left -= length
                begin = swap.created_at + rng.random() * (swap.initiator.terms.timelock - swap.created_at)
                absences.spans.append((begin, begin + length, rng.choice((None, *Role))))
        return absences

    def strikes(self, moment: str, now: float) -> bool:
        """swapd may die here. True: it did."""
        if self.strike is None or self.strike[0] != moment:
            return False
        self.spans.append((now, now + self.strike[1], None))
        self.strike = None
        return True

    def gone(self, now: float) -> bool:
        return any(begin <= now < end and who is None for begin, end, who in self.spans)

    def node_down(self, role: Role, now: float) -> bool:
        return any(begin <= now < end and who is role for begin, end, who in self.spans)

    def back_at(self, now: float) -> float:
        """When swapd itself is there again."""
        return max((end for begin, end, who in self.spans if who is None and begin <= now < end), default=now)
