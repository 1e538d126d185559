"""Speaking to swapd as a person or a script does, and remembering every word it said."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from click.testing import CliRunner, Result

from swapd.chains.bitcoin.address import witness_address
from swapd.cli.context import open_house
from swapd.cli.main import main
from swapd.coordinator.daemon import Daemon, Pace
from swapd.coordinator.house import House
from swapd.devnet.party import CONFIG
from swapd.settings import Settings, load
from swapd.vault import keyfile, words
from swapd.vault.passphrase import read_passphrase

__all__ = ["CONFIG", "HOT_TO_PERSON", "PASSPHRASE", "PERSON_BTC", "PERSON_ETH", "PERSON_TO_HOT", "Desk"]

PASSPHRASE = "correct horse battery staple"

PERSON_BTC = witness_address(b"\x42" * 20, "regtest")
PERSON_ETH = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

Options = dict[str, str | None]

HOT_TO_PERSON: Options = {
    "give": "BTC",
    "give-amount": "1000000",
    "get": "ETH",
    "get-amount": "1000000000000000000",
    "participant-refund-to": PERSON_ETH,
    "participant-receive-at": PERSON_BTC,
}
"""swapd's bitcoin for somebody's ether, as options of `swap create`."""

PERSON_TO_HOT: Options = {
    "give": "BTC",
    "give-amount": "1000000",
    "get": "ETH",
    "get-amount": "1000000000000000000",
    "initiator": "external",
    "initiator-refund-to": PERSON_BTC,
    "initiator-receive-at": PERSON_ETH,
    "participant": "hot",
}
"""Somebody's bitcoin for swapd's ether."""


def creating(options: Options, **changes: str | None) -> list[str]:
    """The words of `swap create`; a change to None leaves an option out."""
    changed = options | {name.replace("_", "-"): value for name, value in changes.items()}
    return ["swap", "create", *(f"--{name}={value}" for name, value in changed.items() if value is not None)]


T = TypeVar("T")


@dataclass
class Desk:
    """folder: everything of this person. variables: what differs from `config/devnet.toml`."""

    folder: Path
    variables: dict[str, str]
    said: list[str] = field(default_factory=list)

    def run(self, *words: str, stdin: str | None = None, **variables: str) -> Result:
        """A command with the devnet configuration, its exit code 0."""
        result = self.attempt("--config", str(CONFIG), *words, stdin=stdin, **variables)
        assert result.exit_code == 0, result.output
        return result

    def ask(self, *words: str, **variables: str) -> Any:
        """The JSON that a command prints, and nothing but that on either stream."""
        result = self.run(*words, "--json", **variables)
        assert result.stderr == ""
        return json.loads(result.stdout, parse_float=_no_float)

    def refused(self, *words: str, stdin: str | None = None, **variables: str) -> str:
        """The one line that a command says no with, after which the database is as it was."""
        before = self.database()
        result = self.attempt("--config", str(CONFIG), *words, stdin=stdin, **variables)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("Error: ")
        assert self.database() == before
        return lines[0].removeprefix("Error: ")

    def attempt(self, *words: str, stdin: str | None = None, **variables: str) -> Result:
        """Any command line at all, whatever comes of it; only an error that nobody expected is never right."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("SWAPD")}
        with patch.dict(os.environ, kept | self.variables | variables, clear=True):
            result = CliRunner().invoke(main, words, input=stdin)
        self.said.append(result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    def create(self, options: Options, *flags: str, **changes: str | None) -> Any:
        return self.ask(*creating(options, **changes), *flags)

    # -- behind the terminal -----------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        return load(CONFIG, self.variables)

    @property
    def database_file(self) -> Path:
        return self.settings.daemon.data_dir / "swapd.db"

    def database(self) -> list[str]:
        """All that is written down, as SQL."""
        if not self.database_file.exists():
            return []
        with sqlite3.connect(self.database_file) as connection:
            return list(connection.iterdump())

    def change_database(self, sql: str) -> None:
        """What swapd itself would never do."""
        with sqlite3.connect(self.database_file) as connection:
            connection.execute(sql)
        connection.close()

    def in_house(self, does: Callable[[House], Coroutine[Any, Any, T]]) -> T:
        async def open_and_do() -> T:
            async with open_house(self.settings) as house:
                return await does(house)

        return asyncio.run(open_and_do())

    def let_the_daemon_look(self, *, twice: bool = False) -> None:
        """What a daemon does at its start: each open swap is looked at, decided, and its exits are carried out. The
        second time new money may go in."""

        async def look(house: House) -> None:
            daemon = Daemon(house, Pace(tick=1, sweep=60, lease=30, stop=5), worker="desk")
            await daemon.start()
            if twice:
                await daemon.work()

        self.in_house(look)

    def assert_kept_its_secrets(self) -> None:
        """Rule S9: no passphrase, no seed and no preimage before its reveal was in any word of any command."""
        said = "\n".join(self.said)
        for secret in self._secrets():
            assert secret.lower() not in said.lower().replace("\n", " ")

    def _secrets(self) -> list[str]:
        async def preimages(house: House) -> list[str]:
            async with house.store.read() as reading:
                rows = (await reading.swaps()).swaps
            return [house.secrets.preimage(row.terms.index).hex() for row in rows if row.revealed_preimage is None]

        vault = self.settings.vault
        seed = keyfile.unseal(vault.key_file, read_passphrase(vault.passphrase_file), devnet=True)
        return [PASSPHRASE, seed.reveal().hex(), words.words_from_seed(seed), *self.in_house(preimages)]


def _no_float(text: str) -> float:
    raise AssertionError(f"a float in JSON: {text}")
