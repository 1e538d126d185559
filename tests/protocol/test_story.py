"""What people read about a swap, for each status that it can have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegState, Stray
from swapd.protocol.status import MEANING, Status
from swapd.protocol.story import next_step
from swapd.protocol.terms import Role, SecretHolder, Wallet
from tests.protocol.world import CONFIRMATIONS, Tx, World, make_swap

OURS_FIRST = (SecretHolder.SELF, Wallet.HOT, Wallet.EXTERNAL)
OURS_SECOND = (SecretHolder.REMOTE, Wallet.EXTERNAL, Wallet.HOT)
BROKERED = (SecretHolder.SELF, Wallet.EXTERNAL, Wallet.EXTERNAL)


class Telling(World):
    """A world that says what is next, after each of the things that tests let happen."""

    def blocks(self, count: int) -> Telling:
        for _ in range(count):
            self.step("swapd")
        return self

    def other(self, kind: EffectKind, role: Role) -> Telling:
        self.chains[role].send(Tx(role, kind, "other"))
        return self

    def until(self, moment: int) -> Telling:
        while self.now <= moment:
            self.step("swapd")
        return self

    @property
    def said(self) -> str:
        return next_step(self.swap, self.views(), self.status, self.ask())


def world(kind: tuple[SecretHolder, Wallet, Wallet]) -> Telling:
    return Telling(make_swap(*kind))


def both_locked() -> Telling:
    return world(OURS_FIRST).blocks(4).other(EffectKind.LOCK, Role.PARTICIPANT)


def refunding() -> Telling:
    telling = world(OURS_FIRST)
    return telling.until(telling.swap.participant.terms.fund_by)


def refunded() -> Telling:
    telling = world(OURS_FIRST)
    return telling.until(telling.swap.initiator.terms.timelock).blocks(CONFIRMATIONS + 2)


def halted() -> Telling:
    telling = world(OURS_FIRST)
    telling.entry_open = False
    return telling.blocks(1)


def cancelled() -> Telling:
    telling = world(BROKERED)
    telling.memory = replace(telling.memory, cancelled=True)
    return telling.blocks(1)


def expired() -> Telling:
    telling = world(BROKERED)
    return telling.until(telling.swap.initiator.terms.fund_by).blocks(1)


def failed() -> Telling:
    """The other side takes our leg, and we never get to theirs: swapd's node was cut off all the time."""
    telling = world(OURS_FIRST).blocks(4)
    telling.other(EffectKind.LOCK, Role.PARTICIPANT).blocks(CONFIRMATIONS)
    telling.chains[Role.PARTICIPANT].mempool.clear()
    telling.chains[Role.PARTICIPANT].blocks.clear()
    telling.other(EffectKind.CLAIM, Role.INITIATOR)
    return telling.until(telling.swap.initiator.terms.timelock).blocks(CONFIRMATIONS)


SAID: dict[Status, tuple[Callable[[], Telling], str]] = {
    Status.PROPOSED: (halted, MEANING[Status.PROPOSED]),
    Status.ACCEPTED: (
        lambda: world(BROKERED).blocks(1),
        "waiting for its owner to fund the initiator leg on a",
    ),
    Status.INITIATOR_LOCKED: (
        lambda: world(OURS_FIRST).blocks(2),
        "waiting for the initiator leg on a to be final: 1 of 3 confirmations",
    ),
    Status.PARTICIPANT_LOCKED: (
        lambda: both_locked().blocks(2),
        "waiting for the participant leg on b to be final: 2 of 3 confirmations",
    ),
    Status.REDEEMING: (
        lambda: both_locked().blocks(4),
        "the secret is out; waiting until both claims are final, or for the receiver's own claim",
    ),
    Status.COMPLETED: (lambda: both_locked().blocks(20), MEANING[Status.COMPLETED]),
    Status.REFUNDING: (refunding, "swapd refunds the initiator leg on a when its timelock has passed"),
    Status.REFUNDED: (refunded, MEANING[Status.REFUNDED]),
    Status.EXPIRED: (expired, MEANING[Status.EXPIRED]),
    Status.CANCELLED: (cancelled, MEANING[Status.CANCELLED]),
    Status.FAILED: (failed, MEANING[Status.FAILED]),
}


@pytest.mark.parametrize("status", Status)
def test_each_status_has_its_sentence(status: Status) -> None:
    told, sentence = SAID[status]
    telling = told()
    assert telling.status is status
    assert telling.said == sentence


@pytest.mark.parametrize("status", Status)
def test_each_status_has_a_meaning(status: Status) -> None:
    assert MEANING[status]


@pytest.mark.parametrize(
    ("telling", "sentence"),
    [
        (lambda: world(OURS_FIRST), "funding the initiator leg on a"),
        (
            lambda: world(OURS_SECOND).other(EffectKind.LOCK, Role.INITIATOR).blocks(1),
            "waiting for the initiator leg on a to be final: 1 of 3 confirmations",
        ),
        (lambda: world(OURS_FIRST).blocks(4), "waiting for its owner to fund the participant leg on b"),
    ],
)
def test_what_is_waited_for_or_done_is_said(telling: Callable[[], Telling], sentence: str) -> None:
    assert telling().said == sentence


def test_a_claim_that_shows_the_secret_says_so() -> None:
    telling = both_locked().blocks(CONFIRMATIONS - 1)
    telling.now += 10
    telling.chains[Role.PARTICIPANT].mine(telling.now, "swapd")
    assert telling.said == "claiming the participant leg on b, which shows the secret"


def test_a_due_refund_is_said() -> None:
    telling = refunding()
    telling.until(telling.swap.initiator.terms.timelock - 10)
    while telling.chains[Role.INITIATOR].clock < telling.swap.initiator.terms.timelock:
        telling.now += 10
        telling.chains[Role.INITIATOR].mine(telling.now, "swapd")
    assert telling.said == "refunding the initiator leg on a"


def test_who_has_to_refund_is_said() -> None:
    telling = refunding()
    leg = replace(telling.swap.initiator, funded_by=Wallet.EXTERNAL, refund_by_swapd=False)
    telling.swap = replace(telling.swap, initiator=leg)
    assert telling.said == "its owner can refund the initiator leg on a when its timelock has passed"


def test_a_stray_lock_that_goes_back_is_said() -> None:
    telling = refunded()
    stray = Stray("ref-7", 5, "wrong amount", "refund", refundable=True)
    views = telling.views() | {Role.INITIATOR: telling.chains[Role.INITIATOR].view((stray,))}
    decision = replace(telling.ask(), effects=(Effect(EffectKind.REFUND, Role.INITIATOR, 0, stray=stray.ref),))
    assert next_step(telling.swap, views, telling.status, decision) == (
        "sending back ref-7, which is not the initiator leg on a"
    )


@pytest.mark.parametrize(
    ("blind", "chains"), [({Role.INITIATOR}, "a"), ({Role.PARTICIPANT}, "b"), (set(Role), "a and b")]
)
def test_a_chain_that_can_not_be_read_is_named(blind: set[Role], chains: str) -> None:
    telling = both_locked().blocks(2)
    telling.blind = blind
    assert telling.said == f"{chains} can not be read; nothing new is begun until it can, exits elsewhere go on"


def test_no_sentence_shows_a_secret() -> None:
    """S9: views of a claim hold the preimage."""
    telling = both_locked().blocks(4)
    preimage = telling.ask().preimage
    assert preimage is not None
    assert telling.views()[Role.PARTICIPANT].state is LegState.CLAIMED
    assert preimage.hex() not in telling.said
