"""What a key looks like, and how it is checked.

    swk_0f3a91c25be07d64_0d6c...64 hex digits...e1
        its id           its secret, 256 bits

Whoever finds one knows by `swk_` what it is. The database keeps the SHA-256 of the secret: a slow hash defends secrets
that people choose, and nobody guesses 256 random bits, however fast the hash. Signatures are made with another key,
derived from the secret, so that what is stored for one way of asking is of no use for the other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

import structlog

from swapd.errors import Invalid
from swapd.store import DamagedRow, KeyRole, KeyRow, KeyState, Proof, Store
from swapd.vault.known import KNOWN

log = structlog.get_logger()

ID_BYTES, SECRET_BYTES = 8, 32
TOKEN = re.compile(rf"swk_(?P<id>[0-9a-f]{{{2 * ID_BYTES}}})_(?P<secret>[0-9a-f]{{{2 * SECRET_BYTES}}})")
NAME = re.compile(r"[a-z][a-z0-9._-]{0,62}")
SIGNING_LABEL = b"swapd request signing v1"

LONGEST_GRACE = 30 * 86_400
LONGEST_LIFE = 10 * 365 * 86_400
LARGEST_RATE = 1_000_000

_NOBODY = Proof(secrets.token_bytes(32), secrets.token_bytes(32))
"""Compared with when there is no such key, so that this takes as long."""


def make_id() -> str:
    return secrets.token_hex(ID_BYTES)


def make_token(key_id: str) -> tuple[str, Proof]:
    """A new token for a key, to be shown once, and what checks it."""
    secret = secrets.token_hex(SECRET_BYTES)
    return f"swk_{key_id}_{secret}", proof_of(secret)


def proof_of(secret: str) -> Proof:
    return Proof(hashlib.sha256(secret.encode()).digest(), signing_key(secret))


def signing_key(secret: str) -> bytes:
    """32 bytes: HMAC-SHA256 of `SIGNING_LABEL` under the secret's 64 hex digits as text."""
    key = hmac.digest(secret.encode(), SIGNING_LABEL, "sha256")
    KNOWN.add(key, passing=True)  # to the redactor of logs; a whole token it knows by its looks
    return key


def check_name(name: str) -> str:
    if not NAME.fullmatch(name) or re.fullmatch(r"[0-9a-f]{16}", name):
        raise Invalid(
            "name", name, "1 to 63 of a-z, 0-9, dot, dash, underscore, from a letter on, and not like a key's id"
        )
    return name


async def issue(
    store: Store,
    actor: str,
    name: str,
    role: KeyRole,
    *,
    chains: tuple[str, ...] = (),
    known_chains: tuple[str, ...] = (),
    rate: int | None = None,
    signed: bool = False,
    expires_in: int | None = None,
) -> tuple[KeyRow, str]:
    """A new key and its token. known_chains: those there are; `chains` are of them, in any order. expires_in:
    seconds."""
    check_name(name)
    for chain in chains:
        if chain not in known_chains:
            raise Invalid("networks", chain, f"configured chains: {', '.join(sorted(known_chains))}")
    key_id = make_id()
    token, proof = make_token(key_id)
    async with store.write(actor) as writing:
        row = await writing.issue_key(
            key_id,
            name,
            role,
            proof,
            chains=tuple(sorted(set(chains))),
            rate=_bounded("rate", rate, 1, LARGEST_RATE),
            signed=signed,
            expires_in=_bounded("expires_in", expires_in, 1, LONGEST_LIFE),
        )
    return row, token


async def rotate(
    store: Store, actor: str, key: str, *, grace: int, expires_in: int | None = None
) -> tuple[KeyRow, str]:
    """A new token for a key; the one before stays good for `grace` seconds."""
    _bounded("grace", grace, 0, LONGEST_GRACE)
    _bounded("expires_in", expires_in, 1, LONGEST_LIFE)
    async with store.read() as reading:
        key_id = (await reading.key(key)).id
    token, proof = make_token(key_id)
    async with store.write(actor) as writing:
        row = await writing.rotate_key(key_id, proof, grace=grace, expires_in=expires_in)
    return row, token


async def revoke(store: Store, actor: str, key: str) -> KeyRow:
    async with store.write(actor) as writing:
        return await writing.revoke_key(key)


def matching(key: KeyRow | None, token_secret: str, now: int) -> bool:
    """Whether this is the secret of a key that is good at this moment. As slow for a key that there is not."""
    given = hashlib.sha256(token_secret.encode()).digest()
    found = [hmac.compare_digest(given, each.digest) for each in proofs(key, now)]
    return any(found) and active(key, now)


def active(key: KeyRow | None, now: int) -> bool:
    return key is not None and key.state(now) is KeyState.ACTIVE


def proofs(key: KeyRow | None, now: int) -> tuple[Proof, Proof]:
    """Two, always: of the secret, and of the one before or of nobody's."""
    if key is None:
        return _NOBODY, _NOBODY
    previous = key.previous if key.previous is not None and now < key.previous_until else None
    return key.proof, previous or _NOBODY


async def find(store: Store, key_id: str) -> KeyRow | None:
    """None too for a row that swapd did not write: it opens nothing."""
    try:
        async with store.read() as reading:
            return await reading.find_key(key_id)
    except DamagedRow as error:
        log.error("key.damaged", error=str(error))
        return None


def _bounded(name: str, value: int | None, least: int, most: int) -> int | None:
    if value is not None and not least <= value <= most:
        raise Invalid(name, value, f"{least} to {most}")
    return value
