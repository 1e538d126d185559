"""One anvil and one deployment for all tests of the contract; each test has terms of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from web3.contract import Contract

from swapd.devnet.anvil import Anvil
from tests.contract.operations import Operations
from tests.contract.rig import ETH, Artifacts, Chain, Terms, compiled, htlc_artifact

RICH = 10**24


@pytest.fixture(scope="session")
def chain() -> Iterator[Chain]:
    node = Anvil()
    try:
        asyncio.run(node.start())
        yield Chain(node.rpc_url)
    finally:
        asyncio.run(node.stop())


@pytest.fixture(scope="session")
def artifacts() -> Artifacts:
    """Test tokens and payees, by contract name."""
    here = Path(__file__).parent
    return compiled(*sorted(here.glob("tokens/*.sol")), *sorted(here.glob("payees/*.sol")))


@pytest.fixture(scope="session")
def htlc(chain: Chain) -> Contract:
    return chain.deploy(htlc_artifact())


@pytest.fixture
def make_token(chain: Chain, htlc: Contract, artifacts: Artifacts) -> Callable[[str], Contract]:
    """Deploys a token by its contract's name; the sender has much of it and allows the HTLC contract everything."""

    def make(name: str) -> Contract:
        token = chain.deploy(artifacts[name])
        chain.send(token.functions.mint(chain.sender, RICH), chain.deployer)
        chain.send(token.functions.approve(htlc.address, 2**256 - 1), chain.sender)
        return token

    return make


@pytest.fixture
def token(make_token: Callable[[str], Contract]) -> Contract:
    return make_token("PlainToken")


@pytest.fixture
def payee(chain: Chain, artifacts: Artifacts) -> Contract:
    return chain.deploy(artifacts["Payee"])


@pytest.fixture
def terms(chain: Chain) -> Terms:
    """For 5 gwei and a bit, from sender to receiver: 1,000 s to lock, 2,000 s until the refund."""
    now = chain.now
    return Terms(secrets.token_bytes(32), ETH, 5_000_000_007, chain.sender, chain.receiver, now + 1_000, now + 2_000)


@pytest.fixture
def do(chain: Chain, htlc: Contract) -> Operations:
    """The contract's functions."""
    return Operations(chain, htlc)
