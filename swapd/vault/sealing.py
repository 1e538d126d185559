"""Sealing what the database keeps but must not show: AES-256-GCM, a fresh 12-byte nonce before the ciphertext."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from swapd.errors import Rejected
from swapd.vault.secret import Secret

NONCE_BYTES = 12
TAG_BYTES = 16


def seal(key: Secret, content: bytes) -> bytes:
    """nonce ‖ ciphertext ‖ tag: 28 bytes more than the content."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key.reveal()).encrypt(nonce, content, None)


def unseal(key: Secret, sealed: bytes) -> bytes:
    """The content. Rejected for what another seed or network sealed, and for what was altered since."""
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise Rejected(f"a sealed value of {len(sealed)} bytes is too short to be one")
    try:
        return AESGCM(key.reveal()).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
    except InvalidTag:
        raise Rejected("a sealed value was altered, or was sealed under another seed or network") from None
