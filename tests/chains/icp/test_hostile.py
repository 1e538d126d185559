"""An evil boundary node, an old certificate, a log that lies: nothing is believed, and it is said why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest

from swapd.chains.icp import hashtree, interface
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.principal import text
from swapd.devnet.canisters import built
from swapd.devnet.replica import Replica
from swapd.errors import Rejected, Unavailable
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role
from tests.chains.icp import forge
from tests.chains.icp.proxy import Proxy, changed, reject, status
from tests.chains.icp.world import ALICE, BOB, DAY, PREIMAGE, World, new_world

GET, TIP, BLOCKS = "getSwap", "icrc3_get_tip_certificate", "icrc3_get_blocks"


def flip(data: bytes, place: int = -1) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


# -- views ----------------------------------------------------------------------------------------------------


async def test_s1_an_unsigned_word_is_not_believed(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    world.lock_by(ALICE, leg.leg.terms)
    world.proxy.instead[GET] = changed(interface.GetSwapReply, lambda answer: answer | {"certificate": None})
    with pytest.raises(Untrusted, match="no certificate"):
        await world.view(leg)


@pytest.mark.parametrize("part", ["certificate", "witness"])
async def test_a_changed_certificate_or_witness_is_refused(world: World, part: str) -> None:
    leg = world.leg(sender=ALICE.text)
    world.lock_by(ALICE, leg.leg.terms)
    world.proxy.instead[GET] = changed(
        interface.GetSwapReply, lambda answer: answer | {part: flip(answer[part], len(answer[part]) // 2)}
    )
    with pytest.raises(Untrusted):
        await world.view(leg)


async def test_another_swaps_answer_is_not_this_ones(world: World) -> None:
    leg, other = world.leg(sender=ALICE.text), world.leg(sender=ALICE.text, amount=5_000_000)
    world.lock_by(ALICE, other.leg.terms)
    answers: list[Any] = []
    world.proxy.instead[GET] = lambda _, raw: (answers.append(raw), (200, raw))[1]
    await world.view(other)
    world.proxy.instead[GET] = lambda _, __: (200, answers[0])
    with pytest.raises(Untrusted):
        await world.view(leg)


async def test_s1_a_lock_that_is_there_cannot_be_denied(world: World) -> None:
    """With a proof that some other swap is absent, taken at the same moment."""
    leg, absent = world.leg(sender=ALICE.text), world.leg(sender=ALICE.text, amount=5_000_000)
    world.lock_by(ALICE, leg.leg.terms)
    answers: list[Any] = []
    world.proxy.instead[GET] = lambda _, raw: (answers.append(raw), (200, raw))[1]
    assert (await world.view(absent)).state is LegState.ABSENT
    world.proxy.instead[GET] = lambda _, __: (200, answers[0])
    with pytest.raises(Untrusted):
        await world.view(leg)


async def test_an_old_answer_is_refused_with_its_age(world: World) -> None:
    leg = world.leg(sender=ALICE.text)
    answers: list[Any] = []
    world.proxy.instead[GET] = lambda _, raw: (answers.append(raw), (200, raw))[1]
    await world.view(leg)
    world.lock_by(ALICE, leg.leg.terms)
    world.replica.advance(80)
    world.proxy.instead[GET] = lambda _, __: (200, answers[0])
    assert (await world.view(leg)).state is LegState.ABSENT  # as old as it may be: margins allow for it
    world.replica.advance(20)
    with pytest.raises(Untrusted, match="old"):
        await world.view(leg)


async def test_a_wrong_root_key_trusts_nobody(world: World) -> None:
    async with world.another_chain(root_key=Replica(seed=b"other").root_key.hex()) as chain:
        with pytest.raises(Untrusted, match="signature"):
            await chain.start()


async def test_another_canister_is_not_the_swap_canister(world: World) -> None:
    async with world.another_chain(canister=text(world.ledger)) as chain:
        with pytest.raises((Rejected, Unavailable)):
            await chain.start()


@pytest.mark.parametrize(
    "answer",
    [
        status(500, b"oops"),
        status(200, b"garbage"),
        status(200, b""),
        status(200, cbor2.dumps({"status": "replied"})),
        status(200, cbor2.dumps({"status": "replied", "reply": {"arg": b"DIDL"}})),
        status(200, cbor2.dumps([1, 2])),
        status(302, b""),
    ],
)
async def test_garbage_is_an_error_of_ours_and_says_nothing(world: World, answer: Any) -> None:
    world.proxy.instead[GET] = world.proxy.instead[TIP] = answer
    for ask in (world.view(world.leg()), world.chain.clock(), world.chain.scan(None, [])):
        with pytest.raises(Unavailable):
            await ask


async def test_a_reject_is_passed_on_in_its_words(world: World) -> None:
    world.proxy.instead[GET] = reject(5, "canister trapped: sorry")
    with pytest.raises((Rejected, Unavailable), match="sorry"):
        await world.view(world.leg())


# -- the log --------------------------------------------------------------------------------------------------


async def test_a_forged_block_is_refused_and_the_scan_with_it(world: World) -> None:
    leg, cursor = world.leg(sender=ALICE.text), await world.cursor()
    swap = world.lock_by(ALICE, leg.leg.terms)

    def claim_it(answer: Any) -> Any:
        last = dict(answer["blocks"][-1]["block"]["Map"])
        last["btype"] = {"Text": "swap_claiming"}
        last["tx"] = {"Map": [("id", {"Blob": swap.id}), ("secret", {"Blob": PREIMAGE})]}
        answer["blocks"][-1]["block"] = {"Map": list(last.items())}
        return answer

    world.proxy.instead[BLOCKS] = changed(interface.BlocksReply, claim_it)
    with pytest.raises(Untrusted, match="does not lead to its certified tip"):
        await world.chain.scan(cursor, [leg])


async def test_withheld_blocks_are_noticed(world: World) -> None:
    leg, cursor = world.leg(sender=ALICE.text), await world.cursor()
    world.lock_by(ALICE, leg.leg.terms)
    world.proxy.instead[BLOCKS] = changed(interface.BlocksReply, lambda answer: answer | {"blocks": []})
    with pytest.raises(Untrusted, match="keeps block"):
        await world.chain.scan(cursor, [leg])


async def test_a_log_that_shrinks_is_not_believed(world: World, tmp_path: Path) -> None:
    """As after a snapshot that was restored over live swaps."""
    world.replica.save(tmp_path / "snapshot")
    world.lock_by(ALICE, world.leg(sender=ALICE.text).leg.terms)
    cursor = await world.cursor()
    world.restore(tmp_path / "snapshot")
    with pytest.raises(Untrusted, match="shrunk"):
        await world.chain.scan(cursor, [])
    async with world.another_chain() as chain:  # a process that has not seen the longer one, but knows its cursor
        with pytest.raises(Untrusted, match="blocks, and had"):
            await chain.scan(cursor, [])


async def test_another_log_of_the_same_length_is_not_believed(world: World, tmp_path: Path) -> None:
    leg = world.leg(sender=ALICE.text)
    world.replica.save(tmp_path / "snapshot")
    world.lock_by(ALICE, leg.leg.terms)
    cursor = await world.cursor()
    world.restore(tmp_path / "snapshot")
    world.lock_by(BOB, world.leg(sender=BOB.text, receiver=ALICE.text).leg.terms)
    with pytest.raises(Untrusted, match="another than before"):
        await world.chain.scan(cursor, [leg])


async def test_a_node_that_lags_a_little_is_no_liar(world: World) -> None:
    answers: list[Any] = []
    world.proxy.instead[TIP] = lambda _, raw: (answers.append(raw), (200, raw))[1]
    await world.cursor()
    world.lock_by(ALICE, world.leg(sender=ALICE.text).leg.terms)
    world.replica.advance(1)
    cursor = await world.cursor()
    world.proxy.instead[TIP] = lambda _, __: (200, answers[0])
    assert (await world.chain.scan(cursor, [])).cursor == cursor


# -- exits ----------------------------------------------------------------------------------------------------


async def test_a_claim_held_back_by_a_node_is_sent_again_as_the_same_bytes(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.kept.add("completeSwap")
    claim = await world.send(EffectKind.CLAIM, leg, secret=PREIMAGE)
    assert (await world.view(leg)).state is LegState.LOCKED
    world.proxy.kept.clear()
    await world.chain.broadcast(claim)
    world.replica.settle()
    assert (await world.view(leg)).state is LegState.CLAIMED


async def test_s6_a_node_that_keeps_a_claim_to_itself_keeps_it_from_nobody_if_there_is_another(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.kept |= {"completeSwap", "resumeSwap"}
    async with Proxy(world.proxy.target) as honest, world.another_chain(more_api_urls=(honest.url,)) as chain:
        draft = await chain.draft(
            Effect(EffectKind.CLAIM, Role.PARTICIPANT, world.now + 60), leg, PREIMAGE, [], world.now
        )
        assert draft is not None
        await chain.broadcast(draft.sign(None))
        async with asyncio.timeout(10):
            while (await chain.view(leg)).state is not LegState.CLAIMED:  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.01)
        assert honest.calls["completeSwap"] == 1


UNCERTIFIED = changed(interface.GetSwapReply, lambda answer: answer | {"certificate": flip(answer["certificate"])})


@pytest.mark.parametrize(
    "answer",
    [
        status(500),
        status(429),
        status(400),
        status(200, b"garbage"),
        reject(2, "not now"),
        reject(5, "no"),
        UNCERTIFIED,
    ],
)
async def test_a_node_in_trouble_is_passed_over(world: World, answer: Any) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead[GET] = answer
    async with Proxy(world.proxy.target) as honest, world.another_chain(more_api_urls=(honest.url,)) as chain:
        with suppress(Unavailable, Rejected):  # a lie is only noticed when it was told: then the other one is asked
            await chain.view(leg)
        assert (await chain.view(leg)).state is LegState.LOCKED
        assert (await chain.view(leg)).state is LegState.LOCKED


@pytest.mark.parametrize("answer", [status(400), status(200, cbor2.dumps({"certificate": b"forged"}))])
async def test_a_node_that_lies_about_the_state_is_passed_over(world: World, answer: Any) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead["read_state"] = answer
    its = {"module_hashes": (built("atomic_swap").hash,)}
    async with Proxy(world.proxy.target) as honest, world.another_chain(more_api_urls=(honest.url,), **its) as chain:
        assert [(await chain.view(leg)).depth for _ in range(3)] == [0, 1, 1]


async def test_s8_no_exit_waits_for_the_question_which_program_it_is(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead["read_state"] = status(503)
    async with world.another_chain(module_hashes=(built("atomic_swap").hash,)) as chain:
        view = await chain.view(leg)
        assert (view.state, view.depth) == (LegState.LOCKED, 0)
        effect = Effect(EffectKind.CLAIM, Role.PARTICIPANT, world.now + 60)
        assert await chain.draft(effect, leg, PREIMAGE, [], world.now) is not None
        with pytest.raises(Unavailable):
            await chain.draft(replace(effect, reveals=True), leg, PREIMAGE, [], world.now)


async def test_a_node_that_is_gone_is_passed_over_at_once(world: World) -> None:
    async with world.another_chain(api_url="http://127.0.0.1:9", more_api_urls=(world.proxy.url,)) as chain:
        assert (await chain.view(world.leg())).state is LegState.ABSENT


async def test_a_clock_that_is_late_does_not_blind_us_to_exits(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    async with world.another_chain(now_ns=lambda: world.replica.now_ns - 200 * 10**9) as chain:
        view = await chain.view(leg)
        assert (view.state, view.depth) == (LegState.LOCKED, 0)  # nothing new may rest on it
        late = replace(world, chain=chain)
        with pytest.raises(Rejected, match="clock is more than 60 s behind"):
            await late.draft(EffectKind.LOCK, world.leg(amount=5_000_000))
        with pytest.raises(Rejected, match="clock is more than 60 s behind"):
            await late.draft(EffectKind.CLAIM, leg, secret=PREIMAGE, reveals=True)
        await late.send(EffectKind.CLAIM, leg, secret=PREIMAGE)
        assert (await chain.view(leg)).state is LegState.CLAIMED


async def test_a_tree_that_takes_too_long_to_check_is_refused(world: World) -> None:
    huge = hashtree.encode(forge.tree({number.to_bytes(4): b"v" for number in range(30_000)}))
    world.proxy.instead[TIP] = changed(interface.TipReply, lambda answer: answer | {"hash_tree": huge})
    with pytest.raises(Untrusted, match="nodes"):
        await world.chain.clock()


async def test_a_stopped_canister_says_nothing_and_loses_nothing(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.replica.stop(world.canister)
    with pytest.raises((Unavailable, Rejected)):
        await world.view(leg)
    world.replica.start(world.canister)
    assert (await world.view(leg)).state is LegState.LOCKED


async def test_a_frozen_canister_goes_on_when_it_has_cycles_again(world: World) -> None:
    leg, before = world.leg(), world.balance(BOB)
    await world.lock(leg)
    had = world.replica.canister(world.canister).cycles
    world.replica.add_cycles(world.canister, -had)
    with pytest.raises((Unavailable, Rejected)):
        await world.send(EffectKind.CLAIM, leg, secret=PREIMAGE)
    world.replica.add_cycles(world.canister, had)
    await world.send(EffectKind.CLAIM, leg, secret=PREIMAGE)
    assert world.balance(BOB) > before


async def test_doctor_says_what_is_wrong(world: World) -> None:
    assert all(health.ok for health in await world.chain.examine())
    async with world.another_chain(module_hashes=("00" * 32,), ledger_fees={"ICP": 5}) as chain:
        wrong = {health.name: health for health in await chain.examine() if not health.ok}
        assert set(wrong) == {"module", "ICP"}
        assert all(health.mend for health in wrong.values())
    async with world.another_chain(now_ns=lambda: world.replica.now_ns + DAY * 10**9) as chain:
        (health,) = await chain.examine()
        assert not health.ok
        assert "expiry" in health.says  # the network is the first to notice


# -- delegations ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["ranges", "sharded"])
async def delegating(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path, delegated=request.param) as world:
        yield world


async def test_a_subnet_that_the_root_has_delegated_to_is_believed(delegating: World) -> None:
    leg = delegating.leg()
    await delegating.lock(leg)
    assert (await delegating.view(leg)).state is LegState.LOCKED
    await delegating.send(EffectKind.CLAIM, leg, secret=PREIMAGE)
    assert (await delegating.view(leg)).state is LegState.CLAIMED
