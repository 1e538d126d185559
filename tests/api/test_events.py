"""Events over HTTP: pages, and streams that can be resumed, are bounded, and end in good order."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from swapd.api import keys
from swapd.api.app import make_app
from swapd.store import KeyRole
from tests.api.conftest import Api, problem
from tests.store.store_samples import insert_swap

STREAM = "/v1/events/stream"


@pytest.fixture
def variables(variables: dict[str, str]) -> dict[str, str]:
    return variables | {
        "SWAPD__EVENTS__POLL_SECONDS": "0.1",
        "SWAPD__EVENTS__HEARTBEAT_SECONDS": "0.2",
        "SWAPD__EVENTS__STREAMS_MAX": "3",
        "SWAPD__EVENTS__SEND_SECONDS": "1",
        "SWAPD__API__LIMITS__STREAMS_PER_KEY": "2",
    }


async def swap_of(api: Api, owner: str) -> str:
    async with api.service.house.store.write() as tx:
        swap_id = await insert_swap(tx)
        await tx.own(swap_id, owner, {})
    return swap_id


async def happen(api: Api, swap_id: str, number: int = 1, note: str = "") -> None:
    for count in range(number):
        async with api.service.house.store.write("world") as tx:
            tx.audit("status", swap_id, before="accepted", after="expired", note=note or str(count))


async def end(api: Api) -> int:
    async with api.service.house.store.read() as reading:
        return (await reading.audit_head()).seq


# -- pages


async def test_events_are_read_page_by_page(api: Api) -> None:
    swap_id, before = await swap_of(api, "shop"), await end(api)
    await happen(api, swap_id, 5)
    page = (await api.get(f"/v1/events?after={before}&limit=2", KeyRole.AUDITOR)).json()
    assert [item["id"] for item in page["items"]] == [before + 1, before + 2]
    assert (page["after"], page["more"], page["head"]) == (before + 2, True, before + 5)
    assert page["items"][0] == {
        "id": before + 1,
        "type": "swap.status_changed",
        "time": page["items"][0]["time"],
        "swap_id": swap_id,
        "data": {"before": "accepted", "after": "expired", "note": "0"},
    }
    assert page["items"][0]["time"].keys() == {"unix", "rfc3339"}
    rest = (await api.get(f"/v1/events?after={page['after']}", KeyRole.AUDITOR)).json()
    assert [item["data"]["note"] for item in rest["items"]] == ["2", "3", "4"]
    assert (rest["after"], rest["more"]) == (before + 5, False)


async def test_a_marketplace_hears_of_its_own_swaps_alone(api: Api) -> None:
    mine, other = await swap_of(api, "shop"), await swap_of(api, "bazaar")
    await happen(api, mine)
    await happen(api, other)
    seen = (await api.get("/v1/events", KeyRole.MARKETPLACE)).json()["items"]
    assert {item["swap_id"] for item in seen} == {mine}
    assert (await api.get(f"/v1/events?swap_id={other}", KeyRole.MARKETPLACE)).json()["items"] == []
    everything = (await api.get("/v1/events", KeyRole.OPERATOR)).json()["items"]
    assert {item["swap_id"] for item in everything} == {mine, other}
    of_one = (await api.get(f"/v1/events?swap_id={other}&types=swap.created", KeyRole.DISPUTE)).json()["items"]
    assert [(item["swap_id"], item["type"]) for item in of_one] == [(other, "swap.created")]


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        "after=1e3",
        f"after={10**30}",
        "limit=0",
        "limit=1000",
        "types=swap.vanished",
        "swap_id=x",
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", STREAM])
async def test_what_is_no_parameter_is_invalid(api: Api, path: str, query: str) -> None:
    if path == STREAM and query.startswith("limit"):
        return
    problem(await api.get(f"{path}?{query}", KeyRole.OPERATOR), 422, "invalid")


@pytest.mark.parametrize("path", ["/v1/events", STREAM])
async def test_who_read_on_in_a_database_that_is_no_more_is_told_so(api: Api, path: str) -> None:
    told = problem(await api.get(f"{path}?after={await end(api) + 1}", KeyRole.OPERATOR), 409, "refused")
    assert "Was the database restored?" in told["detail"]


@pytest.mark.parametrize("path", ["/v1/events", STREAM])
async def test_admins_keys_and_no_keys_hear_nothing(api: Api, path: str) -> None:
    problem(await api.get(path, KeyRole.ADMIN), 403, "forbidden")
    problem(await api.get(path), 401, "unauthorized")


# -- streams


@dataclass
class Server:
    """The API on a real socket."""

    api: Api
    url: str

    @asynccontextmanager
    async def stream(self, who: KeyRole | str, path: str = STREAM, **headers: str) -> AsyncIterator[AsyncIterator[str]]:
        """Lines of a stream, once the answer has begun. who: a role, or a token."""
        headers["Authorization"] = f"Bearer {self.api.tokens[who] if isinstance(who, KeyRole) else who}"
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=10) as http,
            http.stream("GET", path, headers=headers) as answer,
        ):
            assert answer.status_code == 200, (await answer.aread()).decode()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield answer.aiter_lines()

    async def until_free(self) -> None:
        async with asyncio.timeout(10):
            while self.api.service.feed.streams:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
async def server(api: Api) -> AsyncIterator[Server]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(make_app(api.service), lifespan="off", log_config=None, timeout_graceful_shutdown=2)
    running = uvicorn.Server(config)
    running.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(running.serve(sockets=[listening]))
    looking = asyncio.create_task(api.service.feed.run())
    yield Server(api, f"http://127.0.0.1:{listening.getsockname()[1]}")
    api.service.feed.close()
    running.should_exit = True
    looking.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(serving, looking, return_exceptions=True)


async def events(lines: AsyncIterator[str], number: int) -> list[dict[str, Any]]:
    """The next events, each with its own id and type beside what it holds."""
    found: list[dict[str, Any]] = []
    current: dict[str, str] = {}
    async with asyncio.timeout(10):
        async for line in lines:
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                current[name] = value
            elif not line and "data" in current:
                data = json.loads(current["data"])
                assert (current["id"], current["event"]) == (str(data["id"]), data["type"])
                found.append(data)
                current = {}
                if len(found) == number:
                    break
    return found


async def test_a_stream_tells_what_happens_and_is_resumed_where_it_broke_off(server: Server, api: Api) -> None:
    swap_id = await swap_of(api, "shop")
    await happen(api, swap_id, note="before")
    async with server.stream(KeyRole.MARKETPLACE) as lines:
        await happen(api, swap_id, 3)
        got = await events(lines, 3)
    assert [event["data"]["note"] for event in got] == ["0", "1", "2"]
    await server.until_free()
    await happen(api, swap_id, note="meanwhile")
    last = str(got[1]["id"])
    async with server.stream(KeyRole.MARKETPLACE, **{"Last-Event-ID": last}) as lines:
        assert [event["data"]["note"] for event in await events(lines, 2)] == ["2", "meanwhile"]
    async with server.stream(KeyRole.MARKETPLACE, f"{STREAM}?after=0&types=swap.created") as lines:
        assert [event["type"] for event in await events(lines, 1)] == ["swap.created"]


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_key_that_is_no_good_any_more_hears_nothing_more(server: Server, api: Api, how: str) -> None:
    swap_id = await swap_of(api, "shop")
    row, token = await api.issue("gone", KeyRole.OPERATOR, expires_in=3600)
    async with server.stream(token) as lines:
        await happen(api, swap_id, note="heard")
        assert [event["data"]["note"] for event in await events(lines, 1)] == ["heard"]
        if how == "revoked":
            await keys.revoke(api.service.house.store, "admin:root", row.id)
        else:
            api.clock.ahead = 3601
        await happen(api, swap_id, note="not heard")
        async with asyncio.timeout(5):
            assert not [line async for line in lines if "not heard" in line]


async def test_streams_of_tenants_are_apart(server: Server, api: Api) -> None:
    mine, other = await swap_of(api, "shop"), await swap_of(api, "bazaar")
    async with server.stream(KeyRole.MARKETPLACE) as lines, server.stream(KeyRole.OPERATOR) as all_lines:
        await happen(api, other)
        await happen(api, mine)
        assert [event["swap_id"] for event in await events(lines, 1)] == [mine]
        assert [event["swap_id"] for event in await events(all_lines, 2)] == [other, mine]


async def test_a_quiet_stream_shows_signs_of_life(server: Server) -> None:
    async with server.stream(KeyRole.OPERATOR) as lines, asyncio.timeout(5):
        assert [await anext(lines), await anext(lines)] == [": events of swapd", "retry: 3000"]
        found = [line async for line in _some(lines, 3)]
    assert ": still here" in found


async def _some(lines: AsyncIterator[str], number: int) -> AsyncIterator[str]:
    for _ in range(number):
        yield await anext(lines)


async def test_streams_are_bounded_by_key_and_in_all(server: Server, api: Api) -> None:
    async with server.stream(KeyRole.OPERATOR), server.stream(KeyRole.OPERATOR):
        third = problem(await api.get(STREAM, KeyRole.OPERATOR), 429, "too-many-requests")
        assert "this key may have 2 streams" in third["detail"]
        async with server.stream(KeyRole.AUDITOR):
            fourth = await api.get(STREAM, KeyRole.DISPUTE)
            problem(fourth, 429, "too-many-requests")
            assert fourth.headers["retry-after"]
            assert (await api.get("/v1/events", KeyRole.OPERATOR)).status_code == 200, "other requests are not held up"
    await server.until_free()
    async with server.stream(KeyRole.OPERATOR):
        pass


async def test_a_stream_ends_in_good_order_when_swapd_stops(server: Server, api: Api) -> None:
    async with server.stream(KeyRole.OPERATOR) as lines:
        await anext(lines)
        api.service.feed.close()
        async with asyncio.timeout(5):
            rest = [line async for line in lines]  # an answer that is broken off would raise
    assert not any(line.startswith("data") for line in rest)
    problem(await api.get(STREAM, KeyRole.OPERATOR), 503, "unavailable")


async def test_a_reader_that_does_not_read_is_cut_off(server: Server, api: Api) -> None:
    swap_id = await swap_of(api, "shop")
    await happen(api, swap_id, 60, note="x" * 200_000)  # more than all buffers on the way hold
    port = int(server.url.rpartition(":")[2])
    with closing(socket.socket()) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", port))
        head = (
            f"GET {STREAM}?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.tokens[KeyRole.OPERATOR]}\r\n\r\n"
        )
        await loop.sock_sendall(slow, head.encode())
        async with asyncio.timeout(10):
            while not api.service.feed.streams:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await server.until_free()


async def test_a_last_event_id_that_is_none_is_invalid(api: Api) -> None:
    problem(await api.get(STREAM, KeyRole.OPERATOR, headers={"Last-Event-ID": "x"}), 422, "invalid")
