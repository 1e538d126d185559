"""`swapd keys`: at the terminal, on the database alone."""

from __future__ import annotations

import pytest

from swapd.api.keys import TOKEN
from tests.cli.desk import Desk


@pytest.fixture
def desk(nowhere: Desk) -> Desk:
    """No node answers there, and none is needed."""
    nowhere.run("init")
    return nowhere


def test_a_token_is_printed_once_alone_on_standard_output(desk: Desk) -> None:
    result = desk.run("keys", "issue", "shop", "--role", "marketplace", "--chain", "bitcoin", "--expires-in", "90d")
    token = result.stdout.removesuffix("\n")
    assert TOKEN.fullmatch(token)
    listed = desk.run("keys", "list")
    assert "shop" in listed.output
    assert token.rpartition("_")[2] not in listed.output + "".join(desk.database())
    (row,) = desk.ask("keys", "list")
    assert (row["name"], row["role"], row["state"], row["networks"]) == ("shop", "marketplace", "active", ["bitcoin"])
    assert row["expires"]["unix"] - row["created"]["unix"] == 90 * 86_400


def test_a_key_is_rotated_and_revoked_by_name_or_id(desk: Desk) -> None:
    first = desk.ask("keys", "issue", "olga", "--role", "operator")
    second = desk.ask("keys", "rotate", "olga", "--grace", "1h")
    assert second["key"]["id"] == first["key"]["id"]
    assert second["token"] != first["token"]
    assert second["key"]["previous_secret_until"] is not None
    assert desk.ask("keys", "revoke", first["key"]["id"])["state"] == "revoked"
    assert "was revoked" in desk.refused("keys", "rotate", "olga", "--grace", "0s")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("issue", "Shop", "--role", "marketplace"), "name: got 'Shop'"),
        (("issue", "shop", "--role", "marketplace", "--chain", "dogecoin"), "networks: got 'dogecoin'"),
        (("issue", "shop", "--role", "marketplace", "--rate", "0"), "rate: got 0"),
        (("issue", "shop", "--role", "marketplace", "--expires-in", "0d"), "expires_in: got 0"),
        (("issue", "shop", "--role", "marketplace", "--expires-in", "soon"), "expires_in: got 'soon'"),
        (("revoke", "nobody"), "key: got 'nobody'"),
        (("rotate", "nobody", "--grace", "1h"), "key: got 'nobody'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(desk: Desk, words: tuple[str, ...], why: str) -> None:
    assert why in desk.refused("keys", *words)


def test_a_name_that_is_taken_stays_its_holders(desk: Desk) -> None:
    desk.run("keys", "issue", "shop", "--role", "marketplace")
    assert "rotate it" in desk.refused("keys", "issue", "shop", "--role", "admin")


def test_the_audit_chain_names_the_operator(desk: Desk) -> None:
    desk.run("keys", "issue", "shop", "--role", "marketplace")
    assert any("'operator'" in line and "key issued" in line for line in desk.database() if '"audit"' in line)
