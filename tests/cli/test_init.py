"""`swapd init`: makes what is missing, and never changes what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.desk import CONFIG, Desk


def words_of(desk: Desk) -> str:
    """The seed's words, as `--show-words` prints them; asked for, so not among what was said."""
    paper: str = desk.ask("init", "--show-words")["words"]
    desk.said.pop()
    return paper


def test_makes_seed_and_database_that_nobody_else_can_read(nowhere: Desk) -> None:
    made = nowhere.ask("init")
    assert made.keys() == {"configuration", "key_file", "made", "seed"}
    assert made["made"] is True
    for file in (Path(made["key_file"]), nowhere.database_file):
        assert file.stat().st_mode & 0o777 == 0o600
    nowhere.assert_kept_its_secrets()


def test_a_second_run_changes_nothing(nowhere: Desk) -> None:
    first = nowhere.ask("init")
    seed, database = Path(first["key_file"]).read_bytes(), nowhere.database()
    assert nowhere.ask("init") == first | {"made": False}
    assert Path(first["key_file"]).read_bytes() == seed
    assert nowhere.database() == database


def test_words_are_printed_only_when_asked_for(nowhere: Desk) -> None:
    nowhere.run("init")
    paper = words_of(nowhere)
    assert len(paper.split()) == 24
    assert paper in nowhere.run("init", "--show-words").stdout
    nowhere.said.pop()
    nowhere.assert_kept_its_secrets()


def test_the_words_restore_the_same_seed(nowhere: Desk, tmp_path: Path) -> None:
    made = nowhere.ask("init")
    elsewhere = Desk(tmp_path, nowhere.variables | {"SWAPD__DAEMON__DATA_DIR": str(tmp_path / "elsewhere")})
    restored = elsewhere.run("init", "--restore", stdin=f"{words_of(nowhere)}\n")
    assert f"seed {made['seed']}" in restored.stdout
    assert Path(made["key_file"]).read_bytes() != elsewhere.settings.vault.key_file.read_bytes()
    elsewhere.assert_kept_its_secrets()


def test_restoring_over_a_seed_is_refused(nowhere: Desk) -> None:
    nowhere.run("init")
    assert "--restore: got" in nowhere.refused("init", "--restore", stdin="whatever\n")


@pytest.mark.parametrize(
    ("typed", "says"),
    [("abandon " * 23, "23 words"), ("abandon " * 23 + "xyzzy", "position 24"), ("abandon " * 24, "checksum")],
)
def test_wrong_words_make_nothing_and_are_not_repeated(nowhere: Desk, typed: str, says: str) -> None:
    result = nowhere.attempt("--config", str(CONFIG), "init", "--restore", stdin=f"{typed}\n")
    assert result.exit_code == 1
    assert says in result.stderr
    assert "abandon" not in result.output
    assert "xyzzy" not in result.output
    assert not nowhere.settings.vault.key_file.exists()
    assert not nowhere.database_file.exists()


@pytest.mark.parametrize("network", ["devnet", "testnet", "mainnet"])
def test_a_folder_gets_configuration_seed_and_database(tmp_path: Path, network: str) -> None:
    desk = Desk(tmp_path, {"SWAPD_PASSPHRASE": "long enough for a person"})
    folder = tmp_path / "new"
    made = desk.attempt("init", "--folder", str(folder), "--network", network, "--json")
    assert made.exit_code == 0, made.output
    assert {file.name for file in folder.iterdir()} >= {"swapd.toml", "seed.json", "swapd.db"}
    assert folder.stat().st_mode & 0o777 == 0o700
    toml = (folder / "swapd.toml").read_bytes()
    assert f'network = "{network}"'.encode() in toml
    again = desk.attempt("--config", str(folder / "swapd.toml"), "init", "--json")
    assert again.exit_code == 0, again.output
    assert (folder / "swapd.toml").read_bytes() == toml


def test_a_folder_without_a_network_or_beside_a_configuration_is_refused(nowhere: Desk, tmp_path: Path) -> None:
    assert "--folder with --network" in nowhere.refused(
        "init", "--folder", str(tmp_path / "new"), "--network", "devnet"
    )
    result = nowhere.attempt("init", "--folder", str(tmp_path / "new"))
    assert result.exit_code == 1
    assert "--folder with --network" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_passphrase_that_is_too_short_makes_nothing(nowhere: Desk) -> None:
    Path(nowhere.variables["SWAPD__VAULT__PASSPHRASE_FILE"]).write_text("short7!")
    line = nowhere.refused("init")
    assert "at least 8 characters" in line
    assert "short7!" not in line
    assert not nowhere.settings.vault.key_file.exists()


def test_a_wrong_passphrase_is_refused_and_not_repeated(nowhere: Desk) -> None:
    nowhere.run("init")
    Path(nowhere.variables["SWAPD__VAULT__PASSPHRASE_FILE"]).write_text("correct horse battery stable")
    for words in (["init"], ["swap", "list"], ["run"]):
        line = nowhere.refused(*words)
        assert "wrong passphrase" in line
        assert "horse" not in line


@pytest.mark.parametrize("which", ["data/seed.json", "passphrase", "data/swapd.db"])
def test_files_that_others_can_read_are_refused_with_how_to_close_them(nowhere: Desk, which: str) -> None:
    nowhere.run("init")
    file = nowhere.folder / which
    file.chmod(0o644)
    line = nowhere.refused("swap", "list")
    assert f"chmod 600 {file}" in line


def test_a_database_of_another_seed_is_refused(nowhere: Desk, tmp_path: Path) -> None:
    first = nowhere.ask("init")["seed"]
    Path(nowhere.settings.vault.key_file).rename(tmp_path / "old.json")
    line = nowhere.refused("init")
    assert line.startswith("seed: got ")
    assert f"expected {first}" in line
    assert nowhere.refused("swap", "list").startswith("seed: got ")


def test_a_database_of_another_network_is_refused(nowhere: Desk) -> None:
    nowhere.run("init")
    nowhere.change_database("UPDATE meta SET value = 'testnet' WHERE key = 'network'")
    assert nowhere.refused("swap", "list").startswith("network: got 'devnet', expected testnet")


@pytest.mark.parametrize("words", [["swap", "list"], ["run"], ["init"]])
def test_a_database_of_a_newer_swapd_is_refused(nowhere: Desk, words: list[str]) -> None:
    nowhere.run("init")
    nowhere.change_database("UPDATE alembic_version SET version_num = '9999'")
    assert "made by a newer swapd" in nowhere.refused(*words)


def test_without_a_database_commands_say_how_to_make_it(nowhere: Desk) -> None:
    nowhere.run("init")
    nowhere.database_file.unlink()
    assert "`swapd init` makes one" in nowhere.refused("swap", "list")


def test_an_unknown_key_is_named_with_where_it_stands(nowhere: Desk, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[daemon]\nnetwork = "devnet"\ntick_second = 1\n')
    result = nowhere.attempt("--config", str(file), "swap", "list")
    assert result.exit_code == 1
    assert "daemon.tick_second" in result.stderr
    assert "daemon.tick_seconds" in result.stderr
    assert str(file) in result.stderr
    assert "chains.bitcoin.walet" in nowhere.refused("swap", "list", SWAPD__CHAINS__BITCOIN__WALET="x")


def test_a_configuration_that_is_not_there_is_named(nowhere: Desk) -> None:
    result = nowhere.attempt("--config", "no-such.toml", "swap", "list")
    assert result.exit_code == 2
    assert "no-such.toml" in result.stderr.splitlines()[-1]
