"""Guessing keys is slowed, and others are served meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from swapd.api import lockout
from swapd.api.app import make_app
from swapd.api.lockout import FIRST_WAIT, Lockout, network
from swapd.store import KeyRole
from tests.api.conftest import Api, problem

FREE = 5


def guess(number: int) -> str:
    return f"swk_{'0' * 16}_{number:064x}"


@pytest.fixture
async def elsewhere(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody at another address."""
    transport = httpx.ASGITransport(make_app(api.service), client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://swapd") as http:
        yield http


async def test_brute_force_is_slowed_and_others_are_served(api: Api, elsewhere: httpx.AsyncClient) -> None:
    known = api.tokens[KeyRole.MARKETPLACE]
    assert (await api.get("/v1/me", known)).status_code == 200
    answers = [await api.get("/v1/me", guess(number)) for number in range(200)]
    refused = [answer for answer in answers if answer.status_code == 401]
    assert len(refused) == FREE + 1
    told = problem(answers[-1], 429, "too-many-requests")
    assert "wrong keys" in told["detail"]
    assert int(answers[-1].headers["retry-after"]) >= 1
    # a key that was good a moment ago goes on, even from the same address; other addresses do not notice
    assert (await api.get("/v1/me", known)).status_code == 200
    headers = {"Authorization": f"Bearer {api.tokens[KeyRole.OPERATOR]}"}
    assert (await elsewhere.get("/v1/me", headers=headers)).status_code == 200


async def test_even_the_right_guess_has_to_wait(api: Api) -> None:
    for number in range(FREE + 1):
        await api.get("/v1/me", guess(number))
    problem(await api.get("/v1/me", KeyRole.ADMIN), 429, "too-many-requests")


async def test_a_guesser_learns_nothing_of_which_keys_there_are(api: Api) -> None:
    real = f"swk_{api.rows[KeyRole.ADMIN].id}_{'0' * 64}"
    one, other = await api.get("/v1/me", real), await api.get("/v1/me", guess(1))
    told = [problem(answer, 401, "unauthorized") for answer in (one, other)]
    assert told[0] | {"request_id": ""} == told[1] | {"request_id": ""}


async def test_a_good_key_does_not_forgive_the_guesses_of_its_address(api: Api) -> None:
    for number in range(FREE + 1):
        await api.get("/v1/me", guess(number))
        await api.get("/v1/me", KeyRole.MARKETPLACE)
    problem(await api.get("/v1/me", guess(99)), 429, "too-many-requests")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guarded(clock: Clock) -> Lockout:
    return Lockout(free=2, longest=100, clock=clock)


def test_the_wait_doubles_up_to_the_longest(guarded: Lockout, clock: Clock) -> None:
    waits = []
    for _ in range(14):
        guarded.failed("192.0.2.1", b"x")
        waits.append(guarded.wait("192.0.2.1", b"y"))
        clock.now += waits[-1]
    assert waits[:6] == [0, 0, FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT]
    assert waits[-1] == 100


def test_an_address_that_is_quiet_for_long_begins_anew(guarded: Lockout, clock: Clock) -> None:
    for _ in range(3):
        guarded.failed("192.0.2.1", b"x")
    clock.now += 200
    guarded.failed("192.0.2.1", b"x")
    assert guarded.wait("192.0.2.1", b"y") == 0


def test_a_credential_that_went_bad_is_no_longer_spared(guarded: Lockout) -> None:
    guarded.succeeded(b"key")
    for _ in range(3):
        guarded.failed("192.0.2.1", b"x")
    assert guarded.wait("192.0.2.1", b"key") == 0
    guarded.failed("192.0.2.1", b"key")
    assert guarded.wait("192.0.2.1", b"key") > 0


def test_its_memory_is_bounded(guarded: Lockout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "ADDRESSES_MAX", 10)
    monkeypatch.setattr(lockout, "KNOWN_MAX", 10)
    for number in range(100):
        guarded.failed(f"192.0.2.{number}", b"x")
        guarded.succeeded(str(number).encode())
    assert len(guarded._failures) == 10
    assert len(guarded._known) == 10


def test_one_holder_of_many_addresses_is_one(guarded: Lockout) -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:2") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") != network("192.0.2.2")
    assert network("local") == "local"
