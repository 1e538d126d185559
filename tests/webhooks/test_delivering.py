"""From the audit chain to a receiver: every event, once per delivery id, in order per swap, whatever breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from swapd.api import keys
from swapd.coordinator.receivers import Answer, Doors, Postman
from swapd.errors import Unavailable, Unknown
from swapd.store import KeyRole, Store
from swapd.store import store as store_module
from swapd.store.webhooks import DeliveryState, WebhookRow
from tests.store.store_samples import AesSealer, RawSql, add_swap
from tests.webhooks.conftest import Delivering
from tests.webhooks.news import expected, happen, hook, rows, told
from tests.webhooks.receiver import Got, Receiver, signatures

CHECKOUT = Path(__file__).resolve().parents[2]


def whole(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def in_order(receiver: Receiver, number: int, swaps: tuple[str, ...] = ("swap-a", "swap-b", "swap-c")) -> None:
    """All arrived, in order, and under one id a delivery, each id with one event."""
    assert told(receiver.taken) == expected(number, swaps)
    bodies: dict[str, bytes] = {}
    for got in receiver.got:
        assert bodies.setdefault(got.id, got.body) == got.body
    assert len({got.event["id"] for got in receiver.taken}) == len({got.id for got in receiver.taken})


async def test_every_event_arrives_signed_in_order_and_once(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    secret = bytes(range(32))
    await hook(store, receiver.url, secret=secret)
    await happen(store, 2)
    async with delivering(store) as deliverer:
        await happen(store, 2, ("swap-d",))
        await receiver.until(lambda: len(receiver.taken) == 8)
    swaps = ("swap-a", "swap-b", "swap-c", "swap-d")
    assert told(receiver.taken) == expected(2, swaps)
    assert all(signatures(secret, got) for got in receiver.got)
    assert not any(signatures(b"another", got) for got in receiver.got)
    first = receiver.got[0]
    assert first.headers[":line"] == "POST /hook?a=b HTTP/1.1"
    assert first.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert first.headers["content-type"] == "application/json"
    assert sorted(first.event) == ["data", "id", "swap_id", "time", "type"]
    assert not deliverer.sending.total()


async def test_s9_no_secret_of_a_webhook_is_in_the_database_or_the_chain(
    store: Store, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    secret = b"a secret that is easy to be seen"
    await hook(store, receiver.url, secret=secret)
    async with store.read() as tx:
        assert "easy to be seen" not in repr(await tx.audit_trail())
    if url.startswith("sqlite"):
        await store.close()
        assert secret not in whole(tmp_path)


async def test_a_receiver_that_dies_and_comes_back_misses_nothing(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    await hook(store, receiver.url)
    async with delivering(store):
        await happen(store, 1)
        await receiver.until(lambda: len(receiver.taken) >= 1)
        await receiver.kill()
        for count in range(1, 4):
            for swap in ("swap-a", "swap-b", "swap-c"):
                async with store.write("world") as tx:
                    tx.audit("status", swap, before="", after="", note=f"{swap} {count}")
        await asyncio.sleep(0.3)  # some tries in vain
        await receiver.start()
        await receiver.until(lambda: len({got.id for got in receiver.taken}) == 12)
    in_order(receiver, 4)


async def test_events_of_one_swap_wait_for_each_other_and_those_of_others_do_not(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    open_it = asyncio.Event()

    async def behave(got: Got) -> int:
        if got.event["swap_id"] == "swap-a":
            await open_it.wait()
        return 200

    receiver.behave = behave
    the_hook = await hook(store, receiver.url)
    async with delivering(store, timeout_seconds=20):
        await happen(store, 3)
        await receiver.until(lambda: len(receiver.taken) == 6)
        assert [got.event["data"]["note"] for got in receiver.got if got.event["swap_id"] == "swap-a"] == ["swap-a 0"]
        assert len(await rows(store, the_hook, DeliveryState.HELD)) == 2
        open_it.set()
        await receiver.until(lambda: len(receiver.taken) == 9)
    in_order(receiver, 3)


@pytest.mark.parametrize("answer", [500, 302, 410, None])
async def test_what_is_not_taken_is_sent_again_under_the_same_id(
    store: Store, receiver: Receiver, delivering: Delivering, answer: int | None
) -> None:
    async def behave(got: Got) -> int | None:
        return 204 if sum(each.id == got.id for each in receiver.got) > 2 else answer

    receiver.behave, receiver.answer_headers = behave, (f"Location: http://127.0.0.1:{receiver.port}/elsewhere",)
    the_hook = await hook(store, receiver.url)
    await happen(store, 2)
    async with delivering(store):
        await receiver.until(lambda: len(receiver.taken) == 6)
    in_order(receiver, 2)
    assert Counter(got.id for got in receiver.got).most_common()[-1][1] == 3
    assert not [got for got in receiver.got if "/elsewhere" in got.headers[":line"]], "a redirect was followed"
    assert {row.tries for row in await rows(store, the_hook)} == {3}


async def test_a_receiver_that_hangs_costs_others_no_time(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    async def hang(_: Got) -> int:
        await asyncio.sleep(3600)
        return 200

    async with Receiver(hang) as hanging:
        await hook(store, hanging.url)
        await hook(store, receiver.url)
        async with delivering(store, timeout_seconds=30) as deliverer:
            await happen(store, 5, tuple(f"swap-{n}" for n in range(8)))
            await receiver.until(lambda: len(receiver.taken) == 40)
            assert len(hanging.got) <= deliverer.settings.at_once
        assert all(got.answered is None for got in hanging.got)


async def test_a_dead_letter_holds_its_swap_and_no_other_until_it_is_replayed_in_order(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    broken = True

    async def behave(got: Got) -> int:
        return 500 if broken and got.event["swap_id"] == "swap-a" else 200

    receiver.behave = behave
    the_hook = await hook(store, receiver.url)
    async with delivering(store, tries=3):
        await happen(store, 3)
        await settled(store, the_hook, delivered=6, held=2, dead=1)
        (dead,) = await rows(store, the_hook, DeliveryState.DEAD)
        assert (dead.tries, dead.answer, dead.swap_id) == (3, 500, "swap-a")
        assert "500" in dead.error
        async with store.read() as tx:
            counts = (await tx.undelivered([the_hook.id]))[the_hook.id]
        assert counts == {DeliveryState.WAITING: 0, DeliveryState.HELD: 2, DeliveryState.DEAD: 1}
        assert told(receiver.taken) == expected(3, ("swap-b", "swap-c"))
        broken = False
        async with store.write("ann") as tx:
            assert await tx.replay(the_hook.id) == 1
        await receiver.until(lambda: len(receiver.taken) == 9)
    in_order(receiver, 3)


async def settled(store: Store, the_hook: WebhookRow, **states: int) -> None:
    """What came of a post is written down some moments after it was answered."""
    async with asyncio.timeout(10):
        while Counter(row.state.value for row in await rows(store, the_hook)) != states:  # noqa: ASYNC110 - a database
            await asyncio.sleep(0.02)


async def test_paused_nothing_is_sent_and_nothing_is_lost(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    the_hook, other = await hook(store, receiver.url), await hook(store, f"{receiver.url}&other")
    async with store.write() as tx:
        await tx.pause_webhook(the_hook.id)
    async with delivering(store):
        await happen(store, 2)
        await receiver.until(lambda: len(receiver.taken) == 6)
        assert all("&other" in got.headers[":line"] for got in receiver.got)
        async with store.write() as tx:
            await tx.resume_webhook(the_hook.id)
        await receiver.until(lambda: len(receiver.taken) == 12)
    assert told(got for got in receiver.taken if "&other" not in got.headers[":line"]) == expected(2)
    async with store.write() as tx:
        await tx.delete_webhook(other.id)
    async with store.read() as tx:
        assert [each.id for each in await tx.webhooks()] == [the_hook.id]


async def test_a_sender_that_dies_between_post_and_record_posts_again_under_the_same_id(
    store: Store, receiver: Receiver, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Death is simulated: nothing after the post happens, and the next sender has the same name."""
    post = Postman.post

    async def post_and_die(self: Postman, *args: object, **kwargs: object) -> Answer:
        await post(self, *args, **kwargs)  # type: ignore[arg-type]
        raise asyncio.CancelledError

    await hook(store, receiver.url)
    await happen(store, 2)
    with monkeypatch.context() as patch:
        patch.setattr(Postman, "post", post_and_die)
        async with delivering(store):
            await receiver.until(lambda: len(receiver.taken) == 3)
    async with delivering(store):
        await receiver.until(lambda: len({got.id for got in receiver.taken}) == 6)
    in_order(receiver, 2)
    assert len(receiver.got) == 9


