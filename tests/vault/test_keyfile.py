"""A key file opens to the seed that was put in, or not at all, and says why."""

import json
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swapd.errors import Invalid, SwapdError, Unavailable
from swapd.vault import Network, Secret, Vault, keyfile
from swapd.vault.keyfile import (
    SCRYPT_N_DEVNET,
    SCRYPT_N_LARGEST,
    DamagedKeyFile,
    Header,
    UnfitScrypt,
    UnknownKeyFileVersion,
    WrongPassphrase,
)
from swapd.vault.private_file import FileExists, UnsafeFile

SEED = bytes(range(100, 132))
PASSPHRASE = b"correct horse battery staple"
SEALED = keyfile.seal(
    Header(fingerprint="0123456789abcdef", n=SCRYPT_N_DEVNET, r=8, p=1, salt="5a" * 32, nonce="a5" * 12),
    Secret(SEED),
    Secret(PASSPHRASE),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seed.json"


def create(path: Path) -> None:
    keyfile.create(path, Secret(SEED), Secret(PASSPHRASE), devnet=True)


def unseal(path: Path, passphrase: bytes = PASSPHRASE) -> bytes:
    return keyfile.unseal(path, Secret(passphrase), devnet=True).reveal()


def place(path: Path, content: bytes) -> None:
    """Put a key file there that was not written by swapd."""
    path.write_bytes(content)
    path.chmod(0o600)


def with_fields(**changed: Any) -> bytes:
    """A key file altered by somebody who knows the format and mends the checksum."""
    fields = json.loads(SEALED) | changed
    fields.pop("checksum")
    fields["checksum"] = keyfile._checksum(fields)
    return json.dumps(fields).encode()


# ---- round trip and what is written ----


def test_what_was_sealed_comes_out_again(path: Path) -> None:
    create(path)
    assert unseal(path) == SEED


def test_production_scrypt_is_the_default_and_opens_everywhere(path: Path) -> None:
    keyfile.create(path, Secret(SEED), Secret(PASSPHRASE))
    fields = json.loads(path.read_bytes())
    assert (fields["n"], fields["r"], fields["p"]) == (2**17, 8, 1)
    with Vault.unlock(path, Secret(PASSPHRASE), Network.MAINNET) as vault:
        assert vault.fingerprint == fields["fingerprint"]


def test_a_new_seed_is_32_bytes_and_never_the_same() -> None:
    seeds = {keyfile.new_seed().reveal() for _ in range(50)}
    assert len(seeds) == 50
    assert {len(seed) for seed in seeds} == {32}


def test_salt_and_nonce_are_fresh_in_every_file(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        create(file)
    first, second = (json.loads(file.read_bytes()) for file in files)
    assert first["salt"] != second["salt"]
    assert first["nonce"] != second["nonce"]
    assert first["fingerprint"] == second["fingerprint"]


def test_s9_the_file_shows_neither_seed_nor_passphrase(path: Path) -> None:
    create(path)
    content = path.read_bytes()
    for secret in (SEED, SEED.hex().encode(), PASSPHRASE, PASSPHRASE.hex().encode()):
        assert secret not in content


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_s9_only_the_owner_may_read_and_write_it_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("length", [16, 31, 33, 64])
def test_a_seed_of_another_length_is_not_sealed(path: Path, length: int) -> None:
    with pytest.raises(Invalid, match=f"seed: got '{length} bytes', expected 32 bytes"):
        keyfile.create(path, Secret(b"x" * length), Secret(PASSPHRASE), devnet=True)
    assert not path.exists()


# ---- never overwritten, never half ----


def test_s14_a_file_that_exists_is_never_overwritten(path: Path) -> None:
    place(path, b"another seed")
    with pytest.raises(FileExists, match="exists already and is not overwritten"):
        create(path)
    assert path.read_bytes() == b"another seed"
    assert list(path.parent.iterdir()) == [path]


def test_s14_a_dangling_link_is_not_written_through(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(FileExists):
        create(path)
    assert not (path.parent / "elsewhere").exists()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="a path in a folder that exists"):
        create(tmp_path / "missing" / "seed.json")


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_failing_disk_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, fail)
        with pytest.raises(Unavailable, match="No space left on device"):
            create(path)
    assert list(path.parent.iterdir()) == []
    create(path)
    assert unseal(path) == SEED


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_crash_before_the_file_has_its_name_leaves_no_half_file(path: Path, step: str) -> None:
    program = f"""
        import os, sys
        from pathlib import Path
        from swapd.vault import Secret, keyfile
        os.{step} = lambda *_: os._exit(7)
        keyfile.create(Path(sys.argv[1]), Secret(bytes(32)), Secret(b"passphrase"), devnet=True)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(path)], timeout=60, check=False)
    assert ended.returncode == 7
    assert not path.exists()
    for left_over in path.parent.iterdir():
        assert stat.S_IMODE(left_over.stat().st_mode) == 0o600
    create(path)
    assert unseal(path) == SEED


# ---- whom the file belongs to ----


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610, 0o601])
def test_s9_a_file_that_others_may_use_is_refused_with_the_command_that_mends_it(path: Path, mode: int) -> None:
    create(path)
    path.chmod(mode)
    with pytest.raises(UnsafeFile, match=f"chmod 600 {path}"):
        unseal(path)
    path.chmod(0o600)
    assert unseal(path) == SEED


def test_s9_a_file_of_somebody_else_is_refused(path: Path) -> None:
    if os.geteuid() == 0:
        create(path)
        os.chown(path, 12345, -1)
    else:
        path = Path("/etc/passwd")  # belongs to root
    with pytest.raises(UnsafeFile, match="belongs to user id"):
        unseal(path)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(Invalid, match=f"key file: got '{path}', expected a file that exists"):
        unseal(path)


def test_a_folder_is_not_a_key_file(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="a regular file"):
        unseal(tmp_path)


def test_a_named_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(Invalid, match="a regular file"):
        unseal(path)


def test_a_huge_file_is_not_read_into_memory(path: Path) -> None:
    path.touch(0o600)
    os.truncate(path, 2**40)
    with pytest.raises(Invalid, match="a file of at most 65536 bytes"):
        unseal(path)


# ---- wrong passphrase, damage, tampering ----


@pytest.mark.parametrize("wrong", [b"x", PASSPHRASE + b" ", PASSPHRASE.upper(), PASSPHRASE[:-1]])
def test_a_wrong_passphrase_is_called_that(path: Path, wrong: bytes) -> None:
    create(path)
    with pytest.raises(WrongPassphrase, match="wrong passphrase") as caught:
        unseal(path, wrong)
    assert wrong.decode() not in str(caught.value).split(":", 1)[1] or wrong == b"x"


def test_every_truncation_is_called_damage(path: Path) -> None:
    for length in range(len(SEALED) - 2):  # the last two bytes are "}\n"; without the newline it is whole
        place(path, SEALED[:length])
        with pytest.raises(DamagedKeyFile):
            unseal(path)
    place(path, SEALED[:-1])
    assert unseal(path) == SEED


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(SEALED) - 1), flip=st.integers(1, 255))
def test_a_file_with_any_byte_changed_never_opens_to_another_seed(path: Path, position: int, flip: int) -> None:
    content = bytearray(SEALED)
    content[position] ^= flip
    place(path, bytes(content))
    try:
        seed = unseal(path)
    except (DamagedKeyFile, UnknownKeyFileVersion):
        return
    assert seed == SEED
    assert json.loads(content) == json.loads(SEALED)  # only white space was hit


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 60_000, b'{"format": "swapd key file"', b"{" + b" " * 500],
)
def test_what_is_no_key_file_at_all_is_called_damaged(path: Path, content: bytes) -> None:
    place(path, content)
    with pytest.raises(DamagedKeyFile):
        unseal(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"fingerprint": "0123456789abcdee"},
        {"n": 2 * SCRYPT_N_DEVNET},
        {"salt": "5b" * 32},
        {"nonce": "a4" * 12},
        {"ciphertext": "00" * 48},
        {"ciphertext": json.loads(SEALED)["ciphertext"].upper()[:-2] + "00"},
        {"salt": "5A" * 32},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_field_altered_on_purpose_with_a_fitting_checksum_does_not_open(path: Path, changed: dict[str, Any]) -> None:
    place(path, with_fields(**changed))
    with pytest.raises(WrongPassphrase, match="somebody altered the file"):
        unseal(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"kdf": "pbkdf2"},
        {"cipher": "none"},
        {"format": "other"},
        {"comment": "one more field"},
        {"n": "1024"},
        {"n": True},
        {"n": 1024.0},
        {"r": None},
        {"salt": "5a" * 31},
        {"salt": "zz" * 32},
        {"salt": 5},
        {"nonce": ""},
        {"ciphertext": "00" * 47},
        {"ciphertext": None},
    ],
)
def test_a_field_that_swapd_never_writes_is_called_damage(path: Path, changed: dict[str, Any]) -> None:
    place(path, with_fields(**changed))
    with pytest.raises(DamagedKeyFile):
        unseal(path)


def test_a_missing_field_is_called_damage(path: Path) -> None:
    for name in json.loads(SEALED):
        fields = json.loads(with_fields())
        del fields[name]
        if name != "checksum":
            fields["checksum"] = keyfile._checksum({key: fields[key] for key in fields if key != "checksum"})
        place(path, json.dumps(fields).encode())
        with pytest.raises((DamagedKeyFile, UnknownKeyFileVersion)):
            unseal(path)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_called_that(path: Path, version: object) -> None:
    place(path, with_fields(version=version))
    with pytest.raises(UnknownKeyFileVersion, match="version is not 1"):
        unseal(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"n": 2 * SCRYPT_N_LARGEST},
        {"n": 2**62},
        {"n": 0},
        {"n": -1024},
        {"n": 1},
        {"n": 100_000},
        {"r": 2**30},
        {"r": 0},
        {"p": 2**20},
        {"p": -1},
    ],
    ids=str,
)
def test_absurd_scrypt_parameters_are_refused_before_they_cost_anything(path: Path, changed: dict[str, Any]) -> None:
    place(path, with_fields(**changed))
    with pytest.raises(UnfitScrypt, match="scrypt with n="):
        unseal(path)


@pytest.mark.parametrize("network", [Network.MAINNET, Network.TESTNET])
def test_a_file_with_the_cheap_scrypt_opens_on_devnet_only(path: Path, network: Network) -> None:
    create(path)
    with Vault.unlock(path, Secret(PASSPHRASE), Network.DEVNET) as vault:
        assert vault.network is Network.DEVNET
    with pytest.raises(UnfitScrypt, match="too weak"):
        Vault.unlock(path, Secret(PASSPHRASE), network)


def test_every_error_is_one_of_ours_and_each_kind_has_its_own_class() -> None:
    kinds = (DamagedKeyFile, UnknownKeyFileVersion, UnfitScrypt, WrongPassphrase, UnsafeFile, FileExists)
    for kind in kinds:
        assert issubclass(kind, SwapdError)
        assert not any(issubclass(kind, other) for other in kinds if other is not kind)
