"""Canisters that others wrote in Rust and compiled. Only tests run them, and run them as they are.

The ledger of the ICRC standards, which real tokens are, is in no package registry: where `SWAPD_ICRC_LEDGER_WASM` names
a file with it (`ic-icrc1-ledger.wasm` or `.wasm.gz` of a release of DFINITY's ledger suite), tests run it too.
"""

from __future__ import annotations

import gzip
import os
import platform
import shutil
import zlib
from hashlib import sha256
from pathlib import Path

from swapd.devnet import npm_packages
from swapd.devnet.cache import installed
from swapd.errors import Invalid, Unavailable

LEDGER = "SWAPD_ICRC_LEDGER_WASM"

_SOURCE = Path(__file__).parent / "npm_canisters"
_PROGRAM = "node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp"
_PROXY_BYTES = 625_159
_PROXY_HASH = "9e5abf27930b06df7f50c4baa1ec71b7e53408cb81849054fc51a1825eb6c5a4"
_WASM = b"\0asm\1\0\0\0"
_PROXY = "proxy.wasm"


def proxy() -> bytes:
    """icp-cli's proxy, made with ic-cdk 0.18.7: `proxy` makes the call that a controller of it asks for.

    It is taken out of icp-cli's program, as npm has it, once. Raises `Unavailable`.
    """
    name = f"canisters/third-party-{_PROXY_HASH[:16]}"
    return (installed(name, valid=lambda folder: (folder / _PROXY).exists(), build=_fetch_proxy) / _PROXY).read_bytes()


def icrc_ledger() -> bytes | None:
    """The Wasm module that `SWAPD_ICRC_LEDGER_WASM` names, unpacked; None if it names none. Raises `Invalid`."""
    named = os.environ.get(LEDGER)
    if not named:
        return None
    try:
        content = Path(named).read_bytes()
        wasm = content if content.startswith(_WASM) else gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        wasm = b""
    if not wasm.startswith(_WASM):
        raise Invalid(LEDGER, named, "a file with a Wasm module, as it is or gzipped")
    return wasm


def _fetch_proxy(folder: Path) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Unavailable(f"npm brings icp-cli for Linux on x86_64, this is {platform.system()} {platform.machine()}")
    npm_packages.install(_SOURCE, folder)
    program = (folder / _PROGRAM).read_bytes()
    start = program.find(_WASM)
    while start >= 0:
        module = program[start : start + _PROXY_BYTES]
        if sha256(module).hexdigest() == _PROXY_HASH:
            (folder / _PROXY).write_bytes(module)
            shutil.rmtree(folder / "node_modules")
            return
        start = program.find(_WASM, start + 1)
    raise Unavailable("icp-cli's program does not hold the proxy canister that is expected")
