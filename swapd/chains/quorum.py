"""What several nodes say of one thing, made into one answer. Pure functions: asking is done in `endpoints.py`.

Two things are wanted that pull apart. Nothing new may begin on the word of fewer than `quorum` nodes (rules S1, S2,
S7), and no exit may wait because some of them are silent, behind or lying (rules S5, S6, S8). So what too few nodes say
is shown with depth 0, which no lock and no reveal rests on, and in the state that keeps exits going.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_high

from swapd.chains.base import Fate, Scan, Sighting, SightingKind, TxState, WatchedLeg
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegState, LegView, Stray

_EXITS_FIRST = (LegState.LOCKED, LegState.CLAIMED, LegState.REFUNDED, LegState.SEEN, LegState.ABSENT)
"""Where nodes do not agree: a leg that may still be there is treated as one that is, while money may hang on it."""


MOST_ALONE = 1_000
"""Sightings of a leg, with which there is no room for more that fewer nodes than a quorum show. Those that they agree
on are always taken."""

MOST_PENDING = 500
"""Sightings of a leg in mempools, with which there is no room for more of these: by replacing one transaction they are
made for almost nothing, and a block will show whatever becomes of them."""

MOST_STRAYS = 2_000
"""Strays of a leg in blocks, with which there is no room for more: each costs its maker a fee."""


def reached(values: Sequence[int], quorum: int) -> int:
    """The largest value that `quorum` of them have reached; the smallest of all where fewer answered. For what must not
    be believed to be further than it is: a depth, a nonce."""
    return sorted(values, reverse=True)[min(quorum, len(values)) - 1]


def time_of(times: Sequence[int], quorum: int) -> int:
    """The chain's time, of what each node says it is. It takes `quorum` liars to hold it back, which would keep a due
    refund waiting (S5), and fewer to push it on, which costs an entry or a fee and nothing more: a refund that is early
    is refused by the chain, and locks and reveals only ever stop when it is late (S2, S3)."""
    return sorted(times, reverse=True)[max(1, min(quorum, len(times) - quorum + 1)) - 1]


def middle(values: Sequence[int]) -> int:
    """For figures that have to be about right, as prices: one of three can not move it far, and of two the higher one
    counts, since a transaction that pays too little is worse than one that pays too much (which is capped)."""
    return median_high(values)


def view_of(views: Sequence[LegView], quorum: int, hashlock: bytes) -> LegView:
    """One view of a leg from those of one or more nodes that answered.

    What `quorum` of them agree on (state, lock and spend) keeps the depth that `quorum` of them give it. Else `doubt`
    says why it is not so: not to be there is then believed of nothing, and all the rest has depth 0. A preimage proves
    itself by its hash, so one node is enough to have seen it (S6).
    """
    preimage = next((v.preimage for v in views if v.preimage is not None and opens(v.preimage, hashlock)), None)
    groups: defaultdict[tuple[object, ...], list[LegView]] = defaultdict(list)
    for view in views:
        groups[view.state, view.lock_ref, view.spend_txid].append(view)
    agreed = [group for group in groups.values() if len(group) >= quorum]
    if len(agreed) == 1:
        depth = reached([view.depth for view in agreed[0]], quorum)
        return replace(agreed[0][0], depth=depth, preimage=preimage, strays=_strays(agreed[0]))
    shown = min(views, key=lambda view: _EXITS_FIRST.index(view.state))
    state = LegState.UNKNOWN if shown.state is LegState.ABSENT else shown.state
    return replace(shown, state=state, depth=0, preimage=preimage, strays=_strays(views), doubt=_doubt(views, quorum))


def fate_of(fates: Sequence[Fate], quorum: int) -> Fate:
    """One fate of a transaction from what one or more nodes say.

    That it has ended, and how, takes `quorum` of them, or else a node could have us leave a claim alone that was never
    mined. Below that it is pending, if enough know it at all, and otherwise missing: then the same bytes are sent to
    everybody again, which does no harm (S10).
    """
    for state in (TxState.MINED, TxState.FAILED, TxState.REPLACED):
        saying = [fate for fate in fates if fate.state is state]
        if len(saying) >= quorum:
            fee = next((fate.fee for fate in saying if fate.fee is not None), None)
            return Fate(state, reached([fate.depth for fate in saying], quorum), fee)
    knowing = sum(fate.state is not TxState.MISSING for fate in fates)
    return Fate(TxState.PENDING if knowing >= min(quorum, len(fates)) else TxState.MISSING)


def scan_of(scans: Sequence[Scan], quorum: int, legs: Sequence[WatchedLeg]) -> Scan:
    """One scan from those of one or more nodes: what any of them sighted, since all of it is but a hint, up to where
    enough of them have come, and on the fork that most of these are on. That there was a fork takes `quorum` of them,
    and of these it is the highest: a reorganisation that one invents is none."""
    height = reached([scan.cursor.height for scan in scans], quorum)
    cursor, _ = Counter(scan.cursor for scan in scans if scan.cursor.height == height).most_common(1)[0]
    forks = [scan.fork for scan in scans if scan.fork is not None]
    fork = max(forks) if len(forks) >= min(quorum, len(scans)) else None
    return Scan(cursor, hints_of([scan.sightings for scan in scans], quorum, legs), fork)


def hints_of(shown: Sequence[Sequence[Sighting]], quorum: int, legs: Sequence[WatchedLeg]) -> tuple[Sighting, ...]:
    """What any of them has seen, each once: what one node hides, another shows. legs: with what is known already.

    Whoever keeps sightings must not be made to keep as many as somebody likes, and to look each of them up: so what
    costs its maker next to nothing is taken in a limited number, and the chain is asked about that alone.
    """
    news = {(sighting.swap_id, sighting.role) for each in shown for sighting in each}
    if not news:
        return ()
    known = {key: _Known.of(leg) for leg in legs if (key := (leg.swap_id, leg.leg.role.value)) in news}
    often = Counter(sighting for each in shown for sighting in dict.fromkeys(each))
    return tuple(
        sighting
        for sighting, number in often.items()
        if (leg := known.get((sighting.swap_id, sighting.role))) and leg.takes(sighting, agreed=number >= quorum)
    )


@dataclass
class _Known:
    """What is known of a leg: `all` of it, and how much of what anybody can make for little."""

    hashlock: bytes
    all: set[Sighting]
    pending: int
    strays: int
    is_public: bool

    @classmethod
    def of(cls, leg: WatchedLeg) -> _Known:
        known = cls(leg.leg.terms.hashlock, set(), 0, 0, is_public=False)
        for sighting in leg.sightings:
            known._add(sighting)
        return known

    def takes(self, sighting: Sighting, *, agreed: bool) -> bool:
        """agreed: as many nodes show it as have to."""
        if sighting in self.all:
            return True
        shows = not self.is_public and sighting.preimage is not None and opens(sighting.preimage, self.hashlock)
        room = len(self.all) < MOST_ALONE if not agreed else True
        if sighting.block_hash is None:
            room = room and self.pending < MOST_PENDING
        elif sighting.kind is SightingKind.STRAY:
            room = room and self.strays < MOST_STRAYS
        if room or shows:  # S6: the first that shows the secret proves itself
            self._add(sighting)
            return True
        return False

    def _add(self, sighting: Sighting) -> None:
        self.all.add(sighting)
        self.pending += sighting.block_hash is None
        self.strays += sighting.block_hash is not None and sighting.kind is SightingKind.STRAY
        self.is_public = self.is_public or (sighting.preimage is not None and opens(sighting.preimage, self.hashlock))


def _strays(views: Sequence[LegView]) -> tuple[Stray, ...]:
    """Each once, and first those that most nodes show."""
    by_ref = {stray.ref: stray for view in reversed(views) for stray in view.strays}
    often = Counter(stray.ref for view in views for stray in view.strays)
    return tuple(by_ref[ref] for ref, _ in often.most_common())


def _doubt(views: Sequence[LegView], quorum: int) -> str:
    says = Counter(view.state.value for view in views)
    told = ", ".join(f"{number} say{'s' * (number == 1)} {state}" for state, number in says.items())
    return f"{quorum} nodes have to say the same of this leg before anything new rests on it, and of those asked {told}"
