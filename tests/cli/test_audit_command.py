"""`swapd audit` at a terminal: without a passphrase, and where it can be without a database."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from swapd.cli.context import NoKey
from swapd.store import Store
from tests.cli.desk import Desk


@pytest.fixture
def books(nowhere: Desk) -> Desk:
    """A database with some entries, and no passphrase any more."""
    nowhere.run("init")
    asyncio.run(_fill(_url(nowhere)))
    Path(nowhere.variables["SWAPD__VAULT__PASSPHRASE_FILE"]).unlink()
    return nowhere


def _url(desk: Desk) -> str:
    return f"sqlite:///{desk.variables['SWAPD__DAEMON__DATA_DIR']}/swapd.db"


async def _fill(url: str) -> None:
    store = await Store.open(url, NoKey())
    for number in range(5):
        async with store.write("ann") as tx:
            tx.audit("something", None, number=number, words=["ä"])
    await store.close()


async def _proof(url: str, seq: int, limit: int) -> list[dict[str, Any]]:
    store = await Store.open(url, NoKey())
    pages, after = [], None
    try:
        while True:
            async with store.read() as tx:
                found = await tx.audit_proof(seq, after=after, limit=limit)
            head = {"seq": found.head.seq, "hash": found.head.hash}
            pages.append(
                {"content": found.text, "prev_hash": found.entry.prev_hash, "steps": list(found.steps)}
                | {"after": found.after, "head": head}
            )
            if found.next is None:
                return pages
            after = found.next
    finally:
        await store.close()


def _tamper(desk: Desk) -> None:
    with sqlite3.connect(_url(desk).removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE seq = (SELECT max(seq) - 1 FROM audit)")


def test_a_chain_that_holds_is_said_to_and_its_end_is_shown(books: Desk) -> None:
    said = json.loads(books.run("audit", "verify", "--json").output)
    head = said["head"]
    assert said["ok"]
    known = f"{head['seq']}:{head['hash']}"
    assert known in books.run("audit", "verify", "--known", known).output
    wrong = books.attempt("audit", "verify", "--known", f"{head['seq']}:{'0' * 64}")
    assert wrong.exit_code == 1
    assert "is not the one that was written down" in wrong.output
    longer = books.attempt("audit", "verify", "--known", f"{head['seq'] + 1}:{'0' * 64}")
    assert "but once had" in longer.output


def test_an_export_is_whole_and_is_verified_without_a_database(books: Desk, tmp_path: Path) -> None:
    file, part = tmp_path / "all.jsonl", tmp_path / "part.jsonl"
    head = json.loads(books.run("audit", "verify", "--json").output)["head"]
    assert f"head {head['seq']}:{head['hash']}" in books.run("audit", "export", "--output", str(file)).output
    books.run("audit", "export", "--after", "2", "--output", str(part))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, head["seq"] + 1))
    assert lines[-1]["data"] == {"number": 4, "words": ["ä"]}
    assert lines[-1].keys() == {"seq", "at", "actor", "swap_id", "event", "data", "prev_hash", "hash"}
    Path(_url(books).removeprefix("sqlite:///")).unlink()
    assert json.loads(books.run("audit", "verify", str(file), "--json").output)["head"] == head
    told = json.loads(books.run("audit", "verify", str(part), "--json").output)
    assert (told["first"], told["head"]) == (3, head)
    again = books.attempt("audit", "export", "--output", str(file))
    assert again.exit_code == 1


def test_an_export_goes_to_standard_output_when_no_file_is_named(books: Desk) -> None:
    said = books.run("audit", "export").stdout.splitlines()
    assert json.loads(said[0])["seq"] == 1


@pytest.mark.parametrize("change", ["swap", "drop", "edit", "garbage", "float", "nothing"])
def test_an_export_that_was_changed_is_found_out(books: Desk, tmp_path: Path, change: str) -> None:
    file = tmp_path / "all.jsonl"
    books.run("audit", "export", "--output", str(file))
    lines = file.read_text().splitlines()
    changed = {
        "swap": [lines[1], lines[0], *lines[2:]],
        "drop": [lines[0], *lines[2:]],
        "edit": [*lines[:-1], lines[-1].replace('"ann"', '"bob"')],
        "garbage": [*lines, "{}"],
        "float": [*lines[:-1], lines[-1].replace('"number":4', '"number":4.0')],
        "nothing": [],
    }
    file.write_text("\n".join(changed[change]))
    result = books.attempt("audit", "verify", str(file))
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output


def test_a_chain_that_was_changed_is_found_out(books: Desk) -> None:
    _tamper(books)
    result = books.attempt("audit", "verify")
    assert result.exit_code == 1
    assert "was changed" in result.output


@pytest.mark.parametrize("limit", [100, 2])
def test_a_proof_is_checked_without_a_database(books: Desk, tmp_path: Path, limit: int) -> None:
    head = json.loads(books.run("audit", "verify", "--json").output)["head"]
    pages = asyncio.run(_proof(_url(books), 2, limit))
    files = []
    for number, page in enumerate(pages):
        files.append(tmp_path / f"proof-{number}.json")
        files[-1].write_text(json.dumps(page))
    Path(_url(books).removeprefix("sqlite:///")).unlink()
    words = ["audit", "check-proof", *map(str, files)]
    known = f"{head['seq']}:{head['hash']}"
    assert json.loads(books.run(*words, "--known", known, "--json").output)["content"]["seq"] == 2
    assert "proven: entry 2" in books.run(*words).output
    for wrong in (f"{head['seq']}:{'0' * 64}", f"{head['seq'] + 1}:{head['hash']}"):
        refused = books.attempt(*words, "--known", wrong)
        assert refused.exit_code == 1
        assert "not proven" in refused.output
    files[0].write_text("[]")
    assert books.attempt(*words).exit_code == 1


def test_a_head_that_is_none_is_refused_in_one_line(books: Desk) -> None:
    result = books.attempt("audit", "verify", "--known", "7")
    assert result.exit_code == 1
    assert "known: got '7', expected NUMBER:HASH" in result.output
