"""`decide` against everything that the other party, the chains and the clock can do (design/4-proof, point 2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SecretHolder, Wallet
from tests.protocol.world import BLOCK, CONFIRMATIONS, START, Tx, World, make_swap

HOUSE_INITIATES = (SecretHolder.SELF, Wallet.HOT, Wallet.EXTERNAL)
HOUSE_INITIATES_THEIR_KEY = (SecretHolder.SELF, Wallet.HOT, Wallet.EXTERNAL, True, False)
HOUSE_PARTICIPATES = (SecretHolder.REMOTE, Wallet.EXTERNAL, Wallet.HOT)
HOUSE_PARTICIPATES_KNOWING = (SecretHolder.SELF, Wallet.EXTERNAL, Wallet.HOT)
BROKER = (SecretHolder.SELF, Wallet.EXTERNAL, Wallet.EXTERNAL)
ALL_HOT = (SecretHolder.SELF, Wallet.HOT, Wallet.HOT)
KINDS = [
    HOUSE_INITIATES,
    HOUSE_INITIATES_THEIR_KEY,
    HOUSE_PARTICIPATES,
    HOUSE_PARTICIPATES_KNOWING,
    BROKER,
    ALL_HOT,
]

# what the other party or the world does within one block interval
ACTS = ["lock", "lock early", "claim", "refund", "reorg a", "reorg b", "blind a", "blind b", "sleep", "halt"]

# (block intervals that pass first, what happens, whose transaction wins a race)
moves = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(ACTS), st.sampled_from(["swapd", "other"])), max_size=12)
skews = st.tuples(st.integers(-BLOCK, BLOCK), st.integers(-BLOCK, BLOCK))


class Story:
    """Plays moves within the margins that the plan allows for: two reorgs, four block
    intervals of sleep or blindness."""

    def __init__(self, kind: tuple[Any, ...], skew: tuple[int, int]) -> None:
        self.world = World(make_swap(*kind))
        for role, by in zip(Role, skew, strict=True):
            self.world.chains[role].skew = by
        self.reorgs, self.absences = 2, 4

    def other_knows_secret(self) -> bool:
        return self.world.swap.secret is SecretHolder.REMOTE or self.world.secret_is_out

    def act(self, action: str, first: str) -> None:
        world, asleep = self.world, False
        world.blind.clear()
        world.entry_open = action != "halt"
        for role in Role:
            leg, chain = world.swap.leg(role), world.chains[role]
            if action in ("lock", "lock early") and leg.funded_by is Wallet.EXTERNAL:
                ready = world.chains[Role.INITIATOR].state()[0] is LegState.LOCKED
                if role is Role.INITIATOR or ready or action == "lock early":
                    chain.send(Tx(role, EffectKind.LOCK, "other"))
            if action == "claim" and self.other_knows_secret():
                chain.send(Tx(role, EffectKind.CLAIM, "other"))
            if action == "refund":
                chain.send(Tx(role, EffectKind.REFUND, "other"))
        if action.startswith("reorg") and self.reorgs:
            self.reorgs -= 1
            world.chains[Role.INITIATOR if action.endswith("a") else Role.PARTICIPANT].reorg(CONFIRMATIONS - 1, "other")
        if action.startswith("blind") and self.absences:
            self.absences -= 1
            world.blind.add(Role.INITIATOR if action.endswith("a") else Role.PARTICIPANT)
        if action == "sleep" and self.absences:
            self.absences -= 1
            asleep = True
        world.step(first, asleep)

    def play(self, script: list[tuple[int, str, str]], silence: int = 160) -> World:
        for passing, action, first in script:
            for _ in range(passing):
                self.act("nothing", first)
            self.act(action, first)
        # then the other party falls silent, and time runs out on both chains
        for _ in range(silence):
            self.act("nothing", "other")
        return self.world


def check_every_act(world: World) -> None:
    """Rules that each single act of swapd has to keep, judged by what the chains showed at that moment."""
    swap, locks, revealed = world.swap, set(), False
    for effect, views, latest in world.done:
        leg, view = swap.leg(effect.role), views[effect.role]
        first = views[Role.INITIATOR]
        first_final = first.state is LegState.LOCKED and first.depth >= swap.initiator.confirmations
        if effect.kind is EffectKind.LOCK:
            kept_up = view.state is LegState.SEEN and effect.role in locks
            assert latest <= (leg.terms.fund_by if kept_up else leg.lock_by), "S3"
            assert view.state is LegState.ABSENT or (view.state is LegState.SEEN and effect.role in locks), "S4"
            assert effect.role is Role.INITIATOR or first_final, "S1"
            locks.add(effect.role)
        if effect.reveals:
            assert view.state is LegState.LOCKED, "S2"
            assert view.depth >= leg.confirmations, "S2"
            assert first_final, "S2"
            assert latest <= swap.reveal_by, "S2"
            revealed = True
        if effect.kind is EffectKind.CLAIM and not effect.reveals:
            known = revealed or any(v.preimage for v in views.values()) or swap.secret is SecretHolder.REMOTE
            assert known, "S2"
        if effect.kind is EffectKind.REFUND:
            other = views[effect.role.other]
            gone = other.state is LegState.CLAIMED and other.depth >= swap.leg(effect.role.other).confirmations
            assert not gone, "S6 never both sides"
    for chain in world.chains.values():
        state, _, _ = chain.state()
        in_blocks = [tx for block in chain.blocks for tx in block]
        assert sum(tx.kind is EffectKind.LOCK for tx in in_blocks) <= 1, "S4"
        assert sum(tx.kind is not EffectKind.LOCK for tx in in_blocks) <= 1, state


def honest_side_kept_whole(world: World) -> None:
    """What is swapd's own never goes out without its counterpart coming in."""
    for role in Role:
        mine, theirs = world.chains[role], world.chains[role.other]
        if world.swap.leg(role).own and mine.state()[0] is LegState.CLAIMED:
            assert theirs.state()[0] is LegState.CLAIMED, f"paid the {role} leg and got nothing"
        if world.swap.leg(role).own:
            assert mine.state()[0] is not LegState.LOCKED or theirs.state()[0] is LegState.CLAIMED, (
                "left locked for ever"
            )


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(script=moves, skew=skews)
def test_honest_side_never_ends_with_less(kind, script, skew) -> None:  # type: ignore[no-untyped-def]
    world = Story(kind, skew).play(script)
    check_every_act(world)
    honest_side_kept_whole(world)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(script=moves, skew=skews)
