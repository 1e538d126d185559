"""What lies ahead of a swap, at each stage of it."""

from __future__ import annotations

from swapd.protocol.effects import EffectKind
from swapd.protocol.outlook import Deadline, outlook
from swapd.protocol.terms import Role
from tests.protocol.test_story import (
    BROKERED,
    OURS_FIRST,
    OURS_SECOND,
    Telling,
    both_locked,
    refunded,
    refunding,
    world,
)


def ahead(telling: Telling) -> tuple[Deadline, ...]:
    return outlook(telling.swap, telling.views(), telling.status)


def told(telling: Telling) -> list[str]:
    return [f"{each.what}; after that {each.after}" for each in ahead(telling)]


def test_before_anything_is_locked_only_time_can_be_lost() -> None:
    telling = world(OURS_FIRST)
    assert told(telling) == [
        "swapd funds the initiator leg on a; after that the swap expires, with nothing locked",
        "its owner funds the participant leg on b; after that the swap expires, with nothing locked",
        "swapd shows the secret; after that it is kept, and both legs go back",
    ]
    assert [each.at for each in ahead(telling)] == [
        telling.swap.initiator.terms.fund_by,
        telling.swap.participant.terms.fund_by,
        telling.swap.reveal_by,
    ]


def test_with_one_leg_locked_its_way_back_is_told() -> None:
    telling = world(OURS_FIRST).blocks(3)
    assert told(telling) == [
        "its owner funds the participant leg on b; after that the swap is over, and what is locked goes back",
        "swapd shows the secret; after that it is kept, and both legs go back",
        "its receiver claims the initiator leg on a;"
        " after that swapd sends it back to back, unless a claim comes first",
    ]
    assert ahead(telling)[-1].at == telling.swap.initiator.terms.timelock


def test_somebody_elses_secret_is_waited_for() -> None:
    telling = world(OURS_SECOND).other(EffectKind.LOCK, Role.INITIATOR).blocks(8)
    assert "swapd claims, once the secret is public, the initiator leg on a" in [each.what for each in ahead(telling)]


def test_with_both_legs_locked_the_nearest_deadline_comes_first() -> None:
    telling = both_locked().blocks(1)
    times = [each.at for each in ahead(telling)]
    assert times == sorted(times)
    assert times[0] == telling.swap.reveal_by


def test_a_refund_to_come_says_when_and_by_whom() -> None:
    assert told(refunding()) == ["the initiator leg on a stays locked; after that swapd sends it back to back"]


def test_nothing_lies_ahead_of_what_has_ended() -> None:
    assert ahead(refunded()) == ()


def test_a_brokered_swap_says_who_has_to_fund() -> None:
    assert [each.what for each in ahead(world(BROKERED))][:2] == [
        "its owner funds the initiator leg on a",
        "its owner funds the participant leg on b",
    ]
