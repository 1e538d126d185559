"""What `devnet.json` says: who runs in a devnet's folder, and how to talk to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from swapd.errors import Unavailable

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same number: `started` names boot and start tick."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process that has this number now; None if there is none, or only one that waits to be reaped."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces; proc(5): state is 3, start is 22
        if fields[0] in "ZX":
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return cls(pid, f"{boot}/{fields[19]}")

    def alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Signal this very process; nothing happens if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)  # from here on the number cannot come to mean another process
            try:
                if self.alive():
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)

    def gone_within(self, seconds: float) -> bool:
        """Wait for the end of the process, at most this long; whether it ended."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


@dataclass(frozen=True)
class BitcoinState:
    process: ProcessId
    rpc_url: str
    cookie_file: str
    zmq_url: str | None
    log: str


@dataclass(frozen=True)
class EthereumState:
    process: ProcessId
    rpc_url: str
    chain_id: int
    log: str


@dataclass(frozen=True)
class IcpState:
    """root_key: DER, hex. canister: principal of the swap canister. variables: what points a swapd at all of it."""

    process: ProcessId
    api_url: str
    root_key: str
    canister: str
    variables: Mapping[str, str]
    log: str


@dataclass(frozen=True)
class DevnetState:
    """The content of `devnet.json`: written when everything answers, removed at an orderly end."""

    supervisor: ProcessId
    bitcoin: BitcoinState
    ethereum: EthereumState
    icp: IcpState
    block_seconds: float

    @staticmethod
    def file(folder: Path) -> Path:
        return folder / "devnet.json"

    def write(self, folder: Path) -> None:
        """All of it or nothing: readers never see half a file."""
        partial = folder / ".devnet.json.partial"
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        partial.replace(self.file(folder))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None if there is no such file. Raises `Unavailable` if it is not one that `write` wrote."""
        try:
            fields = json.loads(cls.file(folder).read_text())
            bitcoin, ethereum, icp = fields["bitcoin"], fields["ethereum"], fields["icp"]
            return cls(
                supervisor=ProcessId(**fields["supervisor"]),
                bitcoin=BitcoinState(**{**bitcoin, "process": ProcessId(**bitcoin["process"])}),
                ethereum=EthereumState(**{**ethereum, "process": ProcessId(**ethereum["process"])}),
                icp=IcpState(**{**icp, "process": ProcessId(**icp["process"])}),
                block_seconds=fields["block_seconds"],
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"{cls.file(folder)} is damaged ({error}); look at its processes and remove it"
            ) from error

    def processes(self) -> tuple[ProcessId, ...]:
        """The supervisor first: the nodes end with it."""
        return self.supervisor, self.bitcoin.process, self.ethereum.process, self.icp.process

    def variables(self) -> dict[str, str]:
        """The environment that points a swapd with `config/devnet.toml` at these nodes."""
        return {
            "SWAPD__CHAINS__BITCOIN__RPC_URL": self.bitcoin.rpc_url,
            "SWAPD__CHAINS__BITCOIN__RPC_COOKIE_FILE": self.bitcoin.cookie_file,
            "SWAPD__CHAINS__ETHEREUM__RPC_URL": self.ethereum.rpc_url,
            **self.icp.variables,
        }
