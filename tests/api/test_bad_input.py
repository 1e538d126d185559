"""What bad input gets, on every route that there is: the right 4xx with a problem document, and nothing written."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from swapd.api.app import ROUTERS, make_document
from swapd.api.doors import Door, doors_of
from swapd.store import KeyRole
from tests.api.conftest import Api, problem
from tests.api.test_role_matrix import name, sample

DOCUMENT = make_document()
DOORS = [door for door in doors_of(ROUTERS) if "stream" not in door.marks]


def operation(door: Door) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][door.path][door.method.lower()]
    return found


def parameters(door: Door, where: str) -> list[str]:
    return [each["name"] for each in operation(door).get("parameters", []) if each["in"] == where]


WITH_BODY = [door for door in DOORS if "requestBody" in operation(door)]
WITH_QUERY = [door for door in DOORS if parameters(door, "query")]
WITH_PATH = [door for door in DOORS if "{" in door.path]
ONCE = [door for door in DOORS if "idempotency-key" in [each.lower() for each in parameters(door, "header")]]


class Untouched:
    """The database must be as it was."""

    def __init__(self, api: Api) -> None:
        self._file = Path(str(api.service.settings.daemon.data_dir)) / "swapd.db"

    def __enter__(self) -> None:
        self._before = self._dump()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            assert self._dump() == self._before

    def _dump(self) -> list[str]:
        with sqlite3.connect(self._file) as connection:
            return list(connection.iterdump())


async def send(api: Api, door: Door, **more: Any) -> httpx.Response:
    role = min(door.roles) if door.roles else None
    headers = dict(more.pop("headers", {}))
    if door in ONCE:
        headers.setdefault("Idempotency-Key", "abc")
    return await api.ask(door.method, sample(door.path), role, headers=headers, **more)


BODIES: dict[str, tuple[bytes, int, str]] = {
    "broken": (b'{"a":', 400, "malformed"),
    "not JSON at all": (b"a=b", 400, "malformed"),
    "not UTF-8": (b'{"a":"\xff"}', 400, "malformed"),
    "a lone surrogate": (b'{"a":"\\ud800"}', 400, "malformed"),
    "a NUL": (b'{"a":"\\u0000"}', 422, "invalid"),
    "a name twice": (b'{"a":1,"a":2}', 400, "malformed"),
    "NaN": (b'{"a":NaN}', 400, "malformed"),
    "a number that is endless": (b'{"a":' + b"9" * 5_000 + b"}", 400, "malformed"),
    "deep": (b"[" * 2_000 + b"]" * 2_000, 400, "malformed"),
    "a fifth of a megabyte": (b'{"a":"' + b"x" * 200_000 + b'"}', 413, "too-large"),
}


@pytest.mark.parametrize("door", DOORS, ids=name)
async def test_a_body_that_is_no_json_is_refused_everywhere(api: Api, door: Door) -> None:
    with Untouched(api):
        for body, status, kind in BODIES.values():
            answer = await send(api, door, content=body, headers={"Content-Type": "application/json"})
            problem(answer, status, kind)


@pytest.mark.parametrize("door", DOORS, ids=name)
async def test_a_body_of_another_kind_is_refused_everywhere(api: Api, door: Door) -> None:
    with Untouched(api):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""):
            answer = await send(api, door, content=b"{}", headers={"Content-Type": kind})
            problem(answer, 415, "unsupported-media-type")
        compressed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        problem(await send(api, door, content=b"{}", headers=compressed), 415, "unsupported-media-type")


@pytest.mark.parametrize("door", WITH_BODY, ids=name)
async def test_a_form_that_does_not_fit_is_refused_with_its_field(api: Api, door: Door) -> None:
    with Untouched(api):
        for form in ([], "text", 1, None, True, {"no_such_field": 1}, *(wrong(door))):
            told = problem(await send(api, door, json=form), 422, "invalid")
            assert told["expected"]
            assert told["field"]
        problem(await send(api, door), 422, "invalid")


def wrong(door: Door) -> list[dict[str, object]]:
    """Every field of the form with a value of no type that it could have."""
    schema = operation(door)["requestBody"]["content"]["application/json"]["schema"]
    form = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [{field: {"strange": ["thing"]}} for field in form["properties"]]


@pytest.mark.parametrize("door", WITH_QUERY, ids=name)
async def test_a_query_that_does_not_fit_is_refused(api: Api, door: Door) -> None:
    with Untouched(api):
        if "limit" in parameters(door, "query"):
            for limit in ("0", "-1", "x", "1.5", "9" * 30, ""):
                problem(await send(api, door, params={"limit": limit}), 422, "invalid")
        if "cursor" in parameters(door, "query"):
            for cursor in ("x", "", "AAAA", "é", "A" * 500, "A" * 5_000, "../.."):
                told = problem(await send(api, door, params={"cursor": cursor}), 422, "invalid")
                assert told["field"] == "cursor"


@pytest.mark.parametrize("door", WITH_PATH, ids=name)
async def test_a_thing_that_is_not_there_is_not_found(api: Api, door: Door) -> None:
    if door in WITH_BODY:
        return  # what the form must be is known to the route's own tests
    with Untouched(api):
        problem(await send(api, door), 404, "not-found")


@pytest.mark.parametrize("door", WITH_PATH, ids=name)
async def test_an_id_that_is_none_is_refused(api: Api, door: Door) -> None:
    role = min(door.roles) if door.roles else None
    with Untouched(api):
        for strange in ("%00", "%F0%9F%92%A9", "a" * 2_000, "..%2F..", "'%20OR%201=1"):
            path = door.path.partition("{")[0] + strange + door.path.partition("}")[2].partition("{")[0]
            answer = await api.ask(door.method, path, role, headers={"Idempotency-Key": "abc"})
            assert answer.status_code in (400, 404, 405, 422), answer.text
            problem(answer, answer.status_code, answer.json()["type"].rpartition("/")[2])


@pytest.mark.parametrize("door", ONCE, ids=name)
async def test_an_idempotency_key_is_asked_for(api: Api, door: Door) -> None:
    role = min(door.roles)
    path = sample(door.path)
    with Untouched(api):
        problem(await api.ask(door.method, path, role, json={}), 400, "idempotency-key-missing")
        for key in ("", " ", "x" * 129, '"', '"a', "a b", "é"):
            headers = {"Idempotency-Key": key.encode("latin-1")}
            problem(await api.ask(door.method, path, role, json={}, headers=headers), 422, "invalid")


async def test_headers_that_are_too_much_are_refused(api: Api) -> None:
    problem(await api.get("/v1/me", KeyRole.ADMIN, headers={"X-Long": "x" * 20_000}), 431, "headers-too-large")
    problem(await api.get("/v1/me?" + "x" * 20_000, KeyRole.ADMIN), 431, "headers-too-large")


async def test_headers_that_come_twice_are_refused(api: Api) -> None:
    token = api.tokens[KeyRole.ADMIN]
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    problem(await api.http.get("/v1/me", headers=twice), 400, "malformed")


async def test_a_nul_in_the_address_is_refused(api: Api) -> None:
    problem(await api.get("/v1/keys?cursor=%00", KeyRole.ADMIN), 400, "malformed")


async def test_what_can_not_be_answered_in_json_is_not_acceptable(api: Api) -> None:
    for accept in ("application/xml", "image/*", "application/json;q=0", "text/html;q=0.9"):
        problem(await api.get("/v1/me", KeyRole.ADMIN, headers={"Accept": accept}), 406, "not-acceptable")
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.1", "", "application/problem+json"):
        assert (await api.get("/v1/me", KeyRole.ADMIN, headers={"Accept": accept})).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "OPTIONS", "HEAD", "TRACE", "FOO"])
async def test_a_method_that_a_path_has_not_is_refused_with_those_it_has(api: Api, method: str) -> None:
    answer = await api.ask(method, "/v1/me", KeyRole.ADMIN)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert (await api.ask("OPTIONS", "/v1/keys", KeyRole.ADMIN)).headers["allow"] == "GET, POST"


async def test_a_path_with_a_slash_too_many_is_not_found(api: Api) -> None:
    for path in ("/v1/me/", "//v1/me", "/v1/ME"):
        problem(await api.get(path, KeyRole.ADMIN), 404, "not-found")


async def test_what_was_sent_is_not_repeated(api: Api) -> None:
    form = {"name": "shop-2", "role": "the-innermost-secret", "networks": "the-innermost-secret"}
    answer = await api.post("/v1/keys", KeyRole.ADMIN, json=form)
    told = problem(answer, 422, "invalid")
    assert "innermost" not in json.dumps(told)
    assert [each["pointer"] for each in told["errors"]] == ["/role", "/networks"]
