"""Rule S9: nothing shows a key by accident, and a closed vault has none."""

import copy
import hashlib
import pickle
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swapd.errors import Invalid, Rejected, SwapdError
from swapd.vault import KeyPurpose, Network, Secret, Vault, keyfile
from swapd.vault.derivation import ETHEREUM_PATH, ICP_PATH, bitcoin_path, private_key
from swapd.vault.words import tree_seed, words_from_seed

SEED = hashlib.sha256(b"a seed without any regular pattern").digest()
PASSPHRASE = b"correct horse battery staple"


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault(Secret(SEED), Network.MAINNET) as opened:
        yield opened


def shows_secret(text: str) -> bool:
    tree = tree_seed(Secret(SEED))
    paths = ETHEREUM_PATH, ICP_PATH, bitcoin_path(Network.MAINNET, 0, KeyPurpose.CLAIM)
    keys = [private_key(tree, path) for path in paths]
    secrets = [SEED, PASSPHRASE, tree.reveal(), *(key.reveal() for key in keys)]
    forms = [form for secret in secrets for form in (secret.hex(), repr(secret)[2:-1], str(list(secret))[1:-1])]
    forms.append(" ".join(words_from_seed(Secret(SEED)).split()[:3]))
    return any(form in text for form in forms)


def test_the_detector_of_this_file_detects() -> None:
    assert shows_secret(f"...{SEED!r}")
    assert shows_secret(f"...{bytearray(SEED)!r}")
    assert shows_secret(SEED.hex())
    assert not shows_secret("nothing")


SHOWN: list[Callable[[object], str]] = [
    repr,
    str,
    format,
    lambda thing: f"{thing}",
    lambda thing: f"{thing!a:>80}",
    lambda thing: "%s %r" % (thing, thing),  # noqa: UP031
    lambda thing: str([thing, {"key": thing}]),
]


@pytest.mark.parametrize("show", SHOWN)
def test_s9_a_vault_shows_its_fingerprint_and_nothing_more(vault: Vault, show: Callable[[object], str]) -> None:
    assert vault.fingerprint in show(vault)
    assert not shows_secret(show(vault))


@pytest.mark.parametrize("show", SHOWN)
def test_s9_a_secret_shows_nothing(show: Callable[[object], str]) -> None:
    assert "<Secret>" in show(Secret(SEED))
    assert not shows_secret(show(Secret(SEED)))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_s9_neither_is_ever_pickled(vault: Vault, protocol: int) -> None:
    for holder in (vault, Secret(SEED)):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(holder, protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_s9_neither_is_ever_copied(vault: Vault, duplicate: Callable[[object], object]) -> None:
    for holder in (vault, Secret(SEED)):
        with pytest.raises(TypeError, match="never pickled or copied"):
            duplicate(holder)


def test_s9_neither_has_a_dict_for_a_debugger_or_a_logger_to_print(vault: Vault) -> None:
    for holder in (vault, Secret(SEED)):
        assert not hasattr(holder, "__dict__")


def test_s9_no_error_of_the_vault_shows_a_secret_not_even_with_local_variables(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    keyfile.create(path, Secret(SEED), Secret(PASSPHRASE), devnet=True)
    transaction = {"chainId": 1, "nonce": 0, "gas": 1, "maxFeePerGas": 1, "maxPriorityFeePerGas": 1, "from": "0x"}
    attempts: list[Callable[[], object]] = [
        lambda: vault.preimage(-1),
        lambda: vault.bitcoin_pubkey(2**31, KeyPurpose.CLAIM),
        lambda: vault.sign_bitcoin(0, KeyPurpose.CLAIM, b"short"),
        lambda: vault.sign_ethereum_transaction({}),
        lambda: vault.sign_ethereum_transaction(transaction),
        lambda: vault.sign_typed_data({}, {}, {}),
        lambda: vault.icp_sign_request(b"short"),
        lambda: keyfile.create(path, Secret(SEED), Secret(PASSPHRASE), devnet=True),
        lambda: keyfile.unseal(path, Secret(PASSPHRASE)),
        lambda: keyfile.unseal(path, Secret(b"wrong"), devnet=True),
    ]
    for attempt in attempts:
        with pytest.raises(SwapdError) as caught:
            attempt()
        text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert not shows_secret(text), text


def test_s9_a_closed_vault_gives_out_public_facts_only() -> None:
    seed = Secret(SEED)
    with Vault(seed, Network.MAINNET) as vault:
        address = vault.ethereum_address
    assert vault.ethereum_address == address
    assert vault.fingerprint in repr(vault)
    uses: list[Callable[[], object]] = [
        seed.reveal,
        lambda: vault.preimage(0),
        lambda: vault.hashlock(0),
        lambda: vault.bitcoin_pubkey(0, KeyPurpose.CLAIM),
        lambda: vault.sign_bitcoin(0, KeyPurpose.CLAIM, bytes(32)),
        lambda: vault.sign_typed_data({}, {}, {}),
        lambda: vault.icp_sign_request(bytes(32)),
    ]
    for use in uses:
        with pytest.raises(Rejected, match="wiped from memory"):
            use()
    vault.close()


def test_s9_wiping_overwrites_the_bytes_themselves() -> None:
    secret = Secret(SEED)
    content = memoryview(secret._content)
    with pytest.raises(BufferError):  # the view keeps the buffer alive, so that it can be looked at afterwards
        secret.wipe()
    assert bytes(content) == bytes(32)


def run(program: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout


def test_s9_core_dumps_are_forbidden_for_the_process_and_its_children() -> None:
    output = run(
        """
        import ctypes, resource, subprocess, sys
        from swapd.vault.hardening import forbid_core_dumps
        forbid_core_dumps()
        print(resource.getrlimit(resource.RLIMIT_CORE))
        if sys.platform == "linux":
            print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
        show = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
        print(subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout.strip())
        """
    )
    expected = ["(0, 0)", "0", "(0, 0)"] if sys.platform == "linux" else ["(0, 0)", "(0, 0)"]
    assert output.split("\n")[:-1] == expected


def test_an_invalid_digest_is_the_callers_fault(vault: Vault) -> None:
    with pytest.raises(Invalid):
        vault.sign_bitcoin(0, KeyPurpose.CLAIM, b"")
