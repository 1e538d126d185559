"""What holds for every command: it explains itself, speaks to machines, and prints money exactly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Context, Decimal
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.cli import show
from swapd.cli.main import main
from swapd.cli.options import SmallestUnits
from swapd.devnet.anvil import Anvil
from swapd.protocol.terms import Asset
from tests.cli.conftest import WEI
from tests.cli.desk import CONFIG, PERSON_TO_HOT, Desk

DAEMON = {"swapd run", "swapd watchtower run"}
MACHINES_ALONE = {"swapd audit export"}
"""What they print is JSON in any case."""
"""Prints no data, but a log, whose form `daemon.log_format` decides."""


def commands(group: click.Command = main, name: str = "swapd") -> Iterator[tuple[str, click.Command]]:
    if isinstance(group, click.Group):
        for word, command in group.commands.items():
            yield from commands(command, f"{name} {word}")
    else:
        yield name, group


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_says_what_it_does_and_what_each_option_means(nowhere: Desk, name: str) -> None:
    for flag in ("--help", "-h"):
        result = nowhere.attempt(*name.split()[1:], flag)
        assert result.exit_code == 0
        about = (ALL[name].help or "").split(".")[0].split()
        assert about
        assert " ".join(about) in " ".join(result.stdout.split())
    for parameter in ALL[name].params:
        if isinstance(parameter, click.Option) and isinstance(parameter.type, SmallestUnits):
            assert "smallest unit" in (parameter.help or "").lower()


@pytest.mark.parametrize("name", [name for name in ALL if name not in DAEMON | MACHINES_ALONE])
def test_speaks_to_machines_too(name: str) -> None:
    assert any(parameter.name == "as_json" for parameter in ALL[name].params)


def test_every_amount_is_taken_in_smallest_units() -> None:
    amounts = [p for command in ALL.values() for p in command.params if (p.name or "").endswith("amount")]
    assert len(amounts) == 4
    assert all(isinstance(each.type, SmallestUnits) for each in amounts)


# -- money ---------------------------------------------------------------------------------------------------------


@given(st.integers(-(10**40), 10**40), st.integers(0, 36))
def test_an_amount_is_printed_exactly(value: int, decimals: int) -> None:
    text, symbol = show.amount(value, Asset("COIN", "chain", decimals)).split(" ")
    assert symbol == "COIN"
    with_all_digits = Decimal(text).scaleb(decimals, context=Context(prec=100))
    assert int(with_all_digits) == with_all_digits == value
    assert "e" not in text.lower()
    assert not (("." in text) and text.endswith("0"))


def test_balances_are_strings_for_machines_and_coins_for_people(desk: Desk) -> None:
    found = desk.ask("wallet", "balances")
    assert found == {"balances": {"bitcoin": {"BTC": "100000000"}, "ethereum": {"ETH": str(WEI)}}, "promised": {}}
    told = desk.run("wallet", "balances").stdout
    assert "1 BTC" in told
    assert "10 ETH" in told


def test_no_digit_is_left_out_on_a_narrow_screen(desk: Desk, ethereum: Anvil) -> None:
    address = desk.ask("wallet", "addresses")["ethereum"]["ETH"]
    asyncio.run(ethereum.set_balance(address, 9_123_456_789_012_345_678))
    desk.create(PERSON_TO_HOT, get_amount="1234567890123456789")
    assert column(desk.run("swap", "list", COLUMNS="60").stdout, 2) == "1.234567890123456789ETH"
    assert column(desk.run("wallet", "balances", COLUMNS="40").stdout, 2) == "1BTC9.123456789012345678ETH"


def column(table: str, number: int) -> str:
    """What stands in a column of a printed table, without the spaces and line breaks that the screen demands."""
    cells = (line.split("│")[number + 1] for line in table.splitlines() if line.startswith("│"))
    return "".join(cell.strip().replace(" ", "") for cell in cells)


def test_addresses_are_printed_whole_for_both(standing: Desk) -> None:
    found = standing.ask("wallet", "addresses")
    assert found.keys() == {"bitcoin", "ethereum"}
    assert found["bitcoin"]["BTC"].startswith("bcrt1")
    told = standing.run("wallet", "addresses", COLUMNS="40").stdout
    assert f"ethereum  ETH  {found['ethereum']['ETH']}\n" in told


def test_what_others_say_is_printed_as_they_said_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = "the node says [bold]no[/bold] and [/] and [signature, key]" + 40 * " 0x0123456789"
    show.say(words)
    assert capsys.readouterr().out == words + "\n"


# -- timelocks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("give", "get"), [("BTC", "ETH"), ("ETH", "BTC")])
def test_the_lines_of_the_timelocks_add_up(nowhere: Desk, give: str, get: str) -> None:
    found = nowhere.ask("timelocks", give, get)
    assert found.keys() == {"reveal_by", "participant_timelock", "initiator_timelock", "lines"}
    elapsed, marks = 0, []
    for line in found["lines"]:
        assert line.keys() == {"name", "seconds", "at", "why"}
        assert line["why"]
        elapsed += line["seconds"]
        if line["at"] is not None:
            assert line["at"] == elapsed
            marks.append(elapsed)
    assert marks == [found["reveal_by"], found["participant_timelock"], found["initiator_timelock"]]
    told = nowhere.run("timelocks", give, get, "--explain").stdout
    assert all(line["name"] in told for line in found["lines"])
    assert "T_p, participant leg on" in nowhere.run("timelocks", give, get).stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["BTC", "DOGE"], "get: got 'DOGE', expected one of the configured assets: BTC, ETH"),
        (["DOGE", "BTC"], "give: got 'DOGE', expected one of the configured assets: BTC, ETH"),
        (["BTC", "BTC"], "get: got 'BTC', expected an asset on another chain than bitcoin"),
        (["BTC", "ETH", "--give-amount=0"], "give_amount: got 0, expected 100000 to 1000000000"),
        (["BTC", "ETH", "--get-amount=-1"], "get_amount: got -1, expected"),
        (["BTC", "ETH", "--get-amount=1.5"], "get_amount: got '1.5', expected a whole number"),
    ],
)
def test_timelocks_that_can_not_be_are_refused(nowhere: Desk, words: list[str], says: str) -> None:
    assert nowhere.refused("timelocks", *words).startswith(says)


# -- contract and devnet -------------------------------------------------------------------------------------------


def test_deploying_the_contract_prints_what_belongs_into_the_configuration(standing: Desk) -> None:
    node = Anvil(block_time=1)
    try:
        asyncio.run(node.start())
        asyncio.run(node.set_balance(standing.ask("wallet", "addresses")["ethereum"]["ETH"], WEI))
        found = standing.ask("contract", "deploy", SWAPD__CHAINS__ETHEREUM__RPC_URL=node.rpc_url)
        assert found.keys() == {"contract", "from_block", "txid"}
        told = standing.run("contract", "deploy", SWAPD__CHAINS__ETHEREUM__RPC_URL=node.rpc_url).stdout
    finally:
        asyncio.run(node.stop())
    assert '\n[chains.ethereum]\ncontract = "0x' in told
    assert "\nfrom_block = " in told


def test_deploying_without_money_or_on_another_kind_of_chain_is_refused(poor: Desk) -> None:
    assert "may take" in poor.refused("contract", "deploy", "--within", "1")
    assert poor.refused("contract", "deploy", "--chain", "bitcoin") == (
        "--chain: got 'bitcoin', expected a configured chain of Ethereum's kind"
    )


def test_a_devnet_goes_up_is_seen_and_goes_down(nowhere: Desk, tmp_path: Path) -> None:
    folder = ("--folder", str(tmp_path / "nodes"), "--json")
    nothing = nowhere.attempt("devnet", "status", *folder)
    assert (nothing.exit_code, json.loads(nothing.stdout)) == (1, {"running": False, "nodes": []})
    try:
        up = nowhere.attempt("devnet", "up", "--detach", *folder)
        assert up.exit_code == 0, up.output
        environment = json.loads(up.stdout)["environment"]
        status = nowhere.attempt("devnet", "status", *folder)
        again = nowhere.attempt("devnet", "up", "--detach", *folder)
        there = nowhere.attempt("--config", str(CONFIG), "init", **environment)
    finally:
        down = nowhere.attempt("devnet", "down", *folder)
    found = json.loads(status.stdout)
    assert (status.exit_code, found["running"]) == (0, True)
    assert [node["name"] for node in found["nodes"]] == ["bitcoind", "anvil", "icp"]
    assert found["nodes"][0]["rpc_url"] == environment["SWAPD__CHAINS__BITCOIN__RPC_URL"]
    assert again.exit_code == 1
    assert "runs in" in again.stderr
    assert there.exit_code == 0
    assert (down.exit_code, json.loads(down.stdout)) == (0, {"stopped": True})
    assert json.loads(nowhere.attempt("devnet", "down", *folder).stdout) == {"stopped": False}
