"""Where the passphrase of the key file comes from: a file, the environment, or a person. One place at a time."""

from __future__ import annotations

import getpass
import os
import sys
import unicodedata
from collections.abc import MutableMapping
from pathlib import Path

from swapd.errors import Invalid
from swapd.vault.private_file import read_private
from swapd.vault.secret import Secret

ENVIRONMENT_VARIABLE = "SWAPD_PASSPHRASE"
FILE_SETTING = "passphrase_file"
PROMPT = "passphrase prompt"

SHORTEST = 8
"""NIST SP 800-63B's floor for a secret that people choose; asked of new passphrases only."""


def read_passphrase(
    file: Path | None = None, *, creating: bool = False, environment: MutableMapping[str, str] = os.environ
) -> Secret:
    """The passphrase from `file` if given, else from SWAPD_PASSPHRASE if set, else typed at the terminal.

    `creating`: it will seal a new key file, so it is typed twice and may not be too short. Both file and variable
    at once are an error, because one of them would be silently ignored. The variable is removed from `environment`
    in any case, so that no child process inherits it (Linux keeps showing the first environment of a process in
    /proc, which `forbid_core_dumps` closes to all but root). The bytes are UTF-8 after Unicode NFKC, so that another
    keyboard types the same. Raises Invalid, UnsafeFile, Rejected, Unavailable.
    """
    from_environment = environment.pop(ENVIRONMENT_VARIABLE, None)
    if file is not None and from_environment is not None:
        raise Invalid(FILE_SETTING, str(file), f"either this setting or the variable {ENVIRONMENT_VARIABLE}, not both")
    if file is not None:
        return _checked(_from_file(file), FILE_SETTING, creating)
    if from_environment is not None:
        return _checked(from_environment, ENVIRONMENT_VARIABLE, creating)
    return _checked(_from_person(creating), PROMPT, creating)


def _from_file(path: Path) -> str:
    content = read_private(path, FILE_SETTING)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Invalid(FILE_SETTING, str(path), "a text file in UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def _from_person(creating: bool) -> str:
    if not sys.stdin.isatty():
        raise Invalid(
            PROMPT,
            "no terminal",
            f"a terminal to ask at, the setting {FILE_SETTING}, or the variable {ENVIRONMENT_VARIABLE}",
        )
    typed = getpass.getpass("Passphrase of the key file: ")
    if creating and getpass.getpass("The same passphrase again: ") != typed:
        raise Invalid(PROMPT, "two different passphrases", "the same passphrase twice")
    return typed


def _checked(text: str, source: str, creating: bool) -> Secret:
    """The text itself is in no error: it may be nearly right."""
    if not text:
        raise Invalid(source, "nothing", "a passphrase")
    if "\n" in text or "\r" in text:
        raise Invalid(source, "more than one line", "a passphrase on one line")
    if creating and len(text) < SHORTEST:
        raise Invalid(source, f"{len(text)} characters", f"at least {SHORTEST} characters")
    return Secret(unicodedata.normalize("NFKC", text).encode())
