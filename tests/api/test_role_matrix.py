"""Every route × every role, from the app's own routes against a table."""

from __future__ import annotations

import re

import pytest

from swapd.api.app import ROUTERS
from swapd.api.doors import Door, doors_of
from swapd.store import KeyRole
from tests.api.conftest import Api, problem
from tests.api.matrix import MATRIX, OPEN, SAMPLES

DOORS = doors_of(ROUTERS)


def name(door: Door) -> str:
    return f"{door.method} {door.path}"


def sample(path: str) -> str:
    return re.sub(r"{(\w+)(:\w+)?}", lambda match: SAMPLES[match[1]], path)


def test_the_table_names_every_route_and_no_other() -> None:
    assert {name(door): door.roles for door in DOORS if door.roles} == MATRIX
    assert {name(door) for door in DOORS if not door.roles} == OPEN


@pytest.mark.parametrize("door", [door for door in DOORS if door.roles], ids=name)
async def test_a_route_is_open_to_its_roles_alone(api: Api, door: Door) -> None:
    path = sample(door.path)
    problem(await api.ask(door.method, path), 401, "unauthorized")
    before = await api.trail()
    for role in KeyRole:
        if role not in MATRIX[name(door)]:
            problem(await api.ask(door.method, path, role, json={"no": "form"}), 403, "forbidden")
    assert await api.trail() == before
    if "stream" not in door.marks:
        for role in MATRIX[name(door)]:
            answer = await api.ask(door.method, path, role)
            assert answer.status_code not in (401, 403, 405, 500), answer.text


def test_no_two_routes_share_a_name() -> None:
    names = [route.name for router in ROUTERS for route in router.routes if hasattr(route, "name")]
    assert len(names) == len(set(names))
