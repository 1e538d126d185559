"""The committed artifact is what the committed source compiles to, on every machine."""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from pathlib import Path

from tests.contract.rig import CONTRACT, Chain, build, htlc_artifact


def test_the_artifact_is_rebuilt_byte_for_byte() -> None:
    done = build("--check")
    assert done.returncode == 0, done.stderr


def test_an_artifact_that_differs_is_noticed(tmp_path: Path) -> None:
    for name in ("build.js", "Htlc.sol", "Htlc.json"):
        (tmp_path / name).write_bytes((CONTRACT / name).read_bytes())
    assert build("--check", folder=tmp_path).returncode == 0
    artifact = tmp_path / "Htlc.json"
    artifact.write_text(artifact.read_text().replace('"evmVersion": "prague"', '"evmVersion": "cancun"'))
    done = build("--check", folder=tmp_path)
    assert done.returncode == 1
    assert "is not what Htlc.sol compiles to" in done.stderr


def test_a_missing_compiler_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["node", CONTRACT / "build.js"],
        env={**os.environ, "NODE_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"no solc in {tmp_path}" in done.stderr
    assert "npm ci" in done.stderr


def test_the_artifact_names_its_source_and_no_place_on_any_machine() -> None:
    artifact = htlc_artifact()
    assert artifact["sourceSha256"] == sha256((CONTRACT / "Htlc.sol").read_bytes()).hexdigest()
    text = (CONTRACT / "Htlc.json").read_text()
    assert "/" not in text


def test_what_is_deployed_is_what_the_artifact_says(chain: Chain) -> None:
    artifact = htlc_artifact()
    htlc = chain.deploy(artifact)
    assert chain.w3.eth.get_code(htlc.address).to_0x_hex() == artifact["deployedBytecode"]
