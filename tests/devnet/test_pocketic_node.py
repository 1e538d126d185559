"""A devnet on PocketIC's server, where `POCKET_IC_BIN` names one (see `fake_pocketic`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from swapd.devnet.icp import Icp
from swapd.devnet.network import Devnet
from swapd.devnet.pocketic import VARIABLE
from swapd.devnet.pocketic_node import PocketIcNode, icp_node
from swapd.devnet.state import ProcessId
from swapd.errors import Unavailable
from tests.devnet.test_pocketic import CHECKOUT, script

SOMEBODY = "2vxsx-fae"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); from tests.devnet.fake_pocketic import main; main()"
    path = script(tmp_path, run)
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def test_without_one_it_is_our_own_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert isinstance(icp_node(), Icp)


@pytest.mark.usefixtures("server")
async def test_a_devnet_uses_the_server_that_is_named(tmp_path: Path) -> None:
    devnet = Devnet(tmp_path / "devnet")
    assert isinstance(devnet.icp, PocketIcNode)
    async with devnet:
        await devnet.world.mint("ICP", SOMEBODY, 7)
        assert await devnet.world.token("ICP").balance(SOMEBODY) == 7
        process = devnet.state.icp.process
        assert process.alive()
    assert ProcessId.of(process.pid) != process, "nothing is left"


def test_a_name_that_leads_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/no/such/program")
    with pytest.raises(Unavailable, match="no program that can be run"):
        icp_node()
