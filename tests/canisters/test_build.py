"""Canisters are compiled to the same bytes everywhere, and say what is wrong with them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest

from swapd.devnet.canisters import built, names
from swapd.devnet.npm_packages import node_modules
from swapd.errors import Invalid

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(
    main.parent for room in ("canisters", "tests/canisters") for main in CHECKOUT.glob(f"{room}/*/Main.mo")
)
COUNTER = """
persistent actor class Counter(first : Nat) {
  var count : Nat = first;
  public func add(n : Nat) : async Nat { count += n; count };
};
"""

each_canister = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def node(script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", CHECKOUT / "canisters" / script, *words],
        env={**os.environ, "NODE_PATH": str(node_modules())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    folder = tmp_path / "counter"
    folder.mkdir()
    (folder / "Main.mo").write_text(COUNTER)
    return folder


# -- the same bytes


@each_canister
def test_another_folder_gives_the_same_bytes_and_what_is_committed_fits_them(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / folder.name)
    done = node("build.js", moved, "--to", tmp_path / "out", "--check")
    assert done.returncode == 0, done.stderr
    wasm = (tmp_path / "out" / f"{folder.name}.wasm").read_bytes()
    assert wasm == built(folder.name).wasm
    assert done.stdout == f"{sha256(wasm).hexdigest()}  {folder.name}.wasm\n"


def test_what_was_compiled_before_leaves_no_trace(counter: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "Main.mo").write_text("persistent actor { public func f() : async Text { debug_show (1, 2) } }")
    alone = node("build.js", counter).stdout
    assert alone
    assert node("build.js", other, counter).stdout.splitlines()[1] == alone.strip()


def test_every_canister_has_a_door() -> None:
    assert names() == sorted(folder.name for folder in FOLDERS)
    assert "devnet_ledger" in names()


def test_a_name_that_leads_elsewhere_is_no_canister() -> None:
    for name in ("nothing", "..", "../swapd", ""):
        with pytest.raises(Invalid, match="canister"):
            built(name)


def test_the_module_tells_everybody_its_interface() -> None:
    wasm = built("devnet_ledger").wasm
    assert b"icp:public candid:service" in wasm
    assert b"icp:public candid:args" in wasm
    assert b"enhanced-orthogonal-persistence" in wasm  # an upgrade keeps the heap as it is


# -- what is wrong


def test_an_error_is_told_with_its_place(counter: Path) -> None:
    (counter / "Main.mo").write_text(COUNTER.replace("count += n", 'count += "n"'))
    done = node("build.js", counter)
    assert done.returncode == 1
    assert f"{counter / 'Main.mo'}:4:" in done.stderr
    assert "error [M0050], literal of type" in done.stderr
    assert len(done.stderr) < 500  # not the compiler's own text


def test_a_warning_is_an_error(counter: Path) -> None:
    (counter / "Main.mo").write_text(COUNTER.replace("count += n; count", "let unused = 1; count += n; count"))
    done = node("build.js", counter)
    assert done.returncode == 1
    assert "warning [M0194], unused identifier" in done.stderr


def test_a_missing_module_and_a_missing_main_are_named(counter: Path) -> None:
    (counter / "Main.mo").write_text('import Gone "Gone";' + COUNTER)
    assert "Gone" in node("build.js", counter).stderr
    (counter / "Main.mo").unlink()
    assert node("build.js", counter).stderr == f"build.js: no Main.mo in {counter}\n"


def test_a_missing_compiler_is_named_with_how_to_get_it(counter: Path, tmp_path: Path) -> None:
    done = node("build.js", counter, "--node-modules", tmp_path)
    assert done.returncode == 1
    assert f"no motoko in {tmp_path}" in done.stderr
    assert "make nodes" in done.stderr


# -- what is committed


def test_an_interface_that_differs_from_the_committed_one_is_noticed(counter: Path) -> None:
    assert "counter.did is not what Main.mo compiles to" in node("build.js", counter, "--check").stderr
    assert node("build.js", counter, "--update", "--check").returncode == 0
    assert "add: (n: nat) -> (nat)" in (counter / "counter.did").read_text()
    (counter / "Main.mo").write_text(COUNTER.replace("add(", "increase("))
    done = node("build.js", counter, "--check")
    assert done.returncode == 1
    assert "counter.did is not what Main.mo compiles to" in done.stderr
    assert "wasm.sha256 is not what Main.mo compiles to" in done.stderr


def test_an_upgrade_that_keeps_the_state_is_accepted(counter: Path) -> None:
    node("build.js", counter, "--deployed")
    (counter / "Main.mo").write_text(
        COUNTER.replace("var count", 'var more : Text = ""; var count').replace("count += n", 'more #= "n"; count += n')
    )
    done = node("build.js", counter, "--update", "--check")
    assert done.returncode == 0, done.stderr


def test_an_upgrade_that_would_lose_state_is_refused(counter: Path) -> None:
    node("build.js", counter, "--deployed")
    for changed in (COUNTER.replace("Nat", "Int8"), COUNTER.replace("count", "total")):
        (counter / "Main.mo").write_text(changed)
        done = node("build.js", counter, "--update", "--check")
        assert done.returncode == 1
        assert "deployed.most: an upgrade from it would fail" in done.stderr
        assert "`count`" in done.stderr


# -- tools of others


def test_the_internet_computers_own_tool_builds_the_same_bytes(tmp_path: Path) -> None:
    folder = CHECKOUT / "canisters" / "atomic_swap"
    told = (folder / "canister.yaml").read_text()
    (command,) = re.findall(r"^ +- (node .+)$", told, re.MULTILINE)
    output = tmp_path / "out.wasm"
    environment = {**os.environ, "ICP_WASM_OUTPUT_PATH": str(output), "NODE_PATH": str(node_modules())}
    subprocess.run(["sh", "-c", command], cwd=folder, env=environment, check=True, capture_output=True, timeout=120)
    assert output.read_bytes() == built("atomic_swap").wasm


def test_the_package_manager_of_motoko_is_told_what_there_is() -> None:
    told = tomllib.loads((CHECKOUT / "mops.toml").read_text())
    core = json.loads((node_modules() / "motoko/packages/latest/core.json").read_text())
    assert told["dependencies"] == {"core": core["version"].removeprefix("v")}
    assert set(told["canisters"]) == {main.parent.name for main in CHECKOUT.glob("canisters/*/Main.mo")}
    for canister in told["canisters"].values():
        assert (CHECKOUT / canister["main"]).exists()
        assert (CHECKOUT / canister["candid"]).exists()
    assert (CHECKOUT / told["canisters"]["atomic_swap"]["check-stable"]["path"]).exists()


# -- unit tests of modules


@pytest.mark.parametrize(
    "folder", [folder for folder in FOLDERS if any(folder.rglob("*.test.mo"))], ids=lambda folder: folder.name
)
def test_unit_tests_pass(folder: Path) -> None:
    done = node("test.js", folder)
    assert done.returncode == 0, done.stdout + done.stderr


FAILING = {
    "Assert": ("assert 1 == 1;\nassert 1 == 2;", "Assert.test.mo:2.1-2.14: execution error, assertion failure"),
    "Trap": ('import Runtime "mo:core/Runtime";\nRuntime.trap("ouch");', "explicit trap: ouch"),
    "Type": ('let x : Nat = "a";', "Type.test.mo:1:15: error [M0050]"),
    "Warning": ("let unused = 1;\nassert true;", "Warning.test.mo:1:5: warning [M0194]"),
    "Throw": (
        'import Error "mo:core/Error"; func f() : async () { throw Error.reject("x") }; await f();',
        "uncaught throw",
    ),
    "Inner": ("ignore to_candid (1);", "internal error"),
}


def test_a_unit_test_that_fails_is_reported(tmp_path: Path) -> None:
    (tmp_path / "Good.test.mo").write_text("assert true;")
    for name, (program, _) in FAILING.items():
        (tmp_path / f"{name}.test.mo").write_text(program)
    done = node("test.js", tmp_path)
    assert done.returncode == 1
    assert f"ok   {tmp_path / 'Good.test.mo'}\n" in done.stdout
    for name, (_, told) in FAILING.items():
        assert f"FAIL {tmp_path / name}.test.mo\n" in done.stdout
        assert told in done.stderr
    assert f"{len(FAILING)} of {len(FAILING) + 1} failed" in done.stderr
    assert len(done.stderr) < 2000  # not the interpreter's whole environment


def test_no_unit_test_at_all_is_a_failure(tmp_path: Path) -> None:
    done = node("test.js", tmp_path)
    assert done.returncode == 1
    assert "no *.test.mo" in done.stderr
