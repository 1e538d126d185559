"""DFINITY's own test server, PocketIC, instead of our replica: where `POCKET_IC_BIN` names its program.

By the PyPI package `pocket-ic`, whose client does the talking. What it leaves to be wished for is mended here: the
server is started without a shell and ends with this process, every wait has a bound, a rejection is a `RejectError`.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from ic.candid import Types, encode
from ic.principal import Principal
from pocket_ic import PocketIC, PocketICServer, SubnetConfig

from swapd.devnet import launch
from swapd.devnet.ports import LOOPBACK
from swapd.devnet.process import Process
from swapd.devnet.replica.candid_reader import field, read_arguments
from swapd.devnet.replica.errors import ErrorCode, RejectCode, RejectError
from swapd.devnet.replica.installation import Mode
from swapd.devnet.replica.module import persists_heap
from swapd.errors import Unavailable

VARIABLE = "POCKET_IC_BIN"

_START_SECONDS = 30.0
_IDLE_SECONDS = 30 * 86_400  # after which the server ends by itself; it does not count what comes through its gateway
_ANSWER_SECONDS = 300.0
_SETTLE_ROUNDS = 20  # a call that waits for another canister's needs some; an empty round costs nothing
_NS = 10**9

_CREATE = Types.Record(
    {
        "amount": Types.Opt(Types.Nat),
        "settings": Types.Opt(Types.Record({"controllers": Types.Opt(Types.Vec(Types.Principal))})),
    }
)
_HEAP = Types.Opt(Types.Variant({"keep": Types.Null, "replace": Types.Null}))
_UPGRADE = Types.Opt(Types.Record({"wasm_memory_persistence": _HEAP}))
_INSTALL = Types.Record(
    {
        "mode": Types.Variant({"install": Types.Null, "reinstall": Types.Null, "upgrade": _UPGRADE}),
        "canister_id": Types.Principal,
        "wasm_module": Types.Vec(Types.Nat8),
        "arg": Types.Vec(Types.Nat8),
    }
)
_ID = Types.Record({"canister_id": Types.Principal})


def program() -> Path | None:
    """The server's program, None where none is named. Raises `Unavailable` if what is named can not be run."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    if not os.access(named, os.X_OK) or Path(named).is_dir():
        raise Unavailable(f"{VARIABLE} names {named}, which is no program that can be run")
    return Path(named).absolute()


class PocketIc:
    """An instance with one application subnet, with the methods of `swapd.devnet.replica.Replica` that tests need.

        with PocketIc() as network:
            canister_id = network.create_canister(controller)

    All of them raise `RejectError` for a rejection, and `Unavailable` if the server does not answer.
    """

    def __init__(self, binary: Path | None = None) -> None:
        found = binary or program()
        if found is None:
            raise Unavailable(f"no PocketIC server: {VARIABLE} names none")
        self._server = _Server(found)
        self._controllers: dict[bytes, bytes] = {}
        try:
            with _answering():
                self._client = _Client(self._server)
        except BaseException:
            self._server.stop()
            raise

    def close(self) -> None:
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- asking --------------------------------------------------------------------------------------------------

    @property
    def root_key(self) -> bytes:
        """What clients are to trust: DER, 133 bytes."""
        with _answering():
            key: bytes | None = self._client.get_root_key()
        if key is None:
            raise Unavailable("the PocketIC instance has no root subnet")
        return key

    @property
    def now_ns(self) -> int:
        with _answering():
            return int(self._client.get_time()["nanos_since_epoch"])

    @property
    def process(self) -> Process:
        """The server's, for its pid and its log."""
        return self._server.process

    def cycles(self, canister_id: bytes) -> int:
        with _answering():
            return int(self._client.get_cycles_balance(Principal(canister_id)))

    # --- canisters -----------------------------------------------------------------------------------------------

    def create_canister(self, controller: bytes, cycles: int = 10**14) -> bytes:
        """A new canister's id."""
        value = {"amount": [cycles], "settings": [{"controllers": [[controller]]}]}
        reply = self._manage("provisional_create_canister_with_cycles", _CREATE, value, controller)
        canister_id: bytes = field(read_arguments(reply)[0], "canister_id")
        self._controllers[canister_id] = controller
        return canister_id

    def install(
        self,
        canister_id: bytes,
        wasm: bytes,
        arg: bytes,
        sender: bytes,
        mode: Mode = "install",
        keep_memory: bool = True,
    ) -> None:
        """As `Replica.install`."""
        option: dict[str, Any] = {mode: None}
        if mode == "upgrade":
            heap = [{"keep" if keep_memory else "replace": None}] if persists_heap(wasm) else []
            option = {mode: [{"wasm_memory_persistence": heap}]}
        value = {"mode": option, "canister_id": canister_id, "wasm_module": wasm, "arg": arg}
        self._manage("install_code", _INSTALL, value, sender, canister_id)

    def stop(self, canister_id: bytes) -> None:
        """Returns when the canister is stopped."""
        self._manage_own("stop_canister", canister_id)

    def start(self, canister_id: bytes) -> None:
        self._manage_own("start_canister", canister_id)

    def add_cycles(self, canister_id: bytes, amount: int) -> int:
        """Top up; the balance then."""
        with _answering():
            return int(self._client.add_cycles(Principal(canister_id), amount))

    # --- calls and time ------------------------------------------------------------------------------------------

    def update(self, canister_id: bytes, method: str, arg: bytes, sender: bytes) -> bytes:
        self._client.set_sender(Principal(sender))
        with _answering():
            return bytes(self._client.update_call(Principal(canister_id), method, arg))

    def query(self, canister_id: bytes, method: str, arg: bytes, sender: bytes) -> bytes:
        self._client.set_sender(Principal(sender))
        with _answering():
            return bytes(self._client.query_call(Principal(canister_id), method, arg))

    def settle(self) -> None:
        with _answering():
            for _ in range(_SETTLE_ROUNDS):
                self._client.tick()

    def advance(self, seconds: float) -> None:
        """Move time and let due timers fire."""
        with _answering():
            self._client.advance_time(round(seconds * _NS))
        self.settle()

    def make_live(self) -> str:
        """Let time and messages go on by themselves, and serve the Internet Computer's HTTP interface: its URL."""
        with _answering():
            self._client.post("auto_progress", {"artificial_delay_ms": None})
            backend = {"PocketIcInstance": self._client.instance_id}
            gateway = {"ip_addr": None, "port": None, "forward_to": backend, "domains": None, "https_config": None}
            answer = self._server.post("http_gateway", gateway)
        if "Created" not in answer:
            raise Unavailable(f"PocketIC made no HTTP gateway: {answer}")
        return f"http://{LOOPBACK}:{answer['Created']['port']}"

    # --- inside --------------------------------------------------------------------------------------------------

    def _manage_own(self, method: str, canister_id: bytes) -> None:
        sender = self._controllers[canister_id]
        self._manage(method, _ID, {"canister_id": canister_id}, sender, canister_id)

    def _manage(self, method: str, kind: Any, value: Any, sender: bytes, about: bytes | None = None) -> bytes:
        """Call the management canister; which one is said by the canister it is about."""
        effective = {"CanisterId": base64.b64encode(about).decode()} if about else None
        self._client.set_sender(Principal(sender))
        argument = encode([{"type": kind, "value": value}])
        with _answering():
            return bytes(self._client.update_call_with_effective_principal(None, effective, method, argument))