# a secret that is shown before there is a second leg, and then the first one is double spent
@example(script=[(0, "lock", "swapd"), (0, "claim", "swapd"), (0, "reorg a", "swapd")], skew=(0, 0))
def test_every_story_ends_with_an_answer(kind, script, skew) -> None:  # type: ignore[no-untyped-def]
    world = Story(kind, skew).play(script)
    if world.swap.initiator.own and world.status is Status.REDEEMING:
        # everything swapd could do is done: the leg is its receiver's, who may take it or not
        assert world.chains[Role.PARTICIPANT].state()[0] is LegState.CLAIMED
    else:
        assert world.status.ended, world.statuses[-5:]


@settings(max_examples=200, deadline=None)
@given(script=moves, skew=skews, at=st.integers(0, 60))
def test_s8_halting_never_stops_an_exit(script, skew, at) -> None:  # type: ignore[no-untyped-def]
    """With entry shut, exactly the locks are missing from what is wanted with entry open."""
    story = Story(HOUSE_PARTICIPATES, skew)
    story.play(script, silence=at)
    world = story.world
    world.entry_open = True
    wanted = world.ask().effects
    world.entry_open = False
    assert world.ask().effects == tuple(e for e in wanted if e.kind is not EffectKind.LOCK)


@settings(max_examples=200, deadline=None)
@given(script=moves, skew=skews)
def test_deciding_twice_is_deciding_once(script, skew) -> None:  # type: ignore[no-untyped-def]
    """Level-triggered: a lost or repeated observation changes nothing."""
    story = Story(HOUSE_INITIATES, skew)
    for _, action, first in script:
        story.act(action, first)
        assert story.world.ask() == story.world.ask()
        before = [list(chain.mempool) for chain in story.world.chains.values()]
        story.world.poll()
        story.world.poll()
        after = [list(chain.mempool) for chain in story.world.chains.values()]
        assert [set(b) <= set(a) for b, a in zip(before, after, strict=True)] == [True, True]


def test_the_proof_can_fail_without_s2() -> None:
    """Showing the secret for a leg that is not final loses money to a reorg: the world can tell."""
    world = World(make_swap(*HOUSE_INITIATES))
    world.poll()
    for _ in range(CONFIRMATIONS + 1):
        world.step("swapd")
    other = world.chains[Role.PARTICIPANT]
    other.send(Tx(Role.PARTICIPANT, EffectKind.LOCK, "other"))
    world.step("swapd")
    other.send(Tx(Role.PARTICIPANT, EffectKind.CLAIM, "swapd"))  # too early: depth 1
    world.memory = replace(world.memory, reveal_sent=True)
    other.reorg(1, drop="other")
    world.chains[Role.INITIATOR].send(Tx(Role.INITIATOR, EffectKind.CLAIM, "other"))
    for _ in range(10):
        world.step("other")
    with pytest.raises(AssertionError, match="got nothing"):
        honest_side_kept_whole(world)


def test_the_plan_of_these_worlds_holds_its_order() -> None:
    swap = make_swap()
    assert START < swap.initiator.terms.fund_by < swap.participant.terms.fund_by < swap.reveal_by
    assert swap.reveal_by < swap.participant.terms.timelock < swap.initiator.terms.timelock
