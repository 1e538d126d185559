"""A statement to SQLite is one hop to its thread, and nothing else about it is different."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from swapd.store import engine as engines
from swapd.store.driver import ROWS_AHEAD, Connection

MANY = 2 * ROWS_AHEAD + 7


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    made = engines.make_engine(engines.parse_url(f"sqlite:///{tmp_path}/some.db"))
    async with engines.writing(made).begin() as connection:
        await connection.execute(text("CREATE TABLE numbers (n INTEGER)"))
        await connection.execute(text("INSERT INTO numbers VALUES (:n)"), [{"n": n} for n in range(MANY)])
    yield made
    await made.dispose()


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    made: list[object] = []
    inner = Connection._execute

    async def counted(self: Connection, function: object, *arguments: object) -> object:
        made.append(function)
        return await inner(self, function, *arguments)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Connection, "_execute", counted)
    return made


async def test_a_question_with_its_begin_is_one_hop_and_the_end_is_another(
    engine: AsyncEngine, hops: list[object]
) -> None:
    async with engines.reading(engine).connect() as connection:
        assert (await connection.execute(text("SELECT n FROM numbers WHERE n < 3"))).scalars().all() == [0, 1, 2]
        assert len(hops) == 1
        assert (await connection.execute(text("SELECT count(*) FROM numbers"))).scalar_one() == MANY
        assert len(hops) == 2
    assert len(hops) == 3


async def test_more_rows_than_come_with_the_statement_all_come(engine: AsyncEngine) -> None:
    async with engines.reading(engine).connect() as connection:
        rows = await connection.execute(text("SELECT n FROM numbers ORDER BY n"))
        assert rows.scalars().all() == list(range(MANY))
        streamed = await connection.stream(text("SELECT n FROM numbers ORDER BY n"))
        assert [n async for page in streamed.partitions(300) for (n,) in page] == list(range(MANY))
        some = await connection.stream(text("SELECT n FROM numbers ORDER BY n"))
        assert [await some.fetchone() for _ in range(3)] == [(0,), (1,), (2,)]
        await some.close()
    async with engines.writing(engine).begin() as connection:  # a cursor left open would keep the table
        await connection.execute(text("DROP TABLE numbers"))


async def test_a_transaction_sees_one_moment_from_its_first_question_on(engine: AsyncEngine) -> None:
    count = text("SELECT count(*) FROM numbers")
    async with engines.reading(engine).connect() as connection:
        assert (await connection.execute(count)).scalar_one() == MANY
        async with engines.writing(engine).begin() as other:
            await other.execute(text("DELETE FROM numbers"))
        assert (await connection.execute(count)).scalar_one() == MANY
    async with engines.reading(engine).connect() as connection:
        assert (await connection.execute(count)).scalar_one() == 0


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_transaction_that_asks_nothing_leaves_nothing_begun(engine: AsyncEngine, end: str) -> None:
    async with engines.reading(engine).connect() as connection:
        await connection.begin()
        await getattr(connection, end)()
    async with engines.writing(engine).begin() as connection:  # on the same connection
        result = await connection.execute(text("DELETE FROM numbers WHERE n >= 5"))
        assert result.rowcount == MANY - 5


async def test_what_fails_leaves_the_connection_good(engine: AsyncEngine) -> None:
    async with engines.reading(engine).connect() as connection:
        with pytest.raises(OperationalError, match="no such table"):
            await connection.execute(text("SELECT 1 FROM nowhere"))
        assert (await connection.execute(text("SELECT count(*) FROM numbers"))).scalar_one() == MANY


async def test_nobody_waiting_any_more_for_a_statement_it_harms_no_other(engine: AsyncEngine) -> None:
    slow = text(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT max(n) FROM c"
    )

    async def ask() -> None:
        async with engines.reading(engine).connect() as connection:
            await connection.execute(slow)

    task = asyncio.create_task(ask())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with engines.writing(engine).begin() as connection:
        await connection.execute(text("DROP TABLE numbers"))
