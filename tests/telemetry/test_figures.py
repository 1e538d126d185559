"""What `/metrics` tells of the house: facts of the database in one short reading, and what can not be read left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from swapd.chains.base import Fate, TxState
from swapd.coordinator.daemon import Daemon
from swapd.coordinator.figures import FRESH_SECONDS, WALLET_SECONDS, Observatory
from swapd.errors import Unavailable
from swapd.store import EffectState, Store
from swapd.telemetry.facts import FACTS, Figures
from tests.coordinator.world import Rooms, new_rooms
from tests.store.store_samples import (
    AMOUNTS,
    LOCK,
    START,
    AesSealer,
    RawSql,
    add_swap,
    decide_on,
    get_effects,
    insert_swap,
    lease,
    make_tx,
)


@dataclass
class Wallet:
    """A chain of which only the wallet is asked, and what it warns of."""

    name: str
    asked: int = 0
    away: bool = False
    silent: bool = False
    holding: Mapping[str, int] = field(default_factory=dict)
    board: None = None
    sees_all: bool = True

    def observe(self, observer: object) -> None:
        self.observer = observer

    async def balances(self) -> dict[str, int]:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("away")
        return {"BTC" if self.name == "bitcoin" else "ETH": 10**20 + 1}


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with new_rooms(tmp_path) as made:
        made.chains = {name: _any(Wallet(name)) for name in ("bitcoin", "ethereum")}
        yield made


def _any(value: Any) -> Any:
    return value


def watched(rooms: Rooms) -> tuple[Daemon, Observatory, Clock]:
    daemon = rooms.daemon()
    clock = Clock()
    daemon.observatory = Observatory(daemon, now=clock)
    return daemon, daemon.observatory, clock


def one(figures: Figures, name: str, *labels: str) -> float:
    return figures[name][labels]


async def test_an_empty_house_has_a_figure_for_everything_that_can_be_known(rooms: Rooms) -> None:
    _, observatory, _ = watched(rooms)
    figures = await observatory.look()
    assert set(figures) == set(FACTS)
    for name, table in figures.items():
        assert all(len(labels) == len(FACTS[name].labels) for labels in table), name
    assert one(figures, "swapd_swaps", "completed") == 0
    assert one(figures, "swapd_starting") == 1
    assert one(figures, "swapd_entry_open") == 0
    assert one(figures, "swapd_hot_balance", "ethereum", "ETH") == float(10**20 + 1)
    assert figures["swapd_nearest_deadline_seconds"] == {}


async def test_the_books_are_counted(rooms: Rooms) -> None:
    swap_id, _ = await add_swap(rooms.store), await add_swap(rooms.store)
    fence = await lease(rooms.store, swap_id)
    await decide_on(rooms.store, swap_id, fence, LOCK)
    _, observatory, clock = watched(rooms)
    figures = await observatory.look()
    assert one(figures, "swapd_swaps", "accepted") == 2
    assert one(figures, "swapd_leases") == 1
    assert one(figures, "swapd_queue_depth", "effects") == 1
    assert one(figures, "swapd_queue_depth", "due") >= 1
    assert one(figures, "swapd_effects_open", "lock", "wanted") == 1
    assert one(figures, "swapd_nearest_deadline_seconds", "lock") == LOCK.deadline - START
    assert one(figures, "swapd_unsent_deadline_seconds", "lock") == LOCK.deadline - START
    assert one(figures, "swapd_next_deadline_seconds") == 4 * 3_600, "until the secret has to be shown"
    assert figures["swapd_fees_paid_total"] == {}

    stored = (await get_effects(rooms.store, swap_id))[LOCK.key]
    async with rooms.store.write() as writing:
        await writing.add_attempt(stored.id, fence, make_tx("tx"))
        await writing.mark_sent("tx", fence)
        await writing.record_fate("tx", Fate(TxState.MINED, 1, 10**20 + 7))
    clock.now += FRESH_SECONDS
    figures = await observatory.look()
    assert figures["swapd_unsent_deadline_seconds"] == {}
    assert figures["swapd_nearest_deadline_seconds"] == {}, "it is in a block"
    assert one(figures, "swapd_effects_open", "lock", "sent") == 1
    assert one(figures, "swapd_fees_paid_total", "ethereum") == float(10**20 + 7)

    async with rooms.store.write() as writing:
        await writing.set_effect(stored.id, EffectState.DONE)
    clock.now += FRESH_SECONDS
    figures = await observatory.look()
    assert figures["swapd_nearest_deadline_seconds"] == {}
    assert figures["swapd_effects_open"] == {}


async def test_postgresql_counts_as_sqlite_does(rooms: Rooms, postgres_url: str) -> None:
    await Store.upgrade(postgres_url)
    other = await Store.open(postgres_url, AesSealer())
    counted = []
    try:
        for store in (rooms.store, other):
            swap_id = await add_swap(store)
            fence = await lease(store, swap_id)
            await decide_on(store, swap_id, fence, LOCK)
            stored = (await get_effects(store, swap_id))[LOCK.key]
            async with store.write() as writing:
                await writing.add_attempt(stored.id, fence, make_tx("tx"))
                await writing.mark_sent("tx", fence)
                await writing.record_fate("tx", Fate(TxState.MINED, 1, 3 * 10**20))
            async with store.read() as reading:
                counted.append(await reading.figures(START))
    finally:
        await other.close()
    assert counted[0] == counted[1]
    assert counted[0].fees_paid == {"ethereum": 3e20}, "more than 64 bits hold"


async def test_a_deadline_that_has_passed_is_below_zero(rooms: Rooms) -> None:
    swap_id = await add_swap(rooms.store)
    await decide_on(rooms.store, swap_id, await lease(rooms.store, swap_id), LOCK)
    rooms.clock.now = LOCK.deadline + 60
    _, observatory, _ = watched(rooms)
    assert one(await observatory.look(), "swapd_unsent_deadline_seconds", "lock") == -60


async def test_what_is_at_stake_and_promised_is_told_for_each_asset(rooms: Rooms) -> None:
    await add_swap(rooms.store)
    _, observatory, _ = watched(rooms)
    figures = await observatory.look()
    hot = float(AMOUNTS[_any("participant")])
    assert one(figures, "swapd_exposure", "ETH") == hot
    assert one(figures, "swapd_hot_promised", "ETH") == hot


async def test_many_who_ask_cause_one_reading(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    _, observatory, clock = watched(rooms)
    reads = 0
    ask = rooms.store.read

    def read() -> Any:
        nonlocal reads
        reads += 1
        return ask()

    monkeypatch.setattr(rooms.store, "read", read)
    await asyncio.gather(*(observatory.look() for _ in range(20)))
    assert reads == 1
    clock.now += FRESH_SECONDS
    await observatory.look()
    wallet: Wallet = _any(rooms.chains["bitcoin"])
    assert (reads, wallet.asked) == (2, 1)
    clock.now += WALLET_SECONDS
    await observatory.look()
    assert wallet.asked == 2


async def test_a_wallet_that_does_not_answer_is_left_out_and_hides_nothing(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swapd.coordinator.figures.PATIENCE_SECONDS", 0.2)
    _any(rooms.chains["bitcoin"]).away = True
    _any(rooms.chains["ethereum"]).silent = True
    _, observatory, _ = watched(rooms)
    figures = await observatory.look()
    assert figures["swapd_hot_balance"] == {}
    assert one(figures, "swapd_swaps", "accepted") == 0


async def test_without_the_database_the_process_still_tells_how_it_is(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> Any:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(rooms.store, "read", read)
    rooms.store._health.failed("disk is full")
    _, observatory, _ = watched(rooms)
    figures = await observatory.look()
    assert "swapd_swaps" not in figures
    assert one(figures, "swapd_store_trouble") == 1
    assert one(figures, "swapd_entry_open") == 0


async def test_a_damaged_row_is_counted(rooms: Rooms, tmp_path: Path) -> None:
    async with rooms.store.write() as writing:
        swap_id = await insert_swap(writing)
    await RawSql(f"sqlite:///{tmp_path}/swapd.db").run("UPDATE swaps SET terms = '{}' WHERE id = :id", id=swap_id)
    _, observatory, _ = watched(rooms)
    figures = await observatory.look()
    assert one(figures, "swapd_damaged_rows") == 1
    assert one(figures, "swapd_swaps", "accepted") == 1


async def test_a_condition_that_is_over_is_told_as_zero(rooms: Rooms) -> None:
    chain: Wallet = _any(rooms.chains["bitcoin"])
    chain.holding = {"fee.held_back_by_cap": 2}
    _, observatory, clock = watched(rooms)
    assert one(await observatory.look(), "swapd_conditions", "bitcoin", "fee.held_back_by_cap") == 2
    chain.holding = {}
    clock.now += FRESH_SECONDS
    assert one(await observatory.look(), "swapd_conditions", "bitcoin", "fee.held_back_by_cap") == 0


async def test_the_clocks_are_compared(rooms: Rooms) -> None:
    daemon, observatory, clock = watched(rooms)
    daemon.watchers["bitcoin"]._time = START - 30
    daemon.watchers["ethereum"]._time = START - 10**6
    figures = await observatory.look()
    assert one(figures, "swapd_chain_clock_drift_seconds", "bitcoin") == 30
    assert one(figures, "swapd_chain_clock_beyond_margins", "ethereum") == 1
    assert one(figures, "swapd_chain_up", "ethereum") == 0
    clock.now += FRESH_SECONDS


async def test_the_loops_age_is_never_an_old_one(rooms: Rooms) -> None:
    daemon, observatory, _ = watched(rooms)
    await observatory.look()
    daemon.pulse.at -= 100
    assert one(await observatory.look(), "swapd_loop_age_seconds") >= 100
    daemon.pulse.beat()
    assert one(await observatory.look(), "swapd_loop_age_seconds") < 5
