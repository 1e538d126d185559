"""A backup holds everything and no key, and comes back into either engine, marked."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from sqlalchemy import text
from store_samples import (
    LOCK,
    AesSealer,
    RawSql,
    add_swap,
    decide_on,
    get,
    get_effects,
    insert_swap,
    lease,
    make_tx,
)

from swapd.chains.base import Cursor, Scan, Sighting, SightingKind
from swapd.errors import Invalid, Rejected
from swapd.protocol.terms import Role
from swapd.store import Backup, Owner, Restored, Store
from swapd.store import restore as restoring
from swapd.store.backup import read_backup
from swapd.store.engine import make_engine, make_file_engine, parse_url, writing

MINE = Owner("seed-fingerprint", "devnet")


@pytest.fixture
async def filled(store: Store) -> Store:
    """One swap with a lock that is stored and was sent, and one of which nothing is known yet."""
    async with store.write("operator") as tx:
        await tx.bind("seed", MINE.seed)
        await tx.bind("network", MINE.network)
    swap_id = await add_swap(store)
    await add_swap(store)
    fence = await lease(store, swap_id)
    await decide_on(store, swap_id, fence, LOCK)
    effect = (await get_effects(store, swap_id))[LOCK.key]
    async with store.write() as tx:
        await tx.next_sequence("ethereum", "account", 7)
        await tx.add_attempt(effect.id, fence, make_tx("tx", sequence=7), account="account")
    async with store.write() as tx:
        await tx.mark_sent("tx", fence)
        seen = Sighting(swap_id, Role.PARTICIPANT, SightingKind.LOCK, "ref", "tx", "hash", 5)
        await tx.record_scan("ethereum", Scan(Cursor(5, "hash", ((5, "hash"),)), (seen,)))
    return store


async def ids(store: Store) -> list[str]:
    async with store.read() as tx:
        return sorted(row.id for row in (await tx.swaps()).swaps)


async def backed_up(store: Store, folder: Path) -> Backup:
    return await store.backup(folder / "backup.db")


async def restored(url: str, file: Path, owner: Owner = MINE, *, replaces: bool = False) -> Restored:
    aside = file.with_name("aside.db")
    return await Store.restore(url, file, owner, aside, first_index=1000, replaces=replaces, actor="operator")


async def opened(url: str) -> Store:
    return await Store.open(url, AesSealer())


async def test_a_backup_holds_every_row_and_says_what_it_is(filled: Store, tmp_path: Path) -> None:
    made = await backed_up(filled, tmp_path)
    async with filled.read() as tx:
        head = await tx.verify_audit()
    assert (made.seed, made.network, made.audit, made.trouble) == (MINE.seed, MINE.network, head, "")
    assert {table: n for table, n in made.rows.items() if table in ("swaps", "legs", "transactions", "sightings")} == {
        "swaps": 2,
        "legs": 4,
        "transactions": 1,
        "sightings": 1,
    }
    assert await read_backup(made.path) == made


async def test_a_backup_is_one_file_for_its_owner_only_and_never_overwritten(filled: Store, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    made = await backed_up(filled, folder)
    assert [path.name for path in folder.iterdir()] == ["backup.db"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    before = made.path.read_bytes()
    with pytest.raises(Invalid, match="never overwritten"):
        await backed_up(filled, folder)
    with pytest.raises(Invalid, match="folder that exists"):
        await backed_up(filled, folder / "nowhere")
    assert made.path.read_bytes() == before
    assert len(list(folder.iterdir())) == 1


async def test_a_backup_is_of_one_moment_and_blocks_nobody(filled: Store, tmp_path: Path) -> None:
    async with filled.write() as tx:
        await insert_swap(tx)  # under way: not in it
        made = await backed_up(filled, tmp_path)
    assert made.rows["swaps"] == 2
    assert len(await ids(filled)) == 3


async def test_s9_sealed_bytes_stay_sealed_in_a_backup(filled: Store, tmp_path: Path) -> None:
    made = await backed_up(filled, tmp_path)
    assert b"signed bytes" not in made.path.read_bytes()


async def test_nobody_runs_on_a_backup_by_copying_it(filled: Store, tmp_path: Path) -> None:
    made = await backed_up(filled, tmp_path)
    with pytest.raises(Rejected, match="a backup and no database to work with"):
        await Store.open(f"sqlite:///{made.path}", AesSealer())


async def test_s4_a_restored_database_knows_that_it_may_not_know(url: str, filled: Store, tmp_path: Path) -> None:
    made = await backed_up(filled, tmp_path)
    first, second = await ids(filled)
    await add_swap(filled)
    async with filled.read() as tx:
        given = await tx.peek_index()
    await filled.close()

    done = await restored(url, made.path, replaces=True)

    store = await opened(url)
    assert await ids(store) == [first, second], "as it was then"
    assert done.open_swaps == 2
    for swap_id in (first, second):
        row = await get(store, swap_id)
        assert row.memory.restored
        assert row.next_due_at == 0
        assert await lease(store, swap_id) > 0, "the dead worker's lease is gone"
    async with store.read() as tx:
        assert await tx.peek_index() == 1000 > given, "S13"
        (told,) = [e for e in await tx.audit_trail() if e.event == "database restored"]
        assert made.audit.hash in told.data
        assert await tx.meta("restored") == str(made.taken_at)
        assert (await tx.verify_audit(made.audit)).seq == made.audit.seq + 1
    await add_swap(store)  # rows go on with numbers of their own
    await store.close()


async def test_what_was_stored_and_sent_is_still_known(url: str, filled: Store, tmp_path: Path) -> None:
    made = await backed_up(filled, tmp_path)
    await filled.close()
    await restored(url, made.path, replaces=True)
    store = await opened(url)
    (swap_id,) = [s for s in await ids(store) if await get_effects(store, s)]
    row, effect = await get(store, swap_id), (await get_effects(store, swap_id))[LOCK.key]
    assert row.memory.lock_sent == {Role.PARTICIPANT}
    assert effect.attempts[0].tx == make_tx("tx", sequence=7)
    assert row.sightings[0].ref == "ref"
    fence = await lease(store, swap_id)
    async with store.write() as tx:
        assert await tx.next_sequence("ethereum", "account", 0) == 8
        await tx.add_attempt(effect.id, fence, make_tx("next"))
        assert await tx.cursor("ethereum") == Cursor(5, "hash", ((5, "hash"),))
    await store.close()


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
async def test_a_backup_of_one_engine_comes_back_in_the_other(
    filled: Store, tmp_path: Path, to: str, postgres_url: str
) -> None:
    made = await backed_up(filled, tmp_path)
    new = f"sqlite:///{tmp_path}/new.db" if to == "sqlite" else postgres_url
    await restored(new, made.path)
    store = await opened(new)
    assert await ids(store) == await ids(filled)
    async with store.read() as tx:
        assert (await tx.verify_audit()).seq == made.audit.seq + 1
    await add_swap(store)
    again = await store.backup(tmp_path / "again.db")
    assert again.rows["swaps"] == made.rows["swaps"] + 1
    await store.close()


async def test_a_database_with_swaps_is_replaced_only_when_asked_and_kept_whole(
    url: str, filled: Store, raw_sql: RawSql, tmp_path: Path
) -> None:
    made = await backed_up(filled, tmp_path)
    newest = await add_swap(filled)
    await filled.close()
    with pytest.raises(Rejected, match="--replace"):
        await restored(url, made.path)
    done = await restored(url, made.path, replaces=True)
    assert done.aside is not None
    engine = make_file_engine(done.aside)
    async with engine.connect() as connection:
        assert newest in await connection.run_sync(lambda c: c.scalars(text("SELECT id FROM swaps")).all())
    await engine.dispose()


async def test_a_backup_of_another_seed_or_network_is_refused(url: str, filled: Store, tmp_path: Path) -> None:
    made = await backed_up(filled, tmp_path)
    for owner in (Owner("another", MINE.network), Owner(MINE.seed, "mainnet")):
        with pytest.raises(Invalid, match="to which the backup belongs"):
            await restored(f"sqlite:///{tmp_path}/new.db", made.path, owner)
    assert not (tmp_path / "new.db").exists()


async def test_a_backup_of_a_newer_swapd_is_refused(filled: Store, tmp_path: Path) -> None:
    made = await backed_up(filled, tmp_path)
    await RawSql(f"sqlite:///{made.path}").run("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Rejected, match="newer swapd"):
        await restored(f"sqlite:///{tmp_path}/new.db", made.path)


async def test_a_backup_that_lost_rows_or_was_changed_is_refused(filled: Store, tmp_path: Path) -> None:
    made = await backed_up(filled, tmp_path)
    raw = RawSql(f"sqlite:///{made.path}")
    await raw.run("DELETE FROM sightings")
    with pytest.raises(Rejected, match="does not hold the rows that were written"):
        await restored(f"sqlite:///{tmp_path}/new.db", made.path)
    whole = await filled.backup(tmp_path / "whole.db")
    raw = RawSql(f"sqlite:///{whole.path}")
    await raw.drop_audit_triggers()
    await raw.run("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    with pytest.raises(Rejected, match=r"the audit chain of .* does not hold: audit entry 2 was changed"):
        await restored(f"sqlite:///{tmp_path}/new.db", whole.path)


async def test_a_file_that_is_no_backup_or_is_damaged_is_refused(filled: Store, tmp_path: Path) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    with pytest.raises(Invalid, match="a backup that exists"):
        await restored(new, tmp_path / "nothing.db")
    (tmp_path / "text").write_text("not a database at all, " * 50)
    with pytest.raises(Rejected, match="can not be read"):
        await restored(new, tmp_path / "text")
    made = await backed_up(filled, tmp_path)
    content = bytearray(made.path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = b"\xff" * 3000
    made.path.write_bytes(content)
    with pytest.raises(Rejected):
        await restored(new, made.path)


async def test_a_backup_of_a_broken_audit_chain_is_written_and_says_so(
    filled: Store, raw_sql: RawSql, tmp_path: Path
) -> None:
    await raw_sql.drop_audit_triggers()
    await raw_sql.run("UPDATE audit SET actor = 'nobody' WHERE seq = 1")
    made = await backed_up(filled, tmp_path)
    assert "audit entry 1 was changed" in made.trouble


async def test_a_copy_made_by_sqlites_own_means_is_taken_too(filled: Store, url: str, tmp_path: Path) -> None:
    """Also with its newest part in a WAL file beside it."""
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL's own backups come back by its own means: see the next test")
    for ending in ("", "-wal"):
        source = tmp_path / f"swapd.db{ending}"
        (tmp_path / f"copy.db{ending}").write_bytes(source.read_bytes())
    done = await restored(f"sqlite:///{tmp_path}/new.db", tmp_path / "copy.db")
    assert done.open_swaps == 2
    assert done.backup.taken_at > 0


async def test_a_database_brought_back_by_other_means_can_be_marked(filled: Store) -> None:
    assert await filled.mark_restored(1000, "operator") == 2
    for swap_id in await ids(filled):
        assert (await get(filled, swap_id)).memory.restored
    async with filled.read() as tx:
        await tx.verify_audit()


async def test_others_at_work_in_the_database_are_noticed(postgres_url: str, tmp_path: Path, filled: Store) -> None:
    made = await backed_up(filled, tmp_path)
    await Store.upgrade(postgres_url)
    busy = make_engine(parse_url(postgres_url))
    async with busy.connect():
        with pytest.raises(Rejected, match="stop every swapd"):
            await restored(postgres_url, made.path)
    await busy.dispose()
    await restored(postgres_url, made.path)


async def test_a_restore_that_fails_half_way_leaves_what_was_there(
    url: str, filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await backed_up(filled, tmp_path)
    newest = await add_swap(filled)

    async def fail(*_: object) -> int:
        raise Rejected("half-way")

    await filled.close()
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "mark", fail)
        with pytest.raises(Rejected, match="half-way"):
            await restored(url, made.path, replaces=True)
    store = await opened(url)
    assert newest in await ids(store)
    async with store.read() as tx:
        await tx.verify_audit()
    await store.close()


async def test_a_backup_of_the_first_schema_comes_back_in_the_newest(tmp_path: Path) -> None:
    from swapd.store import schema

    old = tmp_path / "old.db"
    old.touch(0o600)
    engine = make_file_engine(old)
    async with writing(engine).begin() as connection:
        await connection.run_sync(lambda c: schema.upgrade(c, "0001"))
        for key, value in (("seed", MINE.seed), ("network", MINE.network)):
            await connection.execute(text("INSERT INTO meta VALUES (:k, :v)"), {"k": key, "v": value})
    await engine.dispose()
    url = f"sqlite:///{tmp_path}/new.db"
    await restored(url, old)
    store = await opened(url)
    await add_swap(store)
    await store.close()
