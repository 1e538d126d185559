"""The test canisters as wasm: Motoko compiled once for each state of its sources, WAT assembled at once."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import wasmtime

from swapd.devnet.cache import installed
from swapd.devnet.npm_packages import node_modules

HERE = Path(__file__).parent / "canisters"
BUILD = Path(__file__).resolve().parents[3] / "canisters" / "build.js"


@functools.cache
def wat(name: str) -> bytes:
    return bytes(wasmtime.wat2wasm((HERE / f"{name}.wat").read_text()))


@functools.cache
def motoko(name: str) -> bytes:
    source = HERE / name
    digest = hashlib.sha256((source / "Main.mo").read_bytes() + BUILD.read_bytes()).hexdigest()[:16]

    def build(folder: Path) -> None:
        node = shutil.which("node")
        assert node, "node is missing"
        command: list[str | Path] = [
            node,
            BUILD,
            source,
            "--output",
            folder / "main.wasm",
            "--node-modules",
            node_modules(),
        ]
        subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL)

    built = installed(f"canisters/test-{name}-{digest}", valid=lambda f: (f / "main.wasm").exists(), build=build)
    return (built / "main.wasm").read_bytes()


@functools.cache
def azle() -> bytes:
    """A canister that others wrote in Rust and compiled: Azle's, from npm, with a script of ours put in by its tool."""
    source = HERE / "azle"
    files = sorted(source.iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]

    def build(folder: Path) -> None:
        for path in files:
            shutil.copy(path, folder)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        its_own = {"CANISTER_CANDID_PATH": str(folder / "script.did"), "CANISTER_PRINCIPAL": "aaaaa-aa"}
        for command in (["npm", "ci", *quiet], [str(folder / "node_modules" / ".bin" / "azle"), "build", "script"]):
            subprocess.run(
                command, check=True, timeout=300, stdin=subprocess.DEVNULL, cwd=folder, env={**os.environ, **its_own}
            )
        shutil.move(folder / ".azle" / "script" / "script.wasm", folder / "script.wasm")
        shutil.rmtree(folder / "node_modules")

    built = installed(f"canisters/test-azle-{digest}", valid=lambda f: (f / "script.wasm").exists(), build=build)
    return (built / "script.wasm").read_bytes()
