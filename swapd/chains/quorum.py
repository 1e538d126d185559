"""What several nodes say of one thing, made into one answer. Pure functions: asking is done in `endpoints.py`.

Two things are wanted that pull apart. Nothing new may begin on the word of fewer than `quorum` nodes (rules S1, S2,
S7), and no exit may wait because some of them are silent, behind or lying (rules S5, S6, S8). So what too few nodes say
is shown with depth 0, which no lock and no reveal rests on, and in the state that keeps exits going.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median_high

from swapd.chains.base import Fate, Scan, Sighting, TxState
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import LegState, LegView, Stray

_EXITS_FIRST = (LegState.LOCKED, LegState.CLAIMED, LegState.REFUNDED, LegState.SEEN, LegState.ABSENT)
"""Where nodes do not agree: a leg that may still be there is treated as one that is, while money may hang on it."""


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


def scan_of(scans: Sequence[Scan], quorum: int) -> Scan:
    """One scan from those of one or more nodes: what any of them sighted, since all of it is but a hint, up to where
    enough of them have come, and on the fork that most of these are on."""
    height = reached([scan.cursor.height for scan in scans], quorum)
    there = [scan for scan in scans if scan.cursor.height == height]
    block_hash, _ = Counter(scan.cursor.hash for scan in there).most_common(1)[0]
    one = next(scan for scan in there if scan.cursor.hash == block_hash)
    return replace(one, sightings=hints_of([scan.sightings for scan in scans]))


def hints_of(sightings: Iterable[Sequence[Sighting]]) -> tuple[Sighting, ...]:
    """What any of them has seen, each once: what one node hides, another shows."""
    return tuple(dict.fromkeys(sighting for each in sightings for sighting in each))


def _strays(views: Sequence[LegView]) -> tuple[Stray, ...]:
    """Each once, and first those that most nodes show."""
    by_ref = {stray.ref: stray for view in reversed(views) for stray in view.strays}
    often = Counter(stray.ref for view in views for stray in view.strays)
    return tuple(by_ref[ref] for ref, _ in often.most_common())


def _doubt(views: Sequence[LegView], quorum: int) -> str:
    says = Counter(view.state.value for view in views)
    told = ", ".join(f"{number} say{'s' * (number == 1)} {state}" for state, number in says.items())
    return f"{quorum} nodes have to say the same of this leg before anything new rests on it, and of those asked {told}"
