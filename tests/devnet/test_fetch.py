"""Tools are found before they are fetched, fetched whole or not at all, and what is missing is named."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swapd.devnet import debian, fetch
from swapd.devnet.cache import cache_folder, installed
from swapd.errors import Invalid, Unavailable

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this machine has no apt")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWAPD_CACHE", str(tmp_path / "cache"))
    for variable in ("SWAPD_BITCOIND", "SWAPD_ANVIL", "SWAPD_POSTGRES_BIN"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def path_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one empty folder: nothing is installed but what the test puts there."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("tool", "variable"), [("bitcoind", "SWAPD_BITCOIND"), ("anvil", "SWAPD_ANVIL")])
def test_the_order_is_caller_environment_path(
    tool: str, variable: str, empty_cache: Path, path_with: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = getattr(fetch, tool)
    on_path = program(path_with / tool)
    assert find().command == (str(on_path),)
    in_environment = program(tmp_path / "environment" / tool)
    monkeypatch.setenv(variable, str(in_environment))
    assert find().command == (str(in_environment),)
    by_caller = program(tmp_path / "caller" / tool)
    assert find(by_caller).command == (str(by_caller),)


@pytest.mark.parametrize("tool", ["bitcoind", "anvil"])
def test_a_name_that_leads_nowhere_is_refused_and_not_passed_over(
    tool: str, empty_cache: Path, path_with: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path_with / tool)
    monkeypatch.setenv(f"SWAPD_{tool.upper()}", "/nowhere/at-all")
    with pytest.raises(Invalid, match=rf"SWAPD_{tool.upper()}: got '/nowhere/at-all', expected a program"):
        getattr(fetch, tool)()


@needs_apt
def test_what_is_in_the_cache_needs_no_other_tool_and_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_all() -> list[object]:
        return [find(system=False) for find in (fetch.bitcoind, fetch.anvil, fetch.postgres, fetch.promtool)]

    first = find_all()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_all() == first


def test_without_apt_the_error_says_so_and_names_the_way_round(empty_cache: Path, path_with: Path) -> None:
    with pytest.raises(Unavailable, match=r"(?s)apt-get is missing.*SWAPD_BITCOIND"):
        fetch.bitcoind()
    with pytest.raises(Unavailable, match=r"(?s)apt-get is missing.*SWAPD_POSTGRES_BIN"):
        fetch.postgres(system=False)


def test_without_node_or_npm_the_error_says_how_to_get_them(empty_cache: Path, path_with: Path) -> None:
    with pytest.raises(Unavailable, match=r"(?s)node is missing.*apt-get install nodejs npm.*SWAPD_ANVIL"):
        fetch.anvil()
    program(path_with / "node")
    with pytest.raises(Unavailable, match="npm is missing"):
        fetch.anvil()


@needs_apt
def test_without_the_archive_keyring_the_error_names_its_package(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "_KEYRINGS", (Path("/nowhere/keyring.gpg"),))
    with pytest.raises(Unavailable, match="apt-get install debian-archive-keyring"):
        fetch.bitcoind(system=False)


@pytest.fixture
def apt_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that apt takes for /etc/apt/sources.list.d, and nothing else for its sources."""
    sources = tmp_path / "sources.list.d"
    sources.mkdir()
    configuration = tmp_path / "apt.conf"
    # Read before the machine's own configuration, which says nothing of these.
    configuration.write_text(f'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "{sources}";\n')
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    return sources


@needs_apt
def test_the_mirror_is_read_from_one_line_and_deb822_sources_and_is_debians_own_archive(apt_sources: Path) -> None:
    (apt_sources / "a.list").write_text(
        "deb [arch=all] http://one-line.example/pub/debian stable main contrib\n"
        "deb http://vendor.example/linux/debian stable stable\n"
        "deb http://security.example/debian-security stable-security main\n"
    )
    (apt_sources / "b.sources").write_text(
        "Types: deb deb-src\nURIs: http://deb822.example/debian/2026 http://one-line.example/pub/debian\n"
        "Suites: stable stable-updates\nComponents: main\n"
    )
    assert debian._mirrors() == ["http://one-line.example/pub/debian", "http://deb822.example/debian/2026"]


