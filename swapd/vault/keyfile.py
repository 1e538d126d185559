"""The master seed on disk: one small JSON file, sealed with a passphrase.

    passphrase ─ scrypt (RFC 7914) → key ─ AES-256-GCM(seed; every header field as associated data) → ciphertext

GCM alone cannot tell a wrong passphrase from a damaged file. The file therefore also holds a plain SHA-256 checksum of
everything in it: accidents break the checksum and are reported as damage. Somebody who alters the file on purpose can
mend the checksum; then opening fails like with a wrong passphrase, but it never yields another seed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from swapd.errors import Invalid, Rejected, Unavailable
from swapd.vault.derivation import SEED_BYTES, fingerprint
from swapd.vault.private_file import create_private, read_private
from swapd.vault.secret import Secret

WHAT = "key file"
FORMAT = "swapd key file"
VERSION = 1

SALT_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32

SCRYPT_R = 8
SCRYPT_P = 1
SCRYPT_N = 2**17
"""128 MiB and about 0.3 s for each guess (OWASP's first choice for scrypt)."""
SCRYPT_N_DEVNET = 2**10
"""1 MiB and 2 ms: for money without value only, because guessing is as fast as opening."""
SCRYPT_N_LARGEST = 2**20
"""1 GiB. A file that asks for more would put the machine on its knees before the passphrase is even checked."""
assert SCRYPT_N_DEVNET < SCRYPT_N < SCRYPT_N_LARGEST  # noqa: S101


class DamagedKeyFile(Rejected):
    """Not what was written: cut off, altered, or no key file at all."""


class UnknownKeyFileVersion(Rejected):
    """Written by another version of swapd."""


class UnfitScrypt(Rejected):
    """The scrypt parameters are too weak for real money, or too heavy for any machine."""


class WrongPassphrase(Rejected):
    """The passphrase does not open an undamaged file."""


@dataclass(frozen=True)
class Header:
    """What a key file says in clear. Bytes are hex on disk; all of it is authenticated by the cipher."""

    fingerprint: str
    n: int
    r: int
    p: int
    salt: str
    nonce: str

    def fields(self) -> dict[str, Any]:
        """In the order in which they stand in the file."""
        return {"format": FORMAT, "version": VERSION, "kdf": "scrypt", "cipher": "aes-256-gcm", **asdict(self)}


def new_seed() -> Secret:
    """32 bytes from the operating system's random source."""
    return Secret(secrets.token_bytes(SEED_BYTES))


def create(path: Path, seed: Secret, passphrase: Secret, *, devnet: bool = False) -> None:
    """Seal `seed` into a new file of mode 0600. Slow on purpose, unless `devnet` asks for the cheap scrypt.

    Raises FileExists, Invalid, Unavailable; a file that exists is never touched.
    """
    if len(seed.reveal()) != SEED_BYTES:
        raise Invalid("seed", f"{len(seed.reveal())} bytes", f"{SEED_BYTES} bytes")
    header = Header(
        fingerprint=fingerprint(seed),
        n=SCRYPT_N_DEVNET if devnet else SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        salt=secrets.token_hex(SALT_BYTES),
        nonce=secrets.token_hex(NONCE_BYTES),
    )
    create_private(path, WHAT, seal(header, seed, passphrase))


def unseal(path: Path, passphrase: Secret, *, devnet: bool = False) -> Secret:
    """The seed in a key file. Slow on purpose. `devnet` accepts a file sealed with the cheap scrypt.

    Raises Invalid, UnsafeFile, DamagedKeyFile, UnknownKeyFileVersion, UnfitScrypt, WrongPassphrase, Unavailable.
    """
    header, ciphertext = parse(path, read_private(path, WHAT))
    _refuse_unfit(header, SCRYPT_N_DEVNET if devnet else SCRYPT_N, path)
    cipher = AESGCM(_stretch(passphrase, header))
    try:
        return Secret(cipher.decrypt(bytes.fromhex(header.nonce), ciphertext, _canonical(header.fields())))
    except InvalidTag:
        raise WrongPassphrase(
            f"{WHAT} {path}: wrong passphrase (or somebody altered the file and made its checksum fit again)"
        ) from None


def seal(header: Header, seed: Secret, passphrase: Secret) -> bytes:
    """The content of a key file."""
    fields = header.fields()
    cipher = AESGCM(_stretch(passphrase, header))
    sealed = cipher.encrypt(bytes.fromhex(header.nonce), seed.reveal(), _canonical(fields))
    fields["ciphertext"] = sealed.hex()
    fields["checksum"] = _checksum(fields)
    return json.dumps(fields, indent=2).encode() + b"\n"


def parse(path: Path, content: bytes) -> tuple[Header, bytes]:
    """Header and ciphertext, checked for shape and damage, not yet authenticated. `path` is for the errors."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedKeyFile(f"{WHAT} {path}: cut off or damaged: it is not JSON") from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise DamagedKeyFile(f"{WHAT} {path}: damaged, or no key file of swapd")
    if fields.get("version") != VERSION:
        raise UnknownKeyFileVersion(f"{WHAT} {path}: its version is not {VERSION}, the one this swapd reads")
    checksum = fields.pop("checksum", None)
    if checksum != _checksum(fields):
        raise DamagedKeyFile(f"{WHAT} {path}: damaged: its content does not match its checksum")
    return _typed(path, fields)


def _typed(path: Path, fields: dict[str, Any]) -> tuple[Header, bytes]:
    """Only a file made by hand fails here: the checksum has matched."""
    try:
        header = Header(**{name: fields[name] for name in Header.__dataclass_fields__})
        ciphertext = bytes.fromhex(fields["ciphertext"])
        lengths = len(bytes.fromhex(header.salt)), len(bytes.fromhex(header.nonce)), len(ciphertext)
    except (KeyError, TypeError, ValueError):
        raise DamagedKeyFile(f"{WHAT} {path}: a field is missing or malformed") from None
    numbers_are_whole = all(type(number) is int for number in (header.n, header.r, header.p))
    if lengths != (SALT_BYTES, NONCE_BYTES, SEED_BYTES + TAG_BYTES) or not numbers_are_whole:
        raise DamagedKeyFile(f"{WHAT} {path}: a field is malformed")
    if fields != {**header.fields(), "ciphertext": fields["ciphertext"]}:
        raise DamagedKeyFile(f"{WHAT} {path}: a field is unknown or has an unknown value")
    return header, ciphertext


def _refuse_unfit(header: Header, weakest_n: int, path: Path) -> None:
    """Before scrypt runs, since the parameters say how much memory it takes."""
    asked = f"{WHAT} {path}: scrypt with n={header.n}, r={header.r}, p={header.p}"
    is_power_of_two = header.n > 0 and header.n & (header.n - 1) == 0
    if (header.r, header.p) != (SCRYPT_R, SCRYPT_P) or not is_power_of_two or header.n > SCRYPT_N_LARGEST:
        raise UnfitScrypt(f"{asked}: expected r=8, p=1 and n a power of two up to {SCRYPT_N_LARGEST}")
    if header.n < weakest_n:
        raise UnfitScrypt(
            f"{asked}: too weak, at least n={weakest_n} is needed here; a file made for devnet does not open elsewhere"
        )


def _stretch(passphrase: Secret, header: Header) -> bytes:
    scrypt = Scrypt(salt=bytes.fromhex(header.salt), length=KEY_BYTES, n=header.n, r=header.r, p=header.p)
    try:
        return scrypt.derive(passphrase.reveal())
    except MemoryError:
        raise Unavailable(f"scrypt needs {128 * header.n * header.r} bytes of memory, which are not free") from None


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields)).hexdigest()


def _canonical(fields: dict[str, Any]) -> bytes:
    """One spelling for one content, whatever the order and white space of the file."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