async def test_killed_with_sigkill_at_any_moment_nothing_is_lost(url: str, store: Store, receiver: Receiver) -> None:
    """Real processes, each killed with something under way; the last one is left alone."""
    the_hook = await hook(store, receiver.url)
    await happen(store, 4)
    for kill_at in (1, 5, None):
        child = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.webhooks.sender", url, cwd=CHECKOUT)

        async def dies(_: Got, pid: int = child.pid, at: int | None = kill_at) -> int | None:
            if at is not None and len(receiver.taken) + 1 >= at:
                os.kill(pid, signal.SIGKILL)  # it has posted, and does not know what came of it
            return 200

        receiver.behave = dies
        if kill_at is not None:
            await asyncio.wait_for(child.wait(), 60)
            continue
        with suppress(ProcessLookupError):
            await receiver.until(lambda: len({got.id for got in receiver.taken}) == 12, 60)
            child.terminate()
        assert await asyncio.wait_for(child.wait(), 60) == 0
    in_order(receiver, 4)
    assert {row.state for row in await rows(store, the_hook)} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize("happened", [False, True])
async def test_a_commit_that_fails_anywhere_loses_and_doubles_nothing(
    store: Store, receiver: Receiver, delivering: Delivering, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    """Every third commit breaks off; happened: after the database had carried it out."""
    commit, count = store_module._commit, 0

    async def fails(connection: object) -> None:
        nonlocal count
        count += 1
        if count % 3:
            await commit(connection)  # type: ignore[arg-type]
            return
        if happened:
            await commit(connection)  # type: ignore[arg-type]
            raise Unknown("the connection broke")
        raise Unavailable("the connection broke")

    the_hook = await hook(store, receiver.url)
    await happen(store, 3)
    monkeypatch.setattr(store_module, "_commit", fails)
    monkeypatch.setattr(store_module.Health, "failed", lambda *_: None)
    monkeypatch.setattr("swapd.coordinator.webhooks.LEASE_SLACK", 1)
    async with delivering(store, timeout_seconds=0.5):
        await receiver.until(lambda: len({got.id for got in receiver.taken}) == 9, 60)
    monkeypatch.setattr(store_module, "_commit", commit)
    in_order(receiver, 3)
    assert len(await rows(store, the_hook)) == 9


async def test_two_workers_share_the_work_and_neither_order_nor_events_suffer(
    url: str, store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    at_once: Counter[str] = Counter()

    async def behave(got: Got) -> int:
        at_once[got.event["swap_id"]] += 1
        assert at_once[got.event["swap_id"]] == 1, "two events of a swap are on their way at the same time"
        await asyncio.sleep(0.005)
        at_once[got.event["swap_id"]] -= 1
        return (
            503 if got.event["id"] % 5 == 0 and len([each for each in receiver.got if each.id == got.id]) < 2 else 200
        )

    receiver.behave = behave
    await hook(store, receiver.url)
    other = await Store.open(url, AesSealer())
    swaps = tuple(f"swap-{n}" for n in range(6))
    try:
        async with delivering(store, "one"), delivering(other, "two"):
            await asyncio.gather(happen(store, 5, swaps[:3]), happen(other, 5, swaps[3:]))
            await receiver.until(lambda: len(receiver.taken) >= 30)
    finally:
        await other.close()
    in_order(receiver, 5, swaps)
    assert len(receiver.taken) == 30, "something was delivered twice though nobody died"


async def test_a_tenants_webhook_hears_of_its_own_swaps_alone(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    mine, other = await add_swap(store), await add_swap(store)
    async with store.write() as tx:
        await tx.own(mine, "shop", {})
        await tx.own(other, "bazaar", {})
    await keys.issue(store, "admin", "shop", KeyRole.MARKETPLACE)
    tenant = await hook(store, receiver.url, owner="shop")
    async with delivering(store, doors=Doors(["127.0.0.1"])):
        await happen(store, 2, (other, mine))
        await receiver.until(lambda: len(receiver.taken) == 2)
    assert told(receiver.got) == expected(2, (mine,))
    assert [row.swap_id for row in await rows(store, tenant)] == [mine, mine]


async def test_a_tenant_whose_key_was_revoked_hears_nothing_more(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    mine = await add_swap(store)
    async with store.write() as tx:
        await tx.own(mine, "shop", {})
    key, _ = await keys.issue(store, "admin", "shop", KeyRole.MARKETPLACE)
    await hook(store, receiver.url, owner="shop")
    house = await hook(store, f"{receiver.url}&house")
    await happen(store, 1, (mine,))
    await keys.revoke(store, "admin", key.id)
    async with delivering(store, doors=Doors(["127.0.0.1"])):
        await happen(store, 1, (mine,))
        await receiver.until(lambda: len(receiver.taken) == 2)
    assert all("&house" in got.headers[":line"] for got in receiver.got)
    assert len(await rows(store, house)) == 2


async def test_only_the_types_that_were_asked_for_and_pings_arrive(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    the_hook = await hook(store, receiver.url, types=("swap.cancelled",))
    other = await hook(store, f"{receiver.url}&other", types=("swap.created",))
    async with store.write() as tx:
        tx.audit("status", "swap-a", note="not asked for")
        tx.audit("swap cancelled", "swap-a", why="no more wanted")
        await tx.ping_webhook(the_hook.id)
    async with delivering(store):
        await receiver.until(lambda: len(receiver.taken) == 2)
    assert sorted(got.event["type"] for got in receiver.got) == ["swap.cancelled", "webhook.ping"]
    assert not await rows(store, other)


async def test_while_a_secret_is_exchanged_both_sign(store: Store, receiver: Receiver, delivering: Delivering) -> None:
    the_hook = await hook(store, receiver.url, secret=b"o" * 32)
    async with store.write() as tx:
        await tx.rotate_webhook(the_hook.id, b"n" * 32, 60)
    async with delivering(store):
        await happen(store, 1, ("swap-a",))
        await receiver.until(lambda: len(receiver.taken) == 1)
        async with store.write() as tx:
            await tx.rotate_webhook(the_hook.id, b"m" * 32, 0)
        await happen(store, 1, ("swap-b",))
        await receiver.until(lambda: len(receiver.taken) == 2)
    first, second = receiver.got
    assert signatures(b"n" * 32, first)
    assert signatures(b"o" * 32, first)
    assert signatures(b"m" * 32, second)
    assert not signatures(b"n" * 32, second)


@pytest.mark.parametrize("change", ["url = :thief", "owner = :thief", "secret = previous"])
async def test_a_webhook_that_somebody_changed_in_the_database_is_sent_nothing_and_holds_up_nobody(
    store: Store, url: str, receiver: Receiver, delivering: Delivering, change: str
) -> None:
    changed, good = await hook(store, receiver.url), await hook(store, f"{receiver.url}&good")
    async with store.write() as tx:
        await tx.rotate_webhook(changed.id, b"n" * 32, 60)
    named = {"hook": changed.id} | ({"thief": f"{receiver.url}&thief"} if "thief" in change else {})
    await RawSql(url).run(f"UPDATE webhooks SET {change} WHERE id = :hook", **named)  # noqa: S608
    async with delivering(store):
        await happen(store, 2)
        await receiver.until(lambda: len(receiver.taken) == 6)
    assert all("&good" in got.headers[":line"] for got in receiver.got)
    assert {row.state for row in await rows(store, good)} == {DeliveryState.DELIVERED}


async def test_an_older_database_delivers_again_under_the_ids_that_are_known(
    store: Store, url: str, receiver: Receiver, delivering: Delivering
) -> None:
    the_hook = await hook(store, receiver.url)
    await happen(store, 2)
    ids = []
    for _ in range(2):
        receiver.got.clear()
        async with delivering(store):
            await receiver.until(lambda: len(receiver.taken) == 6)
        ids.append({got.id for got in receiver.taken})
        await RawSql(url).run("DELETE FROM deliveries")
        await RawSql(url).run("UPDATE webhooks SET cursor = :cursor", cursor=the_hook.cursor)
    assert ids[0] == ids[1]


async def test_what_arrived_is_forgotten_after_a_while_and_dead_letters_are_not(
    store: Store, receiver: Receiver, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behave(got: Got) -> int:
        return 500 if got.event["swap_id"] == "swap-a" else 200

    receiver.behave = behave
    the_hook = await hook(store, receiver.url)
    async with delivering(store, tries=1):
        await happen(store, 1)
        await settled(store, the_hook, delivered=2, dead=1)
    async with store.write() as tx:
        assert await tx.purge_deliveries(60) == 0
        assert await tx.purge_deliveries(-1) == 2
    assert [row.state for row in await rows(store, the_hook)] == [DeliveryState.DEAD]


async def test_while_the_database_is_in_trouble_nothing_is_tried(
    store: Store, receiver: Receiver, delivering: Delivering
) -> None:
    await hook(store, receiver.url)
    async with delivering(store) as deliverer:
        store._health.failed("it is on fire")
        async with store.write() as tx:
            tx.audit("status", "swap-a", note="swap-a 0")
        await asyncio.sleep(0.3)
        assert not receiver.got
        assert not deliverer.sending.total()
        for _ in range(3):
            await store.probe()
        await receiver.until(lambda: len(receiver.taken) == 1)


async def test_a_mistake_of_ours_ends_in_the_log(
    store: Store, receiver: Receiver, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swapd.coordinator.webhooks.PAUSE_SECONDS", 0.05)
    await hook(store, receiver.url)
    async with delivering(store) as deliverer:
        with monkeypatch.context() as patch:

            async def mistake() -> None:
                raise ZeroDivisionError

            patch.setattr(deliverer, "_collect", mistake)
            await happen(store, 1, ("swap-a",))
            await asyncio.sleep(0.2)
            assert not receiver.got
        await receiver.until(lambda: len(receiver.taken) == 1)