@needs_apt
def test_sources_without_a_debian_archive_are_an_error_that_says_so(empty_cache: Path, apt_sources: Path) -> None:
    with pytest.raises(Unavailable, match="no Debian archive among its sources"):
        fetch.bitcoind(system=False)


@needs_apt
def test_a_mirror_that_fails_is_reported_in_apts_words_and_leaves_no_cache(
    empty_cache: Path, apt_sources: Path, tmp_path: Path
) -> None:
    (apt_sources / "a.list").write_text(f"deb file:{tmp_path}/empty/debian stable main\n")
    with pytest.raises(Unavailable, match=r"(?s)apt-get update failed.*empty/debian.*sid.*SWAPD_BITCOIND"):
        fetch.bitcoind(system=False)
    assert leftovers(empty_cache) == []


def test_a_build_that_fails_leaves_nothing_and_the_next_one_succeeds(empty_cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "tool").touch()
        raise Unavailable("the line was cut")

    with pytest.raises(Unavailable, match="the line was cut"):
        installed("thing", valid=has_tool, build=fail)
    assert leftovers(empty_cache) == []
    assert has_tool(installed("thing", valid=has_tool, build=lambda folder: (folder / "tool").touch()))


def test_an_outdated_folder_is_replaced(empty_cache: Path) -> None:
    old = empty_cache / "thing" / "old"
    program(old)
    assert has_tool(installed("thing", valid=has_tool, build=lambda folder: (folder / "tool").touch()))
    assert not old.exists()
    assert leftovers(empty_cache) == ["thing"]


_SLOW_BUILD = """
import sys, time
from pathlib import Path
from swapd.devnet.cache import installed

def build(folder):
    (folder / "half").touch()
    with Path(sys.argv[1]).open("a") as builds:
        builds.write("build\\n")
    time.sleep(float(sys.argv[2]))
    (folder / "tool").touch()

installed("thing", valid=lambda folder: (folder / "tool").exists(), build=build)
"""


def slow_build(log: Path, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _SLOW_BUILD, str(log), str(seconds)])


def test_a_build_that_is_killed_leaves_no_half_tool_and_the_next_one_cleans_up(
    empty_cache: Path, tmp_path: Path
) -> None:
    with slow_build(tmp_path / "log", 600) as killed:
        wait_for(lambda: any(empty_cache.glob(".thing.partial-*/half")))
        killed.send_signal(signal.SIGKILL)
    assert not (empty_cache / "thing").exists()
    assert has_tool(installed("thing", valid=has_tool, build=lambda folder: (folder / "tool").touch()))
    assert leftovers(empty_cache) == ["thing"]


def test_of_two_processes_one_builds_and_the_other_waits_for_it(empty_cache: Path, tmp_path: Path) -> None:
    with slow_build(tmp_path / "log", 0.5) as first, slow_build(tmp_path / "log", 0.5) as second:
        assert first.wait(20) == second.wait(20) == 0
    assert (tmp_path / "log").read_text() == "build\n"


def test_a_cache_that_cannot_be_written_is_named(empty_cache: Path) -> None:
    empty_cache.write_text("a file where a folder should be")
    with pytest.raises(Unavailable, match=r"cannot create the cache folder .*SWAPD_CACHE"):
        installed("thing", valid=has_tool, build=lambda folder: None)


def test_the_command_names_what_is_missing_and_fails(empty_cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "swapd.devnet.fetch", "--no-system", "bitcoind"]
    environment = {"PATH": str(tmp_path), "SWAPD_CACHE": str(empty_cache)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bitcoind: apt-get is missing" in done.stderr
    assert "Traceback" not in done.stderr


def has_tool(folder: Path) -> bool:
    return (folder / "tool").exists()


def leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def wait_for(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_cache_of_a_checkout_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWAPD_CACHE", raising=False)
    checkout = Path(__file__).parents[2]
    assert cache_folder() == checkout / ".cache"
