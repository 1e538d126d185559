"""Webhooks over HTTP: whose they are, where they may lead, and what an operator sees of what did not arrive."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from swapd.cli.run import make_deliverer
from swapd.coordinator.webhooks import telling
from swapd.store import KeyRole
from tests.api.conftest import Api, problem
from tests.webhooks.receiver import Got, Receiver, signatures

M, O, AU = KeyRole.MARKETPLACE, KeyRole.OPERATOR, KeyRole.AUDITOR  # noqa: E741


@pytest.fixture
def variables(variables: dict[str, str]) -> dict[str, str]:
    return variables | {
        "SWAPD__DAEMON__TRUSTED_HOSTS": '["127.0.0.1"]',
        "SWAPD__EVENTS__POLL_SECONDS": "0.1",
        "SWAPD__WEBHOOKS__RETRY_SECONDS": "0.02",
        "SWAPD__WEBHOOKS__RETRY_MAX_SECONDS": "0.05",
        "SWAPD__WEBHOOKS__TIMEOUT_SECONDS": "2",
        "SWAPD__WEBHOOKS__TRIES": "2",
        "SWAPD__WEBHOOKS__MOST_PER_OWNER": "2",
        "SWAPD__WEBHOOKS__MOST": "3",
    }


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@asynccontextmanager
async def delivering(api: Api) -> AsyncIterator[None]:
    """As `swapd run` does."""
    async with telling(make_deliverer(api.service, "worker"), asyncio.Event()):
        yield


async def register(api: Api, who: KeyRole, url: str, **more: Any) -> tuple[dict[str, Any], bytes]:
    answer = await api.post("/v1/webhooks", who, json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    return told["webhook"], base64.b64decode(told["secret"].removeprefix("whsec_"))


async def happen(api: Api, number: int, swap_id: str = "0" * 16) -> None:
    for count in range(number):
        async with api.service.house.store.write("world") as tx:
            tx.audit("status", swap_id, before="a", after="b", note=str(count))


async def test_a_webhook_is_made_pinged_and_signed_with_the_secret_that_was_shown_once(
    api: Api, receiver: Receiver
) -> None:
    hook, secret = await register(api, M, receiver.url, types=["swap.created"])
    assert (hook["owner"], hook["types"], hook["paused"]) == ("shop", ["swap.created"], False)
    assert (await api.post(f"/v1/webhooks/{hook['id']}/ping", M)).status_code == 202
    async with delivering(api):
        await receiver.until(lambda: len(receiver.taken) == 1)
    got = receiver.got[0]
    assert signatures(secret, got)
    assert (got.event["type"], got.event["data"]) == ("webhook.ping", {"webhook": hook["id"]})
    (delivery,) = (await api.get(f"/v1/webhooks/{hook['id']}/deliveries", M)).json()["items"]
    assert delivery["id"] == got.id
    assert (delivery["state"], delivery["answer"], delivery["tries"]) == ("delivered", 200, 1)
    shown_later = (await api.get(f"/v1/webhooks/{hook['id']}", M)).text + (await api.get("/v1/webhooks", O)).text
    assert base64.b64encode(secret).decode() not in shown_later
    assert base64.b64encode(secret).decode() not in "".join(await api.trail())


async def test_another_tenants_webhook_is_as_unknown_as_none(api: Api, receiver: Receiver) -> None:
    hook, _ = await register(api, O, receiver.url)
    _, other = await api.issue("bazaar")
    for path in ("", "/deliveries"):
        problem(await api.get(f"/v1/webhooks/{hook['id']}{path}", M), 404, "not-found")
    delivery = f"/deliveries/msg_{'0' * 32}/replay"
    for path in ("/pause", "/resume", "/ping", "/rotate", "/replay", delivery):
        told = problem(await api.post(f"/v1/webhooks/{hook['id']}{path}", M), 404, "not-found")
        none = problem(await api.post(f"/v1/webhooks/wh_{'0' * 16}{path}", M), 404, "not-found")
        assert told["detail"] == none["detail"]
    problem(await api.delete(f"/v1/webhooks/{hook['id']}", other), 404, "not-found")
    assert (await api.get("/v1/webhooks", M)).json()["items"] == []
    assert [each["id"] for each in (await api.get("/v1/webhooks", AU)).json()["items"]] == [hook["id"]]


@pytest.mark.parametrize(
    "url", ["http://example.org/", "https://10.0.0.1/", "https://169.254.169.254/", "gopher://x/", "x", "http://[::1]/"]
)
async def test_where_a_tenants_webhook_may_not_lead_is_said(api: Api, url: str) -> None:
    told = problem(await api.post("/v1/webhooks", M, json={"url": url}), 422, "invalid")
    assert told["field"] == "url"
    assert not [entry for entry in await api.trail() if "webhook" in entry]


@pytest.mark.parametrize(
    "form",
    [
        {},
        [],
        {"url": 1},
        {"url": "x" * 3000},
        {"url": "https://example.org/", "types": ["x"]},
        {"url": "https://example.org/", "types": "swap.created"},
        {"url": "https://example.org/", "secret": "mine"},
    ],
)
async def test_what_is_no_form_is_invalid(api: Api, form: Any) -> None:
    problem(await api.post("/v1/webhooks", O, json=form), 422, "invalid")


async def test_there_are_only_so_many(api: Api, receiver: Receiver) -> None:
    for _ in range(2):
        await register(api, M, receiver.url)
    told = problem(await api.post("/v1/webhooks", M, json={"url": receiver.url}), 409, "refused")
    assert "2 webhooks already" in told["detail"]
    await register(api, O, receiver.url)
    problem(await api.post("/v1/webhooks", O, json={"url": receiver.url}), 409, "refused")


async def test_dead_letters_are_seen_and_replayed_one_or_all(api: Api, receiver: Receiver) -> None:
    broken = True

    async def behave(_: Got) -> int:
        return 500 if broken else 200

    receiver.behave = behave
    hook, _ = await register(api, O, receiver.url)
    path = f"/v1/webhooks/{hook['id']}"
    for swap_id in ("a" * 16, "b" * 16):
        await happen(api, 2, swap_id)
    async with delivering(api):
        async with asyncio.timeout(20):
            while (await api.get(path, O)).json()["dead"] < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        seen = (await api.get(path, O)).json()
        assert (seen["waiting"], seen["held"], seen["dead"]) == (0, 2, 2)
        first, second = (await api.get(f"{path}/deliveries?state=dead", O)).json()["items"]
        assert (first["answer"], first["tries"], first["next_try"]) == (500, 2, None)
        assert "500" in first["error"]
        broken = False
        one = await api.post(f"{path}/deliveries/{first['id']}/replay", O)
        assert one.json() == {"deliveries": 1}
        await receiver.until(lambda: len(receiver.taken) == 2)
        assert {got.event["swap_id"] for got in receiver.taken} == {"a" * 16}
        problem(await api.post(f"{path}/deliveries/{first['id']}/replay", O), 409, "refused")
        assert (await api.post(f"{path}/replay", O)).json() == {"deliveries": 1}
        await receiver.until(lambda: len(receiver.taken) == 4)
    assert [got.event["data"]["note"] for got in receiver.taken] == ["0", "1", "0", "1"]
    assert second["id"] in {got.id for got in receiver.taken}
    assert "operator:olga: webhook replayed" in await api.trail()


async def test_deliveries_come_in_pages(api: Api, receiver: Receiver) -> None:
    hook, _ = await register(api, O, receiver.url)
    await happen(api, 5)
    async with delivering(api):
        await receiver.until(lambda: len(receiver.taken) == 5)
    path, found, cursor = f"/v1/webhooks/{hook['id']}/deliveries?limit=2", [], ""
    while cursor is not None:
        page = (await api.get(f"{path}{cursor and f'&cursor={cursor}'}", O)).json()
        found += [item["event"] for item in page["items"]]
        cursor = page["next"]
    assert len(found) == 5
    assert found == sorted(found)


async def test_paused_rotated_and_deleted_by_its_owner(api: Api, receiver: Receiver) -> None:
    hook, first = await register(api, M, receiver.url)
    path = f"/v1/webhooks/{hook['id']}"
    assert (await api.post(f"{path}/pause", M)).json()["paused"]
    problem(await api.post(f"{path}/ping", M), 409, "refused")
    rotated = (await api.post(f"{path}/rotate", M)).json()
    assert rotated["webhook"]["previous_secret_until"]["unix"] > api.clock()
    second = base64.b64decode(rotated["secret"].removeprefix("whsec_"))
    assert not (await api.post(f"{path}/resume", M)).json()["paused"]
    await api.post(f"{path}/ping", M)
    async with delivering(api):
        await receiver.until(lambda: len(receiver.taken) == 1)
    assert signatures(first, receiver.got[0])
    assert signatures(second, receiver.got[0])
    assert (await api.delete(path, M)).status_code == 204
    problem(await api.delete(path, M), 404, "not-found")
    acts = [entry for entry in await api.trail() if "webhook" in entry]
    assert [entry.removeprefix("marketplace:shop: webhook ") for entry in acts] == [
        *("added", "paused", "secret rotated", "resumed", "pinged", "deleted")
    ]


async def test_nothing_is_sent_twice_to_who_has_it_already(api: Api, receiver: Receiver) -> None:
    hook, _ = await register(api, O, receiver.url)
    first = await api.get(f"/v1/webhooks/{hook['id']}", O)
    again = await api.get(f"/v1/webhooks/{hook['id']}", O, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