class _Client(PocketIC):  # type: ignore[misc]  # the package has no types
    """The package's client, on a server of ours, with rejections that can be told apart."""

    def __init__(self, server: _Server) -> None:
        self.server = server
        self.instance_id = server.new_instance(SubnetConfig(application=1, nns=True)._json())
        self.sender = Principal.anonymous()

    def __del__(self) -> None:
        """The instance ends with its server."""

    def post(self, endpoint: str, body: dict[str, Any]) -> Any:
        return self._instance_post(endpoint, body)

    def _get_ok(self, result: dict[str, Any]) -> Any:
        if "Err" in result:
            raise _rejection(result["Err"])
        if "Ok" not in result:
            raise Unavailable(f"PocketIC answered with neither Ok nor Err: {list(result)}")
        return result["Ok"]

    def _get_ok_data(self, result: dict[str, Any]) -> bytes:
        return base64.b64decode(self._get_ok(result))


class _Server(PocketICServer):  # type: ignore[misc]  # the package has no types
    """A server process of our own. The package's class would go through a shell and wait for ever."""

    def __init__(self, binary: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="swapd-pocketic-")
        port_file = Path(self._folder.name) / "port"
        launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(signal.SIGKILL)), ""]
        command = [*launcher, str(binary), "--port-file", str(port_file), "--ttl", str(_IDLE_SECONDS)]
        log_file = Path(self._folder.name) / "log"
        with log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.process = Process.of(self._process, command, log=log_file, name="pocketic")
        try:
            self.url = f"http://{LOOPBACK}:{self._port(port_file)}"
        except BaseException:
            self.stop()
            raise
        self.request_client = _Session()

    def post(self, endpoint: str, body: dict[str, Any]) -> Any:
        return self._check_response(self.request_client.post(f"{self.url}/{endpoint}", json=body))

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()

    def _port(self, port_file: Path) -> int:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            text = port_file.read_text() if port_file.exists() else ""
            if text.endswith("\n"):
                return int(text)
            time.sleep(0.02)
        raise Unavailable(
            f"the PocketIC server did not start:\n{(Path(self._folder.name) / 'log').read_text()[-2000:]}"
        )


class _Session(requests.Session):
    """No request without a bound, none by a proxy."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def request(self, *args: Any, **options: Any) -> requests.Response:
        options.setdefault("timeout", _ANSWER_SECONDS)
        return super().request(*args, **options)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """What the package raises when the server does not do its part, as `Unavailable`."""
    try:
        yield
    except (requests.RequestException, ConnectionError, ValueError, KeyError) as e:
        raise Unavailable(f"PocketIC: {type(e).__name__}: {e}") from e


def _rejection(answer: dict[str, Any]) -> RejectError:
    """Codes come as numbers or as names, by the server's version."""
    code = answer["reject_code"]
    named = RejectCode[_upper(code)] if isinstance(code, str) else RejectCode(code)
    return RejectError(named, str(answer["reject_message"]), _error_code(answer.get("error_code")))


def _error_code(code: int | str | None) -> ErrorCode | None:
    """None if the real replica has more codes than ours."""
    if isinstance(code, str):
        return ErrorCode.__members__.get(_upper(code))
    return ErrorCode(code) if code in set(ErrorCode) else None


def _upper(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()
