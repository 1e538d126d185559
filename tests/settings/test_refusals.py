"""What can not be right is refused: the error names the key, the value, what was expected and who said so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from swapd.errors import Invalid
from swapd.settings import load
from tests.settings.conftest import Refusal

# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("[daemon]\ntick_secnds = 1", "daemon.tick_secnds", "daemon.tick_seconds"),
        ("[deamon]\ntick_seconds = 1", "deamon", "daemon"),
        ("[daemon]\nhalted = true", "daemon.halted", "entry.halted"),
        ("[chains.bitcoin]\nrpc_ulr = 'x'", "chains.bitcoin.rpc_ulr", "chains.bitcoin.rpc_url"),
        ("[chains.bitcion]\nenabled = true", "chains.bitcion", "chains.bitcoin"),
        ("[chains.bitcoin]\nfloor_rate = 1", "chains.bitcoin.floor_rate", "chains.bitcoin.fee.floor_rate"),
        ("[chains.bitcoin.assets.BTC]\nminimun = 1", "chains.bitcoin.assets.BTC.minimun", "BTC.minimum"),
    ],
)
def test_an_unknown_key_is_refused_with_what_was_probably_meant(
    refused: Refusal, tmp_path: Path, text: str, key: str, meant: str
) -> None:
    error = refused(text)
    assert error.field == key
    assert f"{meant}?" in str(error)
    assert str(tmp_path / "swapd.toml") in str(error)


def test_an_unknown_variable_is_refused_with_what_was_probably_meant(refused: Refusal) -> None:
    error = refused(SWAPD__DAEMON__TICK_SECNDS="1")
    assert error.field == "daemon.tick_secnds"
    assert "did you mean daemon.tick_seconds? (in the variable SWAPD__DAEMON__TICK_SECNDS)" in str(error)


@pytest.mark.parametrize("variable", ["SWAPD__", "SWAPD__DAEMON", "SWAPD__DAEMON__WORKER__X", "SWAPD__X__Y"])
def test_a_variable_that_names_no_setting_is_refused(refused: Refusal, variable: str) -> None:
    assert variable in str(refused(**{variable: "1"}))


def test_s9_the_value_of_an_unknown_key_is_not_shown(refused: Refusal) -> None:
    assert "hunter2" not in str(refused('[chains.bitcoin]\nrpc_password = "hunter2"'))
    assert "hunter2" not in str(refused(SWAPD__CHAINS__BITCOIN__RPC_PASSWORD="hunter2"))


def test_a_value_where_a_table_belongs_is_refused(refused: Refusal) -> None:
    assert str(refused("chains = 3")).startswith("chains: got a int, expected a table of keys")


def test_a_new_asset_without_all_its_keys_is_refused(refused: Refusal) -> None:
    error = refused("[chains.ethereum.assets.USDC]\ndecimals = 6\nmaximum = 1\ntiers = [{ confirmations = 1 }]")
    assert error.field == "chains.ethereum.assets.USDC.minimum"
    assert "got nothing, expected a value" in str(error)


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ('[daemon]\ntick_seconds = "5"', "daemon.tick_seconds", "5"),
        ("[daemon]\ntick_seconds = 0", "daemon.tick_seconds", 0),
        ("[daemon]\ntick_seconds = true", "daemon.tick_seconds", True),
        ("[daemon]\nlease_seconds = 1.5", "daemon.lease_seconds", 1.5),
        ("[daemon]\nworker = 7", "daemon.worker", 7),
        ("[entry]\nhalted = 1", "entry.halted", 1),
        ('[entry]\nhalted = "yes"', "entry.halted", "yes"),
        ('[daemon]\nlog_level = "inof"', "daemon.log_level", "inof"),
        ('[daemon]\nnetwork = "regtest"', "daemon.network", "regtest"),
        ("[vault]\nkey_file = 3", "vault.key_file", 3),
        ('[vault]\nkey_file = ""', "vault.key_file", ""),
        ("[chains.bitcoin.timing]\nblock_seconds = inf", "chains.bitcoin.timing.block_seconds", float("inf")),
        ("[chains.bitcoin.assets.BTC]\nminimum = 0.1", "chains.bitcoin.assets.BTC.minimum", 0.1),
        ('[chains.bitcoin.assets.BTC]\nminimum = "1e3"', "chains.bitcoin.assets.BTC.minimum", "1e3"),
        (
            "[chains.bitcoin.assets.BTC]\ntiers = [{ confirmations = 0 }]",
            "chains.bitcoin.assets.BTC.tiers.0.confirmations",
            0,
        ),
        ('[chains.ethereum]\ncontract = "0x12"', "chains.ethereum.contract", "0x12"),
    ],
)
def test_a_value_of_the_wrong_type_or_out_of_bounds_is_refused(
    refused: Refusal, tmp_path: Path, text: str, key: str, value: object
) -> None:
    error = refused(text)
    assert (error.field, error.value) == (key, value)
    assert error.expected.endswith(f"(in {tmp_path / 'swapd.toml'})")


def test_a_bad_value_in_a_variable_is_said_to_be_the_variables(refused: Refusal) -> None:
    error = refused("[daemon]\ntick_seconds = 2", SWAPD__DAEMON__TICK_SECONDS="soon")
    assert str(error) == (
        "daemon.tick_seconds: got 'soon', expected a valid number (in the variable SWAPD__DAEMON__TICK_SECONDS)"
    )


def test_a_misspelt_item_of_a_list_is_refused(refused: Refusal) -> None:
    error = refused("[chains.bitcoin.assets.BTC]\ntiers = [{ confirmation = 2 }]")
    assert error.field.startswith("chains.bitcoin.assets.BTC.tiers.0.confirmation")


@pytest.mark.parametrize(
    "url", ["postgresqk://u:hunter2@h/n", "hunter2", "sqlite:///relative/hunter2", "http://[hunter2"]
)
def test_s9_a_refused_url_does_not_show_its_secrets(refused: Refusal, url: str) -> None:
    error = refused(SWAPD__DATABASE__URL=url)
    assert error.field == "database.url"
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[daemon", "a file in TOML"), (b"\xff\xfe", "a text file in UTF-8"), (None, "No such file")],
)
def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "swapd.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Invalid, match=words) as caught:
        load(path, {})
    assert str(path) in str(caught.value)


# -- contradictions ----------------------------------------------------------------------------------------------------

DEVNET = """
[daemon]
network = "devnet"
[chains.bitcoin]
network = "regtest"
[chains.ethereum]
chain_id = 31337
"""
BTC = "[chains.bitcoin.assets.BTC]\n"
ETH = "[chains.ethereum.assets.ETH]\n"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('[chains.bitcoin]\nnetwork = "regtest"', "chains.bitcoin.network", "daemon.network is mainnet"),
        (DEVNET.replace("regtest", "main"), "chains.bitcoin.network", "regtest"),
        (DEVNET.replace("31337", "1"), "chains.ethereum.chain_id", "31337 or 1337"),
        ("[chains.ethereum]\nchain_id = 31337", "chains.ethereum.chain_id", "real money"),
        ("[chains.ethereum]\nchain_id = 11155111", "chains.ethereum.chain_id", "real money"),
        (
            '[daemon]\nnetwork = "testnet"\n[chains.bitcoin]\nnetwork = "signet"\n[chains.ethereum]\nchain_id = 1',
            "chains.ethereum.chain_id",
            "a test network",
        ),
        ('[vault]\nscrypt = "light"', "vault.scrypt", "'strong'"),
        ('[vault]\npassphrase_file = "{data_dir}/seed.json"', "vault.passphrase_file", "another file"),
        (BTC + "tiers = [{ confirmations = 1 }]", "chains.bitcoin.assets.BTC.tiers", "2 or more on mainnet"),
        (ETH + "tiers = [{ confirmations = 1 }]", "chains.ethereum.assets.ETH.tiers", "4 or more on mainnet"),
        (ETH + "tiers = [{ confirmations = 32 }]", "chains.ethereum.assets.ETH.tiers", "finalized_from, 96"),
        ('[chains.bitcoin.timing]\narrival = "fixed"', "chains.bitcoin.timing.arrival", "'poisson' on mainnet"),
        ("[chains.bitcoin.timing]\nblock_seconds = 1", "chains.bitcoin.timing.block_seconds", "540 to 720"),
        ("[chains.bitcoin.timing]\nclock_behind = 9000", "chains.bitcoin.timing.clock_behind", "at least 9872"),
        ("[chains.bitcoin.timing]\noutage = 1", "chains.bitcoin.timing.outage", "at least 600 s on mainnet"),
        ("[chains.ethereum.timing]\ninclusion = 20", "chains.ethereum.timing.inclusion", "at least 30 s"),
        (
            "[chains.ethereum.timing]\nfunding_window = 590\ninclusion = 590",
            "chains.ethereum.timing.funding_window",
            "at least 600 s",
        ),
        (
            "[chains.ethereum.timing]\nfunding_window = 599",
            "chains.ethereum.timing.funding_window",
            "at least inclusion, 600",
        ),
        ("[chains.ethereum.timing]\nblock_seconds = 2", "chains.ethereum.timing.block_seconds", "slots"),
        ("[chains.bitcoin.timing]\nmissed_share = 0.1", "chains.bitcoin.timing.missed_share", "only 'slots'"),
        (
            DEVNET + "poll_seconds = 20\n[chains.ethereum.timing]\ninclusion = 30",
            "chains.ethereum.timing.inclusion",
            "poll_seconds, 20",
        ),
        (BTC + "minimum = 2\nmaximum = 1", "chains.bitcoin.assets.BTC", "minimum must be above zero and not above"),
        (BTC + "tiers = [{ up_to = 9, confirmations = 2 }]", "chains.bitcoin.assets.BTC", "only the last one has none"),
        (
            '[chains.bitcoin]\nrpc_user = "a"\nrpc_password_file = "b"',
            "chains.bitcoin",
            "either rpc_cookie_file, or both",
        ),
        ('[chains.bitcoin]\nrpc_user = "a"', "chains.bitcoin", "either rpc_cookie_file, or both"),
        ("[chains.bitcoin.fee]\nfloor_rate = 30", "chains.bitcoin.fee", "must not fall"),
        ("[daemon]\nsweep_seconds = 0.5", "daemon.sweep_seconds", "at least tick_seconds, 1"),
        ("[daemon]\ntick_seconds = 60", "daemon.tick_seconds", "less than lease_seconds, 60"),
        ("[chains.bitcoin]\ntimeout_seconds = 40", "chains.bitcoin.timeout_seconds", "daemon.lease_seconds, 60"),
        (
            "[chains.ethereum.assets.BTC]\ntoken = 't'\ndecimals = 8\nminimum = 1\nmaximum = 1\n"
            "tiers = [{ confirmations = 96 }]",
            "chains.ethereum.assets.BTC",
            "chains.bitcoin has this one",
        ),
        (
            "[chains.ethereum.assets.WETH]\ntoken = ''\ndecimals = 18\nminimum = 1\nmaximum = 1\n"
            "tiers = [{ confirmations = 96 }]",
            "chains.ethereum.assets",
            "a token of its own",
        ),
        (
            "[chains.ethereum.assets.eth]\ntoken = 't'\ndecimals = 18\nminimum = 1\nmaximum = 1\n"
            "tiers = [{ confirmations = 96 }]",
            "chains.ethereum.assets",
            "more than their case",
        ),
    ],
)
def test_contradictory_settings_are_refused(refused: Refusal, tmp_path: Path, text: str, key: str, words: str) -> None:
    error = refused(text)
    assert error.field == key
    assert words in error.expected
    assert str(tmp_path / "swapd.toml") in str(error)


def test_a_chain_that_is_off_contradicts_nothing(loaded: Callable[..., object]) -> None:
    loaded(DEVNET.replace("31337", "1") + "enabled = false")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://example.org"])
def test_a_node_may_be_asked_on_this_machine_or_by_https(loaded: Callable[..., object], url: str) -> None:
    loaded(SWAPD__CHAINS__ETHEREUM__RPC_URL=url)


def test_a_node_elsewhere_is_not_asked_by_plain_http(refused: Refusal) -> None:
    error = refused(SWAPD__CHAINS__ETHEREUM__RPC_URL="http://geth:8545/hunter2")
    assert str(error) == (
        "chains.ethereum.rpc_url: got 'http://geth/…', expected https, or this machine, or 'geth' in "
        "daemon.trusted_hosts: plain http can be forged on the way (in the variable SWAPD__CHAINS__ETHEREUM__RPC_URL)"
    )


def test_unless_the_operator_says_that_the_way_there_is_private(loaded: Callable[..., object]) -> None:
    loaded('[daemon]\ntrusted_hosts = ["geth"]', SWAPD__CHAINS__ETHEREUM__RPC_URL="http://geth:8545")


def test_a_url_among_several_is_not_shown_either(refused: Refusal) -> None:
    """Providers put keys into them."""
    for wrong in ('["http://geth.example/secret-key"]', '["ws://127.0.0.1/secret-key"]', '"https://x/secret-key"'):
        error = refused(f"[chains.ethereum]\nmore_rpc_urls = {wrong}")
        assert "more_rpc_urls" in error.field
        assert "secret-key" not in str(error)


# -- the API -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("host = '0.0.0.0'", "api.host"),
        ("host = 'swapd.example'", "api.host"),
        ("tls_certificate = 'a.pem'", "api.tls_key"),
        ("tls_key = 'a.key'", "api.tls_certificate"),
        ("trusted_proxies = ['my-proxy']", "api.trusted_proxies"),
        ("trusted_proxies = ['*']", "api.trusted_proxies"),
        ("[api.limits]\nrequests_per_minute = 10000", "api.limits.requests_per_minute"),
    ],
)
def test_an_api_that_would_give_keys_away_is_refused(refused: Refusal, text: str, key: str) -> None:
    assert refused(f"[api]\n{text}").field == key


@pytest.mark.parametrize(
    "text",
    [
        "host = '::1'",
        "host = 'localhost'",
        "host = '0.0.0.0'\nbehind_proxy = true",
        "host = '0.0.0.0'\ntls_certificate = 'a.pem'\ntls_key = 'a.key'",
        "trusted_proxies = ['10.0.0.0/8', '::1']",
    ],
)
def test_an_api_that_only_those_hear_who_may_is_fine(loaded: Callable[..., object], text: str) -> None:
    loaded(f"[api]\n{text}")
