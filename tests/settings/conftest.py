from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import TypeAlias

import pytest

from swapd.errors import Invalid
from swapd.settings import Settings, load

Refusal: TypeAlias = Callable[..., Invalid]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """A configuration file with this text."""

    def write_file(text: str) -> Path:
        path = tmp_path / "swapd.toml"
        path.write_text(dedent(text))
        return path

    return write_file


@pytest.fixture
def loaded(write: Callable[[str], Path]) -> Callable[..., Settings]:
    """Settings from a file with this text and these variables."""
    return lambda text="", **environ: load(write(text), environ)


@pytest.fixture
def refused(write: Callable[[str], Path]) -> Refusal:
    """The error that a file with this text and these variables are refused with."""

    def refuse(text: str = "", **environ: str) -> Invalid:
        with pytest.raises(Invalid) as caught:
            load(write(text), environ)
        return caught.value

    return refuse
