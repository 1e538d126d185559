import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from swapd.errors import Invalid
from swapd.vault.passphrase import read_passphrase
from swapd.vault.private_file import UnsafeFile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.touch(0o600)
    return path


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A person at a terminal who types these lines; gives back the list of what is left to type."""

    def person(*lines: str) -> list[str]:
        left = list(lines)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(getpass, "getpass", lambda _prompt: left.pop(0))
        return left

    return person


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_it_comes_from_a_file_without_the_line_ending(file: Path, ending: str) -> None:
    file.write_bytes(b" open sesame " + ending.encode())
    assert read_passphrase(file, environment={}).reveal() == b" open sesame "


def test_s9_a_passphrase_file_that_others_may_read_is_refused(file: Path) -> None:
    file.write_text("open sesame")
    file.chmod(0o644)
    with pytest.raises(UnsafeFile, match=f"passphrase_file {file}: .* chmod 600 {file}"):
        read_passphrase(file, environment={})


def test_a_missing_passphrase_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"passphrase_file: got .*, expected a file that exists"):
        read_passphrase(tmp_path / "none", environment={})


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "a passphrase"), (b"\n", "a passphrase"), (b"two\nlines\n", "on one line"), (b"\xff\xfe", "UTF-8")],
)
def test_s9_a_file_without_a_usable_passphrase_is_refused_and_not_quoted(
    file: Path, content: bytes, expected: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(Invalid, match=expected) as caught:
        read_passphrase(file, environment={})
    assert "lines'" not in str(caught.value)
    assert "two" not in str(caught.value)


def test_s9_it_comes_from_the_environment_and_is_gone_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWAPD_PASSPHRASE", "open sesame")
    assert read_passphrase().reveal() == b"open sesame"
    assert "SWAPD_PASSPHRASE" not in os.environ
    assert os.getenv("SWAPD_PASSPHRASE") is None


def test_an_empty_variable_is_an_error_and_not_a_reason_to_ask() -> None:
    with pytest.raises(Invalid, match="SWAPD_PASSPHRASE: got 'nothing'"):
        read_passphrase(environment={"SWAPD_PASSPHRASE": ""})


def test_file_and_variable_together_are_a_conflict_that_names_both_and_still_clears_the_variable(file: Path) -> None:
    file.write_text("open sesame")
    environment = {"SWAPD_PASSPHRASE": "open barley", "HOME": "/"}
    with pytest.raises(Invalid, match=r"passphrase_file: .* SWAPD_PASSPHRASE, not both") as caught:
        read_passphrase(file, environment=environment)
    assert "open" not in str(caught.value).replace(str(file), "")
    assert environment == {"HOME": "/"}


def test_without_terminal_file_or_variable_the_error_names_all_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(Invalid, match=r"passphrase prompt: .* terminal .* passphrase_file.* SWAPD_PASSPHRASE"):
        read_passphrase(environment={})


def test_a_person_is_asked_once_when_opening(typing: Callable[..., list[str]]) -> None:
    left = typing("short", "never asked for")
    assert read_passphrase(environment={}).reveal() == b"short"
    assert left == ["never asked for"]


def test_a_person_is_asked_twice_when_creating(typing: Callable[..., list[str]]) -> None:
    left = typing("open sesame", "open sesame")
    assert read_passphrase(creating=True, environment={}).reveal() == b"open sesame"
    assert left == []


def test_s9_two_different_lines_when_creating_are_refused_and_not_quoted(typing: Callable[..., list[str]]) -> None:
    typing("open sesame", "open sesami")
    with pytest.raises(Invalid, match="the same passphrase twice") as caught:
        read_passphrase(creating=True, environment={})
    assert "open" not in str(caught.value)


@pytest.mark.parametrize("source", ["file", "variable", "person"])
def test_a_short_passphrase_seals_nothing_new(file: Path, typing: Callable[..., list[str]], source: str) -> None:
    file.write_text("seven77")
    typing("seven77", "seven77")
    with pytest.raises(Invalid, match="at least 8 characters"):
        read_passphrase(
            file if source == "file" else None,
            creating=True,
            environment={"SWAPD_PASSPHRASE": "seven77"} if source == "variable" else {},
        )


def test_the_same_letters_from_another_keyboard_are_the_same_passphrase() -> None:
    composed, decomposed = "caf\u00e9 caf\u00e9", "cafe\u0301 cafe\u0301"
    assert (
        read_passphrase(environment={"SWAPD_PASSPHRASE": composed}).reveal()
        == read_passphrase(environment={"SWAPD_PASSPHRASE": decomposed}).reveal()
    )
