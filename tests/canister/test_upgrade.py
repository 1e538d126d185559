"""Upgrades keep everything: swaps in every phase, the log, what is certified, the sweep."""

from __future__ import annotations

import pytest

from swapd.devnet.replica import RejectError
from tests.canister.rig import ALICE, AMOUNT, ARBITER, BOB, CAROL, CONTROLLER, SECRET, Rig, kind


def test_a_locked_swap_lives_through_an_upgrade_and_can_be_claimed(rig: Rig) -> None:
    swap_id = rig.locked()
    before, swap = rig.log(), rig.swap(swap_id)
    rig.upgrade()
    assert rig.swap(swap_id) == swap  # and its certificate verifies, though the system forgets certified data
    assert rig.log()[:-1] == before
    assert rig.log()[-1][1]["op"] == "upgrade"
    assert rig.complete(swap_id)["Ok"]["phase"] == {"Claimed": None}
    assert rig.balance(BOB) == AMOUNT


def test_a_locked_swap_lives_through_an_upgrade_and_can_be_refunded(idle: Rig) -> None:
    swap_id = idle.locked()
    idle.upgrade()
    assert kind(idle.refund(swap_id)) == "DeadlineNotReached"
    idle.advance(2 * 3600)
    assert idle.refund(swap_id)["Ok"]["phase"] == {"Refunded": None}


@pytest.mark.parametrize("fault", ["RejectBefore", "RejectAfter"])
def test_a_claim_that_is_stuck_goes_on_after_an_upgrade(idle: Rig, fault: str) -> None:
    swap_id = idle.locked()
    idle.token.misbehave("icrc1_transfer", fault)
    idle.complete(swap_id)
    idle.upgrade()
    assert idle.phase(swap_id) == "Claiming"
    assert kind(idle.refund(swap_id, BOB)) == "WrongPhase"
    assert idle.resume(swap_id)["Ok"]["phase"] == {"Claimed": None}
    assert idle.balance(BOB) == AMOUNT


@pytest.mark.parametrize("fault", ["RejectBefore", "RejectAfter"])
def test_a_funding_that_is_stuck_goes_on_after_an_upgrade(idle: Rig, fault: str) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    idle.token.misbehave("icrc2_transfer_from", fault)
    idle.initiate(args)
    idle.upgrade()
    assert idle.initiate(args)["Ok"]["phase"] == {"Locked": None}
    idle.complete(swap_id)


def test_no_upgrade_pulls_the_rug_from_under_a_call(idle: Rig) -> None:
    swap_id = idle.locked()
    idle.token.misbehave("icrc1_transfer", {"Late": 1_000})
    request = idle.submit("completeSwap", {"id": swap_id, "secret": SECRET}, CAROL)
    for _ in range(20):
        idle.replica.step()
    with pytest.raises(RejectError, match="outstanding message callbacks"):
        idle.upgrade()
    idle.replica.settle()
    assert "Ok" in idle.answer("completeSwap", request)
    idle.upgrade()
    assert idle.phase(swap_id) == "Claimed"


def test_the_sweep_is_armed_again_after_an_upgrade(rig: Rig) -> None:
    swap_id = rig.locked()
    rig.upgrade()
    assert rig.health()["Ok"]["last_sweep"] == 0
    rig.advance(2 * 3600 + 61)
    assert rig.phase(swap_id) == "Refunded"
    assert rig.health()["Ok"]["last_sweep"] == rig.replica.now_ns


def test_many_upgrades_one_sweep(rig: Rig) -> None:
    for _ in range(5):
        rig.upgrade()
    rig.locked()
    rig.advance(3 * 3600)
    assert rig.health()["Ok"]["open_swaps"] == 0


def test_an_upgrade_keeps_the_configuration_and_not_its_own_argument(rig: Rig) -> None:
    changed = {**rig.config, "sweep_seconds": 7, "ledgers": []}
    assert "Ok" in rig.call("configure", changed, CONTROLLER)
    rig.call("setHalted", {"ledger": rig.token.id, "halted": True}, ARBITER)
    rig.upgrade()
    health = rig.health()["Ok"]
    assert health["config"] == changed
    assert health["halted_ledgers"] == [rig.token.id]


def test_an_upgrade_keeps_requests_and_counts(rig: Rig) -> None:
    open_, over = rig.locked(), rig.locked()
    rig.complete(over)
    rig.upgrade()
    health = rig.health()["Ok"]
    assert (health["swaps"], health["open_swaps"], health["quarantined"]) == (2, 1, 0)
    assert {rig.phase(open_), rig.phase(over)} == {"Locked", "Claimed"}
    assert [swap["initiator"] for swap in rig.listed()] == [ALICE, ALICE]


def test_a_bad_configuration_is_not_installed() -> None:
    for bad in (
        {"sweep_seconds": 0},
        {"min_timelock": 10**15},
        {"arbiter": b"\x04"},
        {"ledgers": [b"\x04"]},
        {"coordinators": [CAROL] * 201},
    ):
        with pytest.raises(RejectError, match="configuration"):
            Rig(**bad)
