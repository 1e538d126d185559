"""PocketIC's server instead of our replica: the wrapper, on a server that speaks its REST (see `fake_pocketic`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cbor2
import httpx
import pytest

from swapd.devnet import pocketic
from swapd.devnet.pocketic import PocketIc
from swapd.devnet.replica import ErrorCode, RejectCode, RejectError
from swapd.devnet.state import ProcessId
from swapd.errors import Unavailable
from tests.devnet.replica.probing import ALICE, BOB, State, call, replied
from tests.devnet.replica.wasm import wat

CHECKOUT = Path(__file__).resolve().parents[2]


def script(folder: Path, text: str) -> Path:
    path = folder / "pocket-ic"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PocketIc]:
    run = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); from tests.devnet.fake_pocketic import main; main()"
    with PocketIc(script(tmp_path_factory.mktemp("pocketic"), run)) as network:
        yield network


@pytest.fixture
def probe(network: PocketIc) -> bytes:
    canister_id = network.create_canister(ALICE)
    network.install(canister_id, wat("probe"), b"", ALICE)
    return canister_id


def bumps(network: PocketIc, probe: bytes) -> int:
    return State.read(network.query(probe, "state", b"", ALICE)).bumps


def test_canisters_are_made_called_and_asked(network: PocketIc, probe: bytes) -> None:
    assert network.update(probe, "who", b"", BOB) == BOB
    network.update(probe, "bump", b"", BOB)
    assert bumps(network, probe) == 1


def test_canisters_call_each_other(network: PocketIc, probe: bytes) -> None:
    assert replied(network.update(probe, "relay", call(probe, "who"), ALICE)) == (0, probe)


def test_an_upgrade_goes_through(network: PocketIc, probe: bytes) -> None:
    network.update(probe, "bump", b"", ALICE)
    network.install(probe, wat("probe"), b"", ALICE, "upgrade")
    assert bumps(network, probe) == 0


def test_rejections_are_typed(network: PocketIc, probe: bytes) -> None:
    with pytest.raises(RejectError, match="boom") as e:
        network.update(probe, "explode", b"", ALICE)
    assert (e.value.code, e.value.error) == (RejectCode.CANISTER_ERROR, ErrorCode.CANISTER_CALLED_TRAP)
    with pytest.raises(RejectError) as e:
        network.query(probe, "nothing", b"", ALICE)
    assert e.value.error == ErrorCode.CANISTER_METHOD_NOT_FOUND
    with pytest.raises(RejectError, match="Only the controllers"):
        network.install(probe, wat("probe"), b"", BOB, "reinstall")


def test_time_moves_and_timers_fire(network: PocketIc, probe: bytes) -> None:
    before = network.now_ns
    network.update(probe, "arm", (before + 60 * 10**9).to_bytes(8, "little"), ALICE)
    network.advance(60)
    assert network.now_ns >= before + 60 * 10**9
    assert State.read(network.query(probe, "state", b"", ALICE)).timers == 1


def test_canisters_are_stopped_and_started(network: PocketIc, probe: bytes) -> None:
    network.stop(probe)
    with pytest.raises(RejectError, match="is stopped"):
        network.update(probe, "bump", b"", ALICE)
    network.start(probe)
    network.update(probe, "bump", b"", ALICE)


def test_cycles_are_shown_and_added(network: PocketIc, probe: bytes) -> None:
    assert network.add_cycles(probe, 5) == network.cycles(probe)


def test_it_serves_the_internet_computers_interface(network: PocketIc) -> None:
    status = cbor2.loads(httpx.get(f"{network.make_live()}/api/v2/status", trust_env=False).content)
    assert status["root_key"] == network.root_key
    assert len(network.root_key) == 133


def test_the_server_ends_with_its_user(tmp_path: Path) -> None:
    waiting = script(tmp_path, "import sys, time; open(sys.argv[2], 'w').write('1\\n'); time.sleep(60)")
    server = pocketic._Server(waiting)
    process = ProcessId.of(server._process.pid)
    server.stop()
    assert process
    assert not process.alive()


@pytest.mark.parametrize("text", ["raise SystemExit('no such option')", "print('no such option'); raise SystemExit(1)"])
def test_a_server_that_does_not_start_is_unavailable(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unavailable, match="no such option"):
        PocketIc(script(tmp_path, text))


def test_a_server_that_answers_nothing_sensible_is_unavailable(tmp_path: Path) -> None:
    text = "import sys, time; open(sys.argv[2], 'w').write('1\\n'); time.sleep(60)"
    with pytest.raises(Unavailable, match="ConnectionError"):
        PocketIc(script(tmp_path, text))


def test_it_is_used_where_the_variable_names_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pocketic.VARIABLE, raising=False)
    assert pocketic.program() is None
    with pytest.raises(Unavailable):
        PocketIc()
    monkeypatch.setenv(pocketic.VARIABLE, str(script(tmp_path, "")))
    assert pocketic.program() == tmp_path / "pocket-ic"
    monkeypatch.setenv(pocketic.VARIABLE, str(tmp_path))
    with pytest.raises(Unavailable, match="no program that can be run"):
        pocketic.program()


@pytest.mark.parametrize(
    ("code", "error", "expected"),
    [
        (5, 503, (RejectCode.CANISTER_ERROR, ErrorCode.CANISTER_CALLED_TRAP)),
        ("CanisterError", "CanisterCalledTrap", (RejectCode.CANISTER_ERROR, ErrorCode.CANISTER_CALLED_TRAP)),
        ("SysTransient", "SomethingNew", (RejectCode.SYS_TRANSIENT, None)),
        (2, 999, (RejectCode.SYS_TRANSIENT, None)),
    ],
)
def test_codes_come_as_numbers_or_as_names(code: int | str, error: int | str, expected: tuple[object, object]) -> None:
    rejection = pocketic._rejection({"reject_code": code, "reject_message": "x", "error_code": error})
    assert (rejection.code, rejection.error) == expected
