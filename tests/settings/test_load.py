"""Files, then the environment; paths made absolute; types kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.errors import Invalid
from swapd.protocol.timelock import Arrival, TimingProfile
from swapd.settings import DEFAULTS, Settings, load, timing_profile
from swapd.vault import Network

Loaded = Callable[..., Settings]


def bitcoin(settings: Settings) -> BitcoinSettings:
    chain = settings.chains["bitcoin"]
    assert isinstance(chain, BitcoinSettings)
    return chain


def test_the_defaults_alone_are_valid_and_for_real_money() -> None:
    settings = load(None, {})
    assert settings.daemon.network is Network.MAINNET
    assert settings.vault.scrypt == "strong"
    assert settings.vault.passphrase_file is None
    assert set(settings.enabled_chains()) == {"bitcoin", "ethereum"}


def test_a_file_goes_before_the_defaults_and_a_variable_before_the_file(loaded: Loaded) -> None:
    text = "[daemon]\ntick_seconds = 2\nsweep_seconds = 300"
    settings = loaded(text, SWAPD__DAEMON__TICK_SECONDS="3")
    assert (settings.daemon.tick_seconds, settings.daemon.sweep_seconds, settings.daemon.stop_seconds) == (3, 300, 20)


def test_a_table_in_a_file_leaves_the_other_keys_of_that_table_as_they_are(loaded: Loaded) -> None:
    asset = bitcoin(loaded("[chains.bitcoin.assets.BTC]\nmaximum = 5_000_000")).assets["BTC"]
    assert (asset.minimum, asset.maximum, len(asset.tiers)) == (100_000, 5_000_000, 3)


def test_a_list_in_a_file_takes_the_place_of_the_whole_list(loaded: Loaded) -> None:
    asset = bitcoin(loaded("[chains.bitcoin.assets.BTC]\ntiers = [{ confirmations = 6 }]")).assets["BTC"]
    assert [tier.confirmations for tier in asset.tiers] == [6]


def test_a_new_asset_is_one_new_table(loaded: Loaded) -> None:
    settings = loaded("""
        [chains.ethereum.assets.USDC]
        token = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
        decimals = 6
        minimum = 1_000_000
        maximum = "100_000_000"
        tiers = [{ up_to = "5_000_000", confirmations = 32 }, { confirmations = 96 }]
    """)
    asset = settings.chains["ethereum"].assets["USDC"]
    assert (asset.decimals, asset.maximum, asset.confirmations(5_000_001)) == (6, 100_000_000, 96)


# -- the environment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "read", "value"),
    [
        ("SWAPD__ENTRY__HALTED", "true", lambda s: s.entry.halted, True),
        ("SWAPD__ENTRY__OPEN_SWAPS_MAX", "7", lambda s: s.entry.open_swaps_max, 7),
        ("SWAPD__DAEMON__TICK_SECONDS", "0.5", lambda s: s.daemon.tick_seconds, 0.5),
        ("SWAPD__DAEMON__WORKER", "left", lambda s: s.daemon.worker, "left"),
        ("SWAPD__DAEMON__WORKER", '"quoted"', lambda s: s.daemon.worker, "quoted"),
        ("SWAPD__DAEMON__WORKER", "2026", lambda s: s.daemon.worker, "2026"),
        ("SWAPD__DAEMON__LOG_FORMAT", "json", lambda s: s.daemon.log_format, "json"),
        ("SWAPD__DAEMON__TRUSTED_HOSTS", '["a", "b"]', lambda s: s.daemon.trusted_hosts, ("a", "b")),
        ("SWAPD__VAULT__KEY_FILE", "/k", lambda s: s.vault.key_file, Path("/k")),
        ("SWAPD__VAULT__PASSPHRASE_FILE", "/p", lambda s: s.vault.passphrase_file, Path("/p")),
        ("SWAPD__CHAINS__BITCOIN__FEE__STEP", "0.3", lambda s: bitcoin(s).fee.step, 0.3),
        (
            "SWAPD__CHAINS__BITCOIN__ASSETS__BTC__MINIMUM",
            "200_000",
            lambda s: bitcoin(s).assets["BTC"].minimum,
            200_000,
        ),
        ("swapd__chains__bitcoin__assets__btc__minimum", "5", lambda s: bitcoin(s).assets["BTC"].minimum, 5),
        (
            "SWAPD__CHAINS__ETHEREUM__FEE_CAP",
            "99000000000",
            lambda s: s.chains["ethereum"].fee_cap,
            99_000_000_000,
        ),
        (
            "SWAPD__CHAINS__BITCOIN__ASSETS__BTC__TIERS",
            "[{ up_to = 9, confirmations = 2 }, { confirmations = 3 }]",
            lambda s: [tier.up_to for tier in bitcoin(s).assets["BTC"].tiers],
            [9, None],
        ),
    ],
)
def test_a_variable_sets_a_value_of_any_type(
    variable: str, text: str, read: Callable[[Settings], Any], value: Any
) -> None:
    assert read(load(None, {variable: text})) == value


def test_an_empty_variable_leaves_out_what_may_be_left_out(loaded: Loaded) -> None:
    settings = loaded(
        '[chains.bitcoin]\nrpc_user = "swapd"\nrpc_password_file = "rpc.pass"',
        SWAPD__CHAINS__BITCOIN__RPC_COOKIE_FILE="",
    )
    assert bitcoin(settings).rpc_cookie_file is None


def test_other_variables_are_nobodys_business() -> None:
    assert load(None, {"SWAPD_PASSPHRASE": "x", "HOME": "/nowhere", "SWAPD_CACHE": "/c"}) == load(None, {})


def test_a_variable_can_not_smuggle_in_another_key() -> None:
    settings = load(None, {"SWAPD__DAEMON__WORKER": '"a"\nnetwork = "devnet"'})
    assert settings.daemon.worker == '"a"\nnetwork = "devnet"'
    assert settings.daemon.network is Network.MAINNET


# -- paths -------------------------------------------------------------------------------------------------------------


def test_a_relative_path_is_relative_to_the_file_that_states_it(loaded: Loaded, tmp_path: Path) -> None:
    settings = loaded('[daemon]\ndata_dir = "data"\n[chains.bitcoin]\nrpc_cookie_file = "../cookie"')
    assert settings.daemon.data_dir == tmp_path / "data"
    assert bitcoin(settings).rpc_cookie_file == tmp_path.parent / "cookie"


def test_what_lies_in_the_data_folder_follows_it(loaded: Loaded, tmp_path: Path) -> None:
    settings = loaded('[daemon]\ndata_dir = "data"')
    assert settings.vault.key_file == tmp_path / "data" / "seed.json"
    assert settings.database.url == f"sqlite:///{tmp_path}/data/swapd.db"


def test_a_relative_path_in_a_variable_is_relative_to_the_working_folder(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    settings = loaded('[daemon]\ndata_dir = "data"', SWAPD__DAEMON__DATA_DIR="here")
    assert settings.daemon.data_dir == tmp_path.parent / "here"
    assert settings.vault.key_file == tmp_path.parent / "here" / "seed.json"


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load(None, {}).daemon.data_dir == Path("/home/somebody/.swapd")


# -- what others make of it --------------------------------------------------------------------------------------------


def test_settings_do_not_change_after_loading() -> None:
    settings = load(None, {})
    with pytest.raises(Exception, match="frozen"):
        settings.entry.halted = True
    with pytest.raises(TypeError):
        settings.chains["x"] = settings.chains["bitcoin"]  # type: ignore[index]


def test_s9_no_password_and_no_providers_key_is_in_a_repr() -> None:
    settings = load(
        None,
        {
            "SWAPD__DATABASE__URL": "postgresql://swapd:hunter2@127.0.0.1/swapd",
            "SWAPD__CHAINS__ETHEREUM__RPC_URL": "https://example.org/v3/hunter2",
        },
    )
    assert "hunter2" not in repr(settings) + repr(settings.database) + repr(settings.chains["ethereum"])


def test_the_timing_settings_make_a_timing_profile() -> None:
    timing = load(None, {}).chains["ethereum"].timing
    profile = timing_profile("ethereum", timing)
    assert profile == TimingProfile("ethereum", Arrival.SLOTS, 12, 0.05, 600, 75, 75, 2400, 14400)


def test_an_ethereum_token_address_is_taken_in_its_one_true_form(loaded: Loaded) -> None:
    settings = loaded('[chains.ethereum]\ncontract = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"')
    chain = settings.chains["ethereum"]
    assert isinstance(chain, EthereumSettings)
    assert chain.contract == "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"


def test_missing_defaults_are_said_clearly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("swapd.settings.loading.DEFAULTS", tmp_path / "config" / "default.toml")
    with pytest.raises(Invalid, match=r"config/default\.toml'?, expected swapd's own defaults there"):
        load(None, {})


def test_the_defaults_are_found_in_the_checkout() -> None:
    assert DEFAULTS.parts[-2:] == ("config", "default.toml")
    assert DEFAULTS.is_file()
