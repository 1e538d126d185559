"""What several nodes say, made into one answer: whatever up to `nodes - quorum` of them say, and however few answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.base import Cursor, Fate, Scan, Sighting, SightingKind, TxState, WatchedLeg
from swapd.chains.quorum import (
    MOST_ALONE,
    MOST_PENDING,
    MOST_STRAYS,
    fate_of,
    hints_of,
    middle,
    reached,
    scan_of,
    time_of,
    view_of,
)
from swapd.protocol.decide import Clocks, Memory, decide
from swapd.protocol.effects import EffectKind
from swapd.protocol.hashlock import opens
from swapd.protocol.observation import UNKNOWN_VIEW, LegState, LegView, Stray
from swapd.protocol.terms import Role, SecretHolder, Wallet
from tests.protocol.world import CONFIRMATIONS, HASHLOCK, PREIMAGE, make_swap

ABSENT, SEEN, LOCKED = LegView(LegState.ABSENT), LegView(LegState.SEEN, lock_ref="lock"), LegState.LOCKED
STATES = [state for state in LegState if state is not LegState.UNKNOWN]

views = st.builds(
    LegView,
    state=st.sampled_from(STATES),
    depth=st.integers(0, 9),
    preimage=st.sampled_from([None, PREIMAGE, bytes(32)]),
    lock_ref=st.sampled_from([None, "lock", "other"]),
    spend_txid=st.sampled_from([None, "spend"]),
)
fates = st.builds(Fate, state=st.sampled_from(list(TxState)), depth=st.integers(0, 9))


@st.composite
def quorums(draw: st.DrawFn) -> tuple[int, int]:
    """Of how many nodes, and how many must agree: a majority, as is recommended."""
    nodes = draw(st.integers(2, 5))
    return nodes, draw(st.integers(nodes // 2 + 1, nodes))


def locked(depth: int, **changes: object) -> LegView:
    return replace(LegView(LOCKED, depth, lock_ref="lock", lock_txid="tx"), **changes)  # type: ignore[arg-type]


# -- what nothing new may rest on --------------------------------------------------------------------------------------


@given(st.lists(views, min_size=1, max_size=5), st.integers(2, 5))
def test_s1_no_depth_is_believed_that_a_quorum_did_not_give(said: Sequence[LegView], quorum: int) -> None:
    found = view_of(said, quorum, HASHLOCK)
    alike = [v for v in said if (v.state, v.lock_ref, v.spend_txid) == (found.state, found.lock_ref, found.spend_txid)]
    assert found.depth == 0 or sum(view.depth >= found.depth for view in alike) >= quorum


@given(st.data(), quorums(), views)
def test_s7_what_honest_nodes_agree_on_is_shown_whatever_the_others_say(
    data: st.DataObject, size: tuple[int, int], truth: LegView
) -> None:
    nodes, quorum = size
    lies = data.draw(st.lists(views, max_size=nodes - quorum))
    said = data.draw(st.permutations([truth] * quorum + lies))
    found = view_of(said, quorum, HASHLOCK)
    assert (found.state, found.lock_ref, found.spend_txid) == (truth.state, truth.lock_ref, truth.spend_txid)
    assert not found.doubt
    assert found.depth >= truth.depth or nodes == quorum


@given(st.data(), quorums(), views)
def test_s1_less_liars_than_a_quorum_can_not_have_anything_final(
    data: st.DataObject, size: tuple[int, int], lie: LegView
) -> None:
    nodes, quorum = size
    liars = quorum - 1
    honest = ABSENT if lie.state is not LegState.ABSENT else locked(1)
    said = data.draw(st.permutations([lie] * liars + [honest] * (nodes - liars)))
    assert view_of(said, quorum, HASHLOCK).depth <= honest.depth


@given(st.lists(views, min_size=1, max_size=5), st.integers(2, 5))
def test_nothing_is_believed_to_be_gone_on_the_word_of_too_few(said: Sequence[LegView], quorum: int) -> None:
    found = view_of(said, quorum, HASHLOCK)
    absent = sum(view.state is LegState.ABSENT for view in said)
    assert found.state is not LegState.ABSENT or absent >= quorum


# -- what goes on all the same -----------------------------------------------------------------------------------------


@given(st.lists(views, min_size=1, max_size=5), st.integers(2, 5), st.integers(0, 4))
def test_s6_a_preimage_counts_whoever_has_seen_it(said: list[LegView], quorum: int, who: int) -> None:
    assert (view_of(said, quorum, HASHLOCK).preimage == PREIMAGE) == any(v.preimage == PREIMAGE for v in said)
    who %= len(said)
    said[who] = replace(said[who], preimage=PREIMAGE)
    found = view_of(said, quorum, HASHLOCK).preimage
    assert found is not None
    assert opens(found, HASHLOCK)


OWN, OTHERS = make_swap(SecretHolder.REMOTE, Wallet.EXTERNAL, Wallet.HOT), make_swap()
OTHER_ANSWERS = [
    ABSENT,
    LegView(LegState.CLAIMED, CONFIRMATIONS, None, "lock", "tx", "spend"),
    LegView(LegState.REFUNDED, CONFIRMATIONS, None, "lock", "tx", "spend"),
]


@pytest.mark.parametrize("lie", OTHER_ANSWERS, ids=lambda view: view.state.value)
def test_s5_the_due_refund_of_a_locked_leg_goes_on_whatever_one_of_two_nodes_says(lie: LegView) -> None:
    participant = view_of([lie, locked(CONFIRMATIONS)], 2, HASHLOCK)
    due = OWN.participant.terms.timelock
    decision = decide(OWN, locked(9), participant, Memory(), Clocks(due, due, due), True)
    assert "refund:participant" in {effect.key for effect in decision.effects}
    assert decision.status is None, "what is in doubt changes no status"


@pytest.mark.parametrize("lie", OTHER_ANSWERS, ids=lambda view: view.state.value)
def test_s6_the_claim_of_a_locked_leg_goes_on_whatever_one_of_two_nodes_says(lie: LegView) -> None:
    initiator = view_of([lie, locked(CONFIRMATIONS)], 2, HASHLOCK)
    claimed = LegView(LegState.CLAIMED, 1, PREIMAGE, "own", "own", "spend")
    now = OWN.participant.terms.timelock - 1
    decision = decide(OWN, initiator, claimed, Memory(), Clocks(now, now, now), True)
    assert "claim:initiator" in {effect.key for effect in decision.effects}


@pytest.mark.parametrize("said", [[locked(9)], [locked(9), ABSENT], [ABSENT], [SEEN]], ids=len)
def test_s1_s2_nothing_new_begins_on_the_word_of_too_few(said: list[LegView]) -> None:
    """The first leg locked, as one node says: no second lock. Both locked: no secret."""
    doubtful, now = view_of(said, 2, HASHLOCK), OTHERS.created_at + 1
    clocks = Clocks(now, now, now)
    second = decide(OWN, doubtful, ABSENT, Memory(), clocks, True)
    first = decide(OTHERS, ABSENT, doubtful, Memory(), clocks, True)
    reveal = decide(OTHERS, locked(9), doubtful, Memory(), clocks, True)
    assert not [*second.effects, *first.effects, *reveal.effects]


def test_s6_a_second_leg_is_not_given_back_because_too_few_see_our_own_leg_as_gone() -> None:
    gone = LegView(LegState.REFUNDED, CONFIRMATIONS, None, "own", "own", "back")
    after = OWN.initiator.terms.timelock + 1
    for said in ([gone], [gone, locked(9)], [ABSENT]):
        own = view_of(said, 2, HASHLOCK)
        decision = decide(OWN, locked(9), own, Memory(), Clocks(after, after, after), True)
        assert "refund:initiator" not in {effect.key for effect in decision.effects}
    assert decide(OWN, locked(9), UNKNOWN_VIEW, Memory(), Clocks(after, after, after), True).effects == ()


def test_s7_what_ended_long_ago_is_not_open_again_because_a_node_is_away() -> None:
    both = [LegView(LegState.CLAIMED, 9, PREIMAGE, "lock", "tx", "spend")]
    memory = Memory(reveal_sent=True, preimage=PREIMAGE, claim_final=frozenset(Role))
    now = OTHERS.initiator.terms.timelock + 1
    found = view_of(both, 2, HASHLOCK)
    decision = decide(OTHERS, found, found, memory, Clocks(now, now, now), True)
    assert decision.status is None
    assert EffectKind.REFUND not in {effect.kind for effect in decision.effects}


def test_why_is_said_in_words() -> None:
    doubt = view_of([locked(3), ABSENT], 2, HASHLOCK).doubt
    assert doubt == (
        "2 nodes have to say the same of this leg before anything new rests on it, and of those asked 1 says locked, "
        "1 says absent"
    )


def test_s12_strays_are_shown_that_one_node_shows_and_those_first_that_most_do() -> None:
    one, two = (Stray(name, 1, "", "", True) for name in ("one", "two"))
    said = [replace(ABSENT, strays=(one,)), replace(ABSENT, strays=(one, two)), replace(ABSENT, strays=(two,))]
    assert view_of([*said, replace(ABSENT, strays=(two,))], 2, HASHLOCK).strays == (two, one)


def test_two_groups_that_are_both_large_enough_are_believed_neither() -> None:
    said = [locked(9), locked(9), ABSENT, ABSENT]
    found = view_of(said, 2, HASHLOCK)
    assert (found.state, found.depth, bool(found.doubt)) == (LOCKED, 0, True)


# -- hints -------------------------------------------------------------------------------------------------------------


LEG = WatchedLeg("one", 0, OWN.initiator, 0)


def scan(height: int, block_hash: str, *txids: str, fork: int | None = None) -> Scan:
    return Scan(Cursor(height, block_hash), tuple(sighting(txid) for txid in txids), fork)


def sighting(txid: str, kind: SightingKind = SightingKind.CLAIM, block: str | None = "x", **more: Any) -> Sighting:
    return Sighting("one", "initiator", kind, "lock", txid, block, **more)


def merged(scans: Sequence[Scan], quorum: int = 2) -> Scan:
    return scan_of(scans, quorum, [LEG])


def test_s6_what_one_node_hides_another_shows() -> None:
    found = merged([scan(9, "x"), scan(9, "x", "claim"), scan(9, "x", "claim")])
    assert [each.txid for each in found.sightings] == ["claim"]


def test_a_scan_has_come_as_far_as_enough_nodes_have_and_on_the_fork_of_most() -> None:
    liar = scan(10**9, "liar", fork=0)
    assert merged([liar, scan(9, "x"), scan(8, "w")]).cursor == Cursor(9, "x")
    assert merged([scan(9, "liar", fork=3), scan(9, "x"), scan(9, "x")]) == scan(9, "x")
    assert merged([liar]).cursor.height == 10**9, "there is no other"
    bent = replace(scan(9, "x"), cursor=Cursor(9, "x", ((8, "liar"), (9, "x"))))
    assert merged([bent, scan(9, "x"), scan(9, "x")]).cursor == Cursor(9, "x"), "its trail counts too"


def test_s7_a_fork_is_one_that_a_quorum_reports_and_begins_where_the_highest_of_these_says() -> None:
    """The first of them is the liar, with the block that all have."""
    liar = scan(9, "x", fork=0)
    assert merged([liar, scan(9, "x"), scan(9, "x")]).fork is None
    assert merged([liar, scan(9, "x")]).fork is None
    assert merged([liar, scan(9, "x", fork=7), scan(9, "x", fork=7)]).fork == 7
    assert merged([scan(9, "x", fork=7)]).fork == 7, "there is no other"
    assert merged([scan(9, "x", fork=7)], 1).fork == 7


def test_one_node_can_not_make_us_keep_as_many_hints_as_it_likes() -> None:
    """Scan after scan it invents some; what the others agree on is taken all the same."""
    leg = LEG
    for number in range(12):
        invented = [f"{number} {each}" for each in range(MOST_ALONE // 10)]
        found = scan_of([scan(9, "x", *invented), scan(9, "x"), scan(9, "x")], 2, [leg]).sightings
        leg = replace(leg, sightings=tuple(dict.fromkeys([*leg.sightings, *found])))
    assert len(leg.sightings) == MOST_ALONE
    true = [scan(9, "x", "more"), scan(9, "x", "true"), scan(9, "x", "true")]
    assert [each.txid for each in scan_of(true, 2, [leg]).sightings] == ["true"]
    assert scan_of([scan(9, "x", "0 0")], 2, [leg]).sightings == (leg.sightings[0],), "what is known already is no more"


@pytest.mark.parametrize(
    ("kind", "block", "most"), [(SightingKind.LOCK, None, MOST_PENDING), (SightingKind.STRAY, "x", MOST_STRAYS)]
)
def test_what_anybody_can_make_for_little_is_kept_in_a_limited_number_and_all_else_in_any(
    kind: SightingKind, block: str | None, most: int
) -> None:
    flood = [sighting(str(number), kind, block) for number in range(most + 50)]
    lock, claim = sighting("lock", SightingKind.LOCK), sighting("claim", block=None, preimage=PREIMAGE)
    found = hints_of([[*flood, lock, claim]], 1, [LEG])
    assert found == (*flood[:most], lock, claim), "S6: what shows the secret proves itself"
    leg = replace(LEG, sightings=found)
    assert hints_of([[flood[-1]]], 1, [leg]) == ()


def test_a_sighting_of_nobodys_leg_is_none() -> None:
    assert hints_of([[replace(sighting("claim"), swap_id="another")]], 1, [LEG]) == ()


# -- fates, figures, time ----------------------------------------------------------------------------------------------


@given(st.lists(fates, min_size=1, max_size=5), st.integers(2, 5))
def test_s10_an_end_that_a_quorum_did_not_see_is_none(said: Sequence[Fate], quorum: int) -> None:
    found = fate_of(said, quorum)
    ends = (TxState.MINED, TxState.FAILED, TxState.REPLACED)
    same = [fate for fate in said if fate.state is found.state and fate.depth >= found.depth]
    assert found.state not in ends or len(same) >= quorum


def test_s10_what_most_have_lost_is_sent_again_whatever_one_says() -> None:
    mined, pending, missing = Fate(TxState.MINED, 99), Fate(TxState.PENDING), Fate(TxState.MISSING)
    assert fate_of([mined, missing, missing], 2) == missing
    assert fate_of([pending, missing, missing], 2) == missing
    assert fate_of([mined, pending, missing], 2) == pending
    assert fate_of([mined, Fate(TxState.MINED, 5, 7), missing], 2) == Fate(TxState.MINED, 5, 7)
    assert fate_of([mined], 2) == pending, "only one of two answers"


@given(st.data(), quorums(), st.integers(0, 100))
def test_s5_fewer_liars_than_a_quorum_do_not_hold_time_back(
    data: st.DataObject, size: tuple[int, int], now: int
) -> None:
    """Nor does it matter how many nodes answer at all."""
    _, quorum = size
    lies = data.draw(st.lists(st.integers(0, 200), max_size=quorum - 1))
    honest = data.draw(st.integers(1, 5))
    assert time_of([now] * honest + lies, quorum) >= now


@given(st.lists(st.integers(0, 200), min_size=1, max_size=1), st.integers(0, 100))
def test_s2_s3_one_liar_of_three_does_not_push_time_on(lies: list[int], now: int) -> None:
    assert time_of([now, now, *lies], 2) == now


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(1, 5))
def test_what_is_reached_was_reached_by_a_quorum_or_by_all(values: list[int], quorum: int) -> None:
    assert sum(value >= reached(values, quorum) for value in values) >= min(quorum, len(values))


@given(st.lists(st.integers(), min_size=2, max_size=2), st.integers())
def test_one_price_of_three_moves_nothing_out_of_the_range_of_the_others(honest: list[int], lie: int) -> None:
    assert min(honest) <= middle([*honest, lie]) <= max(honest)
