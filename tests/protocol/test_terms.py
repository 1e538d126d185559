"""Terms that can not be right are refused when they are made, with field, value and what was expected."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from swapd.errors import Invalid
from swapd.protocol.terms import Leg, LegTerms, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from tests.protocol.world import HASHLOCK, make_swap

SWAP = make_swap()
LEG = SWAP.initiator
TERMS = LEG.terms


@pytest.mark.parametrize(
    ("changes", "field", "value", "expected"),
    [
        ({"hashlock": b"\0" * 31}, "hashlock", "00" * 31, "64 hex digits"),
        ({"hashlock": b"\0" * 33}, "hashlock", "00" * 33, "64 hex digits"),
        ({"hashlock": b""}, "hashlock", "", "64 hex digits"),
        ({"amount": 0}, "amount", 0, "a whole number above zero of a's smallest unit"),
        ({"amount": -1}, "amount", -1, "a whole number above zero of a's smallest unit"),
        ({"sender": ""}, "sender", "", "an identity on a"),
        ({"receiver": ""}, "receiver", "", "an identity on a"),
        ({"fund_by": 0}, "fund_by", 0, f"a Unix time before the leg's timelock {TERMS.timelock}"),
        ({"fund_by": -5}, "fund_by", -5, f"a Unix time before the leg's timelock {TERMS.timelock}"),
        (
            {"fund_by": TERMS.timelock},
            "fund_by",
            TERMS.timelock,
            f"a Unix time before the leg's timelock {TERMS.timelock}",
        ),
        (
            {"timelock": TERMS.fund_by},
            "fund_by",
            TERMS.fund_by,
            f"a Unix time before the leg's timelock {TERMS.fund_by}",
        ),
        ({"timelock": 2**32}, "timelock", 2**32, "Unix seconds below 2^32"),
    ],
)
def test_leg_terms_are_refused(changes: dict[str, Any], field: str, value: object, expected: str) -> None:
    with pytest.raises(Invalid) as caught:
        replace(TERMS, **changes)
    assert (caught.value.field, caught.value.value, caught.value.expected) == (field, value, expected)


@pytest.mark.parametrize(
    "changes", [{"amount": 1}, {"timelock": 2**32 - 1}, {"fund_by": 1}, {"fund_by": TERMS.timelock - 1}]
)
def test_leg_terms_are_taken_up_to_the_bound(changes: dict[str, Any]) -> None:
    assert isinstance(replace(TERMS, **changes), LegTerms)


@pytest.mark.parametrize(
    ("changes", "field", "value", "expected"),
    [
        ({"confirmations": 0}, "confirmations", 0, "at least 1"),
        ({"lock_by": 0}, "lock_by", 0, f"a Unix time up to the leg's fund_by {TERMS.fund_by}"),
        (
            {"lock_by": TERMS.fund_by + 1},
            "lock_by",
            TERMS.fund_by + 1,
            f"a Unix time up to the leg's fund_by {TERMS.fund_by}",
        ),
        (
            {"claimed_by": Wallet.HOT, "claim_by_swapd": False},
            "receiver",
            TERMS.receiver,
            "an identity that swapd's own wallet can claim with",
        ),
        (
            {"funded_by": Wallet.HOT, "refund_by_swapd": False},
            "sender",
            TERMS.sender,
            "an identity that swapd's own wallet can refund with",
        ),
    ],
)
def test_a_leg_is_refused(changes: dict[str, Any], field: str, value: object, expected: str) -> None:
    with pytest.raises(Invalid) as caught:
        replace(LEG, **changes)
    assert (caught.value.field, caught.value.value, caught.value.expected) == (field, value, expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"confirmations": 1},
        {"lock_by": 1},
        {"lock_by": TERMS.fund_by},
        {"claimed_by": Wallet.EXTERNAL, "claim_by_swapd": False},
        {"funded_by": Wallet.EXTERNAL, "refund_by_swapd": False},
    ],
)
def test_a_leg_is_taken_up_to_the_bound(changes: dict[str, Any]) -> None:
    assert isinstance(replace(LEG, **changes), Leg)


@pytest.mark.parametrize(
    ("funded_by", "claimed_by", "own"),
    [
        (Wallet.HOT, Wallet.EXTERNAL, True),
        (Wallet.HOT, Wallet.HOT, False),
        (Wallet.EXTERNAL, Wallet.HOT, False),
        (Wallet.EXTERNAL, Wallet.EXTERNAL, False),
    ],
)
def test_a_leg_is_our_own_if_our_money_goes_to_somebody_else(funded_by: Wallet, claimed_by: Wallet, own: bool) -> None:
    assert replace(LEG, funded_by=funded_by, claimed_by=claimed_by).own is own


def changed(
    initiator: dict[str, Any] | None = None, participant: dict[str, Any] | None = None, **swap: Any
) -> SwapTerms:
    """The swap with other leg terms and other fields of its own."""
    legs = {}
    for leg, changes in ((SWAP.initiator, initiator), (SWAP.participant, participant)):
        terms = replace(leg.terms, **(changes or {}))
        legs[leg.role.value] = replace(leg, terms=terms, lock_by=min(leg.lock_by, terms.fund_by))
    return replace(SWAP, **{**legs, **swap})


FIRST, SECOND = SWAP.initiator.terms, SWAP.participant.terms
REVEAL = f"from fund_by {SECOND.fund_by} to before the timelock {SECOND.timelock}"


@pytest.mark.parametrize(
    ("initiator", "participant", "swap", "field", "value", "expected"),
    [
        ({}, {"asset": FIRST.asset}, {}, "chain", "a", "a chain other than the initiator leg's a"),
        ({}, {"hashlock": b"\1" * 32}, {}, "hashlock", "01" * 32, "the same hashlock on both legs"),
        (
            {"timelock": SECOND.timelock},
            {},
            {},
            "timelock",
            SECOND.timelock,
            f"later than the participant leg's timelock {SECOND.timelock}",
        ),
        ({}, {}, {"reveal_by": SECOND.fund_by - 1}, "reveal_by", SECOND.fund_by - 1, REVEAL),
        ({}, {}, {"reveal_by": SECOND.timelock}, "reveal_by", SECOND.timelock, REVEAL),
        (
            {"fund_by": SECOND.fund_by + 1},
            {},
            {},
            "fund_by",
            SECOND.fund_by,
            f"not before the initiator leg's fund_by {SECOND.fund_by + 1}",
        ),
    ],
)
def test_swap_terms_are_refused(
    initiator: dict[str, Any],
    participant: dict[str, Any],
    swap: dict[str, Any],
    field: str,
    value: object,
    expected: str,
) -> None:
    with pytest.raises(Invalid) as caught:
        changed(initiator, participant, **swap)
    assert (caught.value.field, caught.value.value, caught.value.expected) == (field, value, expected)


def test_legs_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(Invalid) as caught:
        replace(SWAP, initiator=replace(SWAP.initiator, role=Role.PARTICIPANT))
    assert (caught.value.field, caught.value.expected) == ("role", "initiator leg first, participant leg second")


def test_s2_a_secret_of_ours_needs_a_participant_leg_that_we_can_claim() -> None:
    legs: dict[str, Any] = {"participant": replace(SWAP.participant, claimed_by=Wallet.EXTERNAL, claim_by_swapd=False)}
    with pytest.raises(Invalid, match="an address instead of a key") as caught:
        replace(SWAP, secret=SecretHolder.SELF, **legs)
    assert (caught.value.field, caught.value.value) == ("receiver", SECOND.receiver)
    assert replace(SWAP, secret=SecretHolder.REMOTE, **legs).secret is SecretHolder.REMOTE


@pytest.mark.parametrize(
    ("initiator", "swap"),
    [
        ({"timelock": SECOND.timelock + 1}, {}),
        ({"fund_by": SECOND.fund_by}, {}),
        ({}, {"reveal_by": SECOND.fund_by}),
        ({}, {"reveal_by": SECOND.timelock - 1}),
    ],
)
def test_swap_terms_are_taken_up_to_the_bound(initiator: dict[str, Any], swap: dict[str, Any]) -> None:
    assert changed(initiator, **swap).hashlock == HASHLOCK


def test_s3_swapd_starts_early_enough_for_its_lock_to_be_in_a_block_by_fund_by() -> None:
    for swap in (make_swap(), make_swap(SecretHolder.REMOTE, Wallet.EXTERNAL, Wallet.HOT)):
        for leg in swap.legs:
            if leg.funded_by is Wallet.HOT:
                assert leg.lock_by < leg.terms.fund_by
            assert leg.lock_by <= leg.terms.fund_by < leg.terms.timelock


def test_terms_never_change() -> None:
    for agreed in (SWAP, LEG, TERMS):
        with pytest.raises(FrozenInstanceError):
            agreed.created_at = 1  # type: ignore[union-attr, misc]


def test_both_parties_call_a_swap_the_same() -> None:
    assert SWAP.swap_id == swap_id_of(HASHLOCK) == HASHLOCK.hex()[:16]


def test_each_role_has_its_leg() -> None:
    assert [SWAP.leg(role) for role in Role] == list(SWAP.legs)
    assert Role.INITIATOR.other is Role.PARTICIPANT
    assert Role.PARTICIPANT.other is Role.INITIATOR
