"""Looking for secrets (S9) in whatever was written or told, in every form in which one could have got there."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from bitcoin.base58 import encode as base58

from swapd.vault import KeyPurpose, Vault, words
from tests.scenarios.rig import Rig
from tests.scenarios.side import Side

KEPT = ("seed.json", "passphrase")
"""Files that are there to hold secrets: sealed, and readable for their owner alone."""


def forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and bytes. Hex is in lower case: it is looked for in content of lower case too. Of base 64 the middle,
    which is the same whatever stands before and behind."""
    for order, each in (("", secret), ("backwards, ", secret[::-1])):
        yield f"{order}raw", each
        yield f"{order}hex", each.hex().encode()
        yield f"{order}base 58", base58(each).encode()
        for kind, version, end in (("WIF", b"\x80", b"\x01"), ("WIF of a test network", b"\xef", b"\x01")):
            body = version + each + end
            yield f"{order}{kind}", base58(body + sha256(sha256(body).digest()).digest()[:4]).encode()
        for before in range(3):
            whole = base64.b64encode(bytes(before) + each + bytes(3))
            middle = whole[-(-8 * before // 6) : 8 * (before + len(each)) // 6]
            yield f"{order}base 64 behind {before}", middle
            yield f"{order}base 64 for URLs behind {before}", middle.replace(b"+", b"-").replace(b"/", b"_")
        yield f"{order}decimal", str(int.from_bytes(each, "big")).encode()
        yield f"{order}repr", repr(each)[2:-1].encode()
        yield f"{order}repr in JSON", json.dumps(repr(each)[2:-1])[1:-1].encode()
        yield f"{order}text in JSON", json.dumps(each.decode("latin-1"))[1:-1].encode()
        yield f"{order}list", str(list(each))[1:-1].encode()
        yield f"{order}list without spaces", ",".join(map(str, each)).encode()


@dataclass
class Hunt:
    """By name. never: whatever happens. unrevealed: preimages that nobody may see yet."""

    never: dict[str, bytes] = field(default_factory=dict)
    unrevealed: dict[str, bytes] = field(default_factory=dict)

    def within(self, content: bytes, secrets: Mapping[str, bytes] | None = None) -> list[str]:
        """What of it is in the content, and in which form. secrets: to look for instead of all."""
        looked_for = self.never | self.unrevealed if secrets is None else secrets
        lower = content.lower()
        return [
            f"{name}: {form}"
            for name, secret in looked_for.items()
            for form, needle in forms(secret)
            if needle in content or (form.endswith("hex") and needle in lower)
        ]

    def everywhere(self, places: Mapping[str, bytes]) -> list[str]:
        """In which place what was found: nothing, if all is well. A place that is empty was not looked at."""
        assert all(places.values()), [name for name, content in places.items() if not content]
        return [f"{place}: {each}" for place, content in places.items() for each in self.within(content)]


def of_a_house(side: Side) -> dict[str, bytes]:
    """Its seed, keys and passphrase."""
    vault = side.house.secrets
    assert isinstance(vault, Vault)
    held = {
        "seed": vault._seed,
        "tree seed": vault._tree_seed,
        "store key": vault._store_key,
        "Ethereum key": vault._ethereum_key(),
        "ICP key": vault._icp_key(),
    }
    found = {name: secret.reveal() for name, secret in held.items()}
    found["words"] = words.words_from_seed(vault._seed).encode()
    found["passphrase"] = (side.folder / "passphrase").read_bytes()
    return {f"{side.name}: {name}": secret for name, secret in found.items()}


def of_a_swap(side: Side, index: int) -> dict[str, bytes]:
    """Its keys on Bitcoin."""
    vault = side.house.secrets
    assert isinstance(vault, Vault)
    keys = {purpose.name: vault._bitcoin_key(index, purpose) for purpose in (KeyPurpose.CLAIM, KeyPurpose.REFUND)}
    return {f"{side.name}: {name} key of {index}": key.reveal() for name, key in keys.items()}


def stored(rig: Rig) -> bytes:
    """All files of both sides, the databases' journals with them."""
    files = (path for side in rig.sides for path in sorted(side.folder.rglob("*")) if path.is_file())
    return b"".join(path.read_bytes() for path in files if path.name not in KEPT)


def as_told(error: BaseException) -> bytes:
    """All that Python could say about an error, with the local variables of the calls it came through, but for those of
    the test that called."""
    calls = error.__traceback__.tb_next if error.__traceback__ else None
    whole = traceback.TracebackException(type(error), error, calls, capture_locals=True)
    return "".join((*whole.format(chain=True), repr(error), str(error), repr(error.args))).encode()
