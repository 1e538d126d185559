"""`swapd doctor`: one thing is broken at a time; it is named, with how to mend it, and everything else is fine."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
from tests.cli.desk import CONFIG, HOT_TO_PERSON, PERSON_ETH, Desk

EVERYTHING = [
    *("configuration", "key file", "database"),
    *("bitcoin node", "bitcoin clock", "bitcoin mempool", "bitcoin fees"),
    *("bitcoin wallet", "bitcoin reserved coins", "bitcoin tip"),
    *("ethereum network", "ethereum sync", "ethereum clock", "ethereum contract", "ethereum balance", "ethereum tip"),
]


def wrong(desk: Desk, **variables: str) -> list[dict[str, Any]]:
    """What the doctor finds to be wrong: told to a machine and to a person alike, with how to mend it."""
    result = desk.attempt("--config", str(CONFIG), "doctor", "--json", **variables)
    found = json.loads(result.stdout)
    assert all(each.keys() == {"name", "ok", "says", "mend"} for each in found)
    assert len({each["name"] for each in found}) == len(found)
    bad = [each for each in found if not each["ok"]]
    assert result.exit_code == (1 if bad else 0)
    person = desk.attempt("--config", str(CONFIG), "doctor", **variables)
    assert person.exit_code == result.exit_code
    for each in bad:
        assert each["mend"]
        assert f"bad  {each['name']}: " in person.stdout
        assert f"→ {each['mend']}" in person.stdout
    return bad


def only(bad: list[dict[str, Any]], name: str) -> str:
    assert [each["name"] for each in bad] == [name]
    return f"{bad[0]['says']} → {bad[0]['mend']}"


def test_finds_nothing_when_all_is_well(standing: Desk) -> None:
    assert wrong(standing) == []
    assert [each["name"] for each in standing.ask("doctor")] == EVERYTHING


def test_names_a_setting_that_does_not_exist(standing: Desk) -> None:
    assert "daemon.tick_secs" in only(wrong(standing, SWAPD__DAEMON__TICK_SECS="1"), "configuration")


def test_says_that_swapd_is_halted(standing: Desk) -> None:
    assert "entry.halted = false" in only(wrong(standing, SWAPD__ENTRY__HALTED="true"), "entry")


def test_says_that_there_is_no_key_file(standing: Desk) -> None:
    standing.settings.vault.key_file.rename(standing.folder / "away.json")
    try:
        assert "swapd init" in only(wrong(standing), "key file")
    finally:
        (standing.folder / "away.json").rename(standing.settings.vault.key_file)


def test_says_that_the_passphrase_is_wrong(standing: Desk) -> None:
    other = standing.folder / "other"
    other.touch(mode=0o600)
    other.write_text("no horse at all")
    said = only(wrong(standing, SWAPD__VAULT__PASSPHRASE_FILE=str(other)), "key file")
    assert "wrong passphrase" in said
    assert "no horse" not in said


def test_says_that_there_is_no_database(standing: Desk) -> None:
    url = f"sqlite:///{standing.folder / 'none.db'}"
    assert "swapd init" in only(wrong(standing, SWAPD__DATABASE__URL=url), "database")


def test_says_that_a_table_is_missing(standing: Desk) -> None:
    standing.change_database("ALTER TABLE sightings RENAME TO sights")
    assert "sightings" in only(wrong(standing), "database")
    standing.change_database("ALTER TABLE sights RENAME TO sightings")


def test_says_that_the_audit_chain_was_broken(desk: Desk) -> None:
    desk.create(HOT_TO_PERSON)
    with sqlite3.connect(desk.database_file) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE audit SET actor = 'nobody'")
        for _, sql in triggers:
            connection.execute(sql)
    connection.close()
    said = only(wrong(desk), "database")
    assert "audit" in said
    assert "backup" in said


@pytest.mark.parametrize("chain", ["bitcoin", "ethereum"])
def test_says_which_node_is_down(standing: Desk, chain: str) -> None:
    said = only(wrong(standing, **{f"SWAPD__CHAINS__{chain.upper()}__RPC_URL": "http://127.0.0.1:1"}), f"{chain} node")
    assert "connect" in said
    assert f"[chains.{chain}]" in said


def test_says_that_the_nodes_credentials_can_not_be_read(standing: Desk) -> None:
    cookie = str(standing.folder / "no-cookie")
    assert cookie in only(wrong(standing, SWAPD__CHAINS__BITCOIN__RPC_COOKIE_FILE=cookie), "bitcoin node")


def test_says_that_the_ethereum_node_is_on_another_chain(standing: Desk) -> None:
    said = only(wrong(standing, SWAPD__CHAINS__ETHEREUM__CHAIN_ID="1337"), "ethereum network")
    assert "31337" in said
    assert "1337" in said


def test_says_that_the_bitcoin_node_is_on_another_network(nowhere: Desk, bitcoind: Bitcoind, tmp_path: Path) -> None:
    config = tmp_path / "test.toml"
    config.write_text(
        '[daemon]\nnetwork = "testnet"\n[chains.ethereum]\nenabled = false\n[chains.bitcoin]\nnetwork = "signet"\n'
        f'rpc_url = "{bitcoind.rpc_url}"\nrpc_cookie_file = "{bitcoind.cookie_file}"\n'
    )
    for name in [name for name in nowhere.variables if "CHAINS" in name]:
        del nowhere.variables[name]
    assert nowhere.attempt("--config", str(config), "init").exit_code == 0
    result = nowhere.attempt("--config", str(config), "doctor", "--json")
    assert result.exit_code == 1
    bad = {each["name"]: each["says"] for each in json.loads(result.stdout) if not each["ok"]}
    assert "expected the node's network, regtest" in bad["bitcoin node"]


def test_says_that_the_bitcoin_node_has_no_wallet(standing: Desk) -> None:
    bad = wrong(standing, SWAPD__CHAINS__BITCOIN__WALLET="nobodys")
    assert {each["name"] for each in bad} <= {"bitcoin wallet", "bitcoin reserved coins"}
    assert "createwallet nobodys" in bad[0]["mend"]


def test_says_that_the_contract_is_not_configured(standing: Desk) -> None:
    said = only(wrong(standing, SWAPD__CHAINS__ETHEREUM__CONTRACT=""), "ethereum contract")
    assert "deploy" in said
    assert "chains.ethereum.contract" in said


def test_says_that_something_else_is_at_the_contracts_address(standing: Desk) -> None:
    assert "no code" in only(wrong(standing, SWAPD__CHAINS__ETHEREUM__CONTRACT=PERSON_ETH), "ethereum contract")


def test_says_where_to_send_money_when_there_is_none(poor: Desk, ethereum: Anvil) -> None:
    asyncio.run(ethereum.mine())
    assert poor.ask("wallet", "addresses")["ethereum"]["ETH"] in only(wrong(poor), "ethereum balance")


async def _a_day_ago(node: Bitcoind) -> None:
    await node.set_time(int(time.time()) - 86_400)
    await node.mine(1)
    await node.create_wallet("late")


def test_says_that_the_clock_is_off(standing: Desk) -> None:
    node = Bitcoind()
    try:
        asyncio.run(node.start())
        asyncio.run(_a_day_ago(node))
        bad = wrong(
            standing,
            SWAPD__CHAINS__BITCOIN__WALLET="late",
            SWAPD__CHAINS__BITCOIN__RPC_URL=node.rpc_url,
            SWAPD__CHAINS__BITCOIN__RPC_COOKIE_FILE=str(node.cookie_file),
        )
    finally:
        asyncio.run(node.stop())
    assert "NTP" in only(bad, "bitcoin tip")
