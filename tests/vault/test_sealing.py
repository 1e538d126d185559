"""What the database keeps sealed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import Rejected
from swapd.vault import Network, Secret, Vault
from swapd.vault.derivation import store_key

SEED = bytes(range(32))


def vault(seed: bytes = SEED, network: Network = Network.DEVNET) -> Vault:
    return Vault(Secret(seed), network)


@given(st.binary(max_size=2000))
def test_what_is_sealed_opens_and_does_not_show(content: bytes) -> None:
    sealed = vault().seal(content)
    assert vault().open(sealed) == content
    assert len(content) < 4 or content not in sealed


def test_the_same_content_never_seals_alike() -> None:
    assert vault().seal(b"a") != vault().seal(b"a")


def test_the_store_key_is_pinned() -> None:
    assert store_key(Secret(SEED), Network.MAINNET).reveal().hex() == (
        "6c0ae34ae2a6c8f2df8de3be53a6965646dd01bac23c2663f12431b0243fd980"
    )


@given(st.data())
def test_any_altered_byte_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(vault().seal(b"terms of a swap"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Rejected):
        vault().open(bytes(sealed))


@pytest.mark.parametrize("other", [vault(bytes(32)), vault(network=Network.MAINNET)])
def test_another_seed_or_network_opens_nothing(other: Vault) -> None:
    with pytest.raises(Rejected, match="another seed or network"):
        other.open(vault().seal(b"x"))


@pytest.mark.parametrize("sealed", [b"", b"short"])
def test_what_is_too_short_is_refused(sealed: bytes) -> None:
    with pytest.raises(Rejected, match="too short"):
        vault().open(sealed)


def test_s9_a_closed_vault_seals_nothing() -> None:
    closed = vault()
    closed.close()
    with pytest.raises(Rejected, match="wiped"):
        closed.seal(b"x")
