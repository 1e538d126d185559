"""Replicas in this process: cheap, and each test has its own."""

from __future__ import annotations

import pytest

from swapd.devnet.replica import Replica
from tests.devnet.replica.probing import Probe, new_replica


@pytest.fixture
def replica() -> Replica:
    """Its time stands still."""
    return new_replica()


@pytest.fixture
def probe(replica: Replica) -> Probe:
    return Probe(replica)


@pytest.fixture
def friend(replica: Replica) -> Probe:
    """Another one on the same replica."""
    return Probe(replica)
