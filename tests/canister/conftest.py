"""A swap canister of the test's own. Whatever the test did: no token is lost, and the log is whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.canister.rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.sound()


@pytest.fixture
def idle() -> Iterator[Rig]:
    """A canister that takes nothing up of its own accord while the test lasts."""
    rig = Rig(sweep_seconds=86_400)
    yield rig
    rig.sound()
