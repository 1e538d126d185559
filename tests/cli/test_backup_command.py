"""`swapd backup` and `swapd restore`, as an operator types them."""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.desk import Desk


@pytest.fixture
def made(nowhere: Desk) -> Desk:
    nowhere.run("init")
    return nowhere


def something_happens(desk: Desk) -> None:
    """Enough for the database not to be new any more."""
    desk.run("restore", "--in-place")


def test_a_backup_needs_no_passphrase_and_says_what_to_keep_with_it(made: Desk, tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    without = Desk(tmp_path, {k: v for k, v in made.variables.items() if "PASSPHRASE" not in k})
    said = without.run("backup", str(file)).stdout
    assert str(file) in said
    assert "24 words" in said
    assert "NOT in it" in said
    assert f"swapd restore {file}" in said
    assert file.stat().st_mode & 0o777 == 0o600
    made.assert_kept_its_secrets()


def test_into_a_folder_a_backup_gets_a_name_of_its_own(made: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    found = made.ask("backup", str(folder))
    assert Path(found["file"]).parent == folder
    assert found["network"] == "devnet"
    assert found["audit_head"]["seq"] == found["rows"]["audit"]


def test_a_name_that_is_taken_is_refused(made: Desk, tmp_path: Path) -> None:
    made.run("backup", str(tmp_path / "kept.db"))
    assert "never overwritten" in made.refused("backup", str(tmp_path / "kept.db"))


def test_what_was_backed_up_comes_back_and_what_was_there_is_kept(made: Desk, tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    made.run("backup", str(file))
    something_happens(made)
    assert "--replace" in made.refused("restore", str(file))
    said = made.run("restore", str(file), "--replace").stdout
    assert "the database that was there" in said
    assert "swapd recover" in said
    kept = list(made.database_file.parent.glob("swapd.db.before-restore-*"))
    assert len([each for each in kept if each.suffix not in ("-wal", "-shm")]) >= 1
    assert made.ask("restore", str(file), "--replace")["open_swaps"] == 0


def test_a_backup_is_not_for_running_on(made: Desk, tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    made.run("backup", str(file))
    made.database_file.unlink()
    file.rename(made.database_file)
    assert "swapd restore" in made.refused("swap", "list")


def test_another_seed_is_refused(made: Desk, tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    made.run("backup", str(file))
    other = Desk(tmp_path, made.variables | {"SWAPD__DAEMON__DATA_DIR": str(tmp_path / "other")})
    other.run("init")
    assert "to which the backup belongs" in other.refused("restore", str(file))


def test_beside_a_running_daemon_nothing_is_restored(made: Desk, tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    made.run("backup", str(file))
    with (made.database_file.parent / "daemon.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another swapd is running" in made.refused("restore", str(file))


def test_one_of_file_and_in_place_has_to_be_named(made: Desk, tmp_path: Path) -> None:
    assert "--in-place alone" in made.refused("restore")
    assert "--in-place alone" in made.refused("restore", str(tmp_path / "x"), "--in-place")


def test_brought_back_by_other_means_it_is_marked(made: Desk) -> None:
    assert "marked as restored" in made.run("restore", "--in-place").stdout
    with closing(sqlite3.connect(made.database_file)) as connection:
        (event,) = connection.execute("SELECT event FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    assert event == "database restored"
