"""Rule S9, against whoever tries to get a secret past the redactor: in any encoding, in any nesting, in parts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from bitcoin.base58 import encode as base58
from eth_account.hdaccount.mnemonic import Mnemonic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swapd.errors import Invalid, Rejected
from swapd.telemetry.redact import MOST_CHARACTERS, REDACTED, Redactor
from swapd.vault import Network, Secret, Vault
from swapd.vault.known import KNOWN, KnownSecrets

FORMS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "hex, upper case": lambda secret: secret.hex().upper(),
    "0x": lambda secret: "0x" + secret.hex(),
    "hex after an odd digit": lambda secret: "f" + secret.hex(),
    "hex with colons": lambda secret: secret.hex(":"),
    "hex in groups of four": lambda secret: secret.hex(" ", 2),
    "hex in words": lambda secret: ", ".join(f"0x{byte:02x}" for byte in secret),
    "hex, wrapped": lambda secret: secret.hex()[:30] + "\n    " + secret.hex()[30:],
    "hex, backwards": lambda secret: secret[::-1].hex(),
    "base 64": lambda secret: base64.b64encode(secret).decode(),
    "base 64 for URLs": lambda secret: base64.urlsafe_b64encode(secret).decode().rstrip("="),
    "base 64 behind a byte": lambda secret: base64.b64encode(b"\x80" + secret).decode(),
    "base 64 behind two": lambda secret: base64.b64encode(b"\x80\x01" + secret + b"x").decode(),
    "base 64 after a word": lambda secret: "key" + base64.b64encode(secret).decode(),
    "base 64, quoted": lambda secret: base64.b64encode(secret).decode().replace("/", "%2F").replace("+", "%2B"),
    "base 64, its slashes escaped": lambda secret: base64.b64encode(secret).decode().replace("/", "\\/"),
    "base 58": base58,
    "base 58 after a word": lambda secret: "key" + base58(secret) + "end",
    "base 58 with a version and a checksum": lambda secret: base58(b"\x80" + secret + b"\x01" + bytes(4)),
    "base 32": lambda secret: base64.b32encode(secret).decode(),
    "base 32, lower case": lambda secret: base64.b32encode(secret).decode().lower().rstrip("="),
    "repr": repr,
    "repr of a bytearray": lambda secret: repr(bytearray(secret)),
    "repr of a repr": lambda secret: repr(repr(secret)),
    "list": lambda secret: str(list(secret)),
    "list without spaces": lambda secret: ",".join(map(str, secret)),
    "list of signed bytes": lambda secret: str([byte - 256 if byte > 127 else byte for byte in secret]),
    "JSON of the list": lambda secret: json.dumps({"a": list(secret)}, indent=2),
    "JSON of the repr": lambda secret: json.dumps({"a": repr(secret)}),
    "JSON in JSON of the repr": lambda secret: json.dumps(json.dumps([repr(secret)])),
    "JSON of the bytes as text": lambda secret: json.dumps(secret.decode("latin-1")),
    "text of the bytes": lambda secret: secret.decode("latin-1"),
    "octal": lambda secret: "".join(f"\\{byte:03o}" for byte in secret),
    "percent": lambda secret: "".join(f"%{byte:02X}" for byte in secret),
    "a number": lambda secret: str(int.from_bytes(secret, "big")),
    "a number, little end first": lambda secret: str(int.from_bytes(secret, "little")),
    "half of the hex": lambda secret: secret.hex()[:32],
    "the other half of it": lambda secret: secret.hex()[31:],
    "half of the base 64": lambda secret: base64.b64encode(secret).decode()[10:34],
}

secrets_ = st.binary(min_size=32, max_size=32).filter(lambda secret: len(set(secret)) > 20)
around = st.text(st.characters(codec="utf-8"), max_size=20)


def redactor(*secrets: bytes) -> Redactor:
    known = KnownSecrets()
    for secret in secrets:
        known.add(secret)
    return Redactor(known)


def shows(text: str, secret: bytes) -> bool:
    """Whether any of these forms, or a third of it, is still there."""
    parts = [form(secret) for form in FORMS.values()]
    return any(part[start : start + 24] in text for part in parts for start in range(0, max(1, len(part) - 23)))


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None)
@given(secret=secrets_, before=around, after=around)
def test_s9_a_known_secret_is_found_in_every_form(form: str, secret: bytes, before: str, after: str) -> None:
    written = FORMS[form](secret)
    shown = redactor(secret).text(f"{before} {written} {after}")
    assert REDACTED in shown
    assert not shows(shown, secret)


@pytest.mark.parametrize("form", FORMS)
def test_this_test_knows_a_secret_when_it_sees_one(form: str) -> None:
    secret = hashlib.sha256(form.encode()).digest()
    assert shows(f"a {FORMS[form](secret)} b", secret)


leaves = st.sampled_from(["bytes", "list", "tuple", "number", "error", "bytearray", *FORMS])


def leaf(kind: str, secret: bytes) -> Any:
    own: dict[str, Any] = {
        "bytes": secret,
        "bytearray": bytearray(secret),
        "list": list(secret),
        "tuple": tuple(secret),
        "number": int.from_bytes(secret, "big"),
        "error": ValueError("could not parse", secret, secret.hex()),
    }
    return own[kind] if kind in own else FORMS[kind](secret)


nestings = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.tuples(inner, st.integers()),
        st.dictionaries(st.text(max_size=5), inner, min_size=1, max_size=2),
    ),
    max_leaves=5,
)


def built(nesting: Any, secret: bytes) -> Any:
    if isinstance(nesting, str):
        return leaf(nesting, secret)
    if isinstance(nesting, dict):
        return {key: built(each, secret) for key, each in nesting.items()}
    if isinstance(nesting, list):
        return [built(each, secret) for each in nesting]
    return tuple(built(each, secret) for each in nesting) if isinstance(nesting, tuple) else nesting


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nesting=nestings, secret=secrets_)
def test_s9_a_known_secret_is_found_in_every_nesting(nesting: Any, secret: bytes) -> None:
    shown = json.dumps(redactor(secret).value({"event": built(nesting, secret)}))
    assert REDACTED in shown
    assert not shows(shown, secret)


class Chatty:
    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"<Chatty {self.secret.hex()}>"


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_s9_objects_keys_and_errors_with_causes_are_looked_into() -> None:
    secret = hashlib.sha256(b"objects").digest()
    ours = redactor(secret)
    things: list[Any] = [
        Chatty(secret),
        {secret: 1},
        {secret.hex(): 1},
        {Chatty(secret): 1},
        Invalid("preimage", secret, "another"),
        Rejected(secret.hex()),
        frozenset({secret}),
        memoryview(secret),
        [f"{byte:02x}" for byte in secret],
    ]
    for thing in things:
        assert not shows(json.dumps(ours.value(thing)), secret)
    assert "RuntimeError" in ours.value(Mute())


class Hostile(dict[str, str]):
    def items(self) -> Any:
        raise RuntimeError("no")


def test_what_the_redactor_itself_fails_over_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redactor().value({"a": Hostile()}) == REDACTED

    def fail(text: str) -> str:
        raise ValueError(text)

    monkeypatch.setattr("swapd.telemetry.redact._without_looks", fail)
    assert redactor().text("anything") == REDACTED
    assert redactor().finds("anything")


def deep(levels: int, inside: Any) -> Any:
    for _ in range(levels):
        inside = [inside]
    return inside


def test_s9_what_is_too_deep_long_or_many_is_not_shown_at_all() -> None:
    secret = hashlib.sha256(b"deep").digest()
    ours = redactor(secret)
    assert not shows(json.dumps(ours.value(deep(50, secret))), secret)
    assert not shows(json.dumps(ours.value([*range(1_000), secret])), secret)
    text = ours.text("a" * MOST_CHARACTERS + secret.hex())
    assert not shows(text, secret)
    assert text.endswith("(64 characters more)")


PUBLIC = [
    "effect.sent",
    "0123456789abcdef",
    hashlib.sha256(b"a transaction").hexdigest(),
    "0x" + hashlib.sha256(b"another").hexdigest().upper(),
    "bitcoin node, getblock: no answer within 10 s",
    "http://127.0.0.1:8332/",
    "sqlite:////home/ann/.swapd/swapd.db",
    "chains.bitcoin.rpc_url: got 'http://…', expected https",
    "2026-11-23T11:26:34Z",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "ryjl3-tyaaa-aaaaa-aaaba-cai",
    "the password was wrong; look at the passphrase file",
    "wrong user or password (HTTP 401)",
    "it has thrown away a block that is needed: have it keep more",
    "needed: free disk space for /home/ann/.swapd/swapd.db: 17 bytes are left",
    "not enough ETH: this needs 1000000000000000000 with fees, the wallet has 115792089237316195423570985008687907853",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_stays_as_it_is(text: str) -> None:
    ours = redactor(hashlib.sha256(b"a secret").digest(), b"correct horse battery staple")
    assert ours.text(text) == text
    assert not ours.finds(text)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200))
def test_redacting_again_changes_nothing(text: str) -> None:
    ours = redactor(hashlib.sha256(b"a secret").digest())
    once = ours.text(text)
    assert ours.text(once) == once


WORDS = Mnemonic().to_mnemonic(hashlib.sha256(b"words").digest())

LOOKS = [
    ("postgresql://swapd:p4ss@db.example/swapd", "p4ss"),
    ("http://user:p/4@ss@node:8332/", "p/4@ss"),
    ("http://onlyauser@node:8332/", "onlyauser"),
    ("https://eth.example/v3/9aa3d95b3bc440fa88ea12eaa4456161", "9aa3d95b"),
    ("wss://eth.example/ws?apikey=abcdef&x=1", "abcdef"),
    ("GET https://node.example/?token=tok-123", "tok-123"),
    ("{'Authorization': 'Bearer abc.def-123'}", "abc.def-123"),
    ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("Authorization: hunter2hunter2", "hunter2"),
    ("swk_live_3hT7kQ9", "3hT7"),
    ("X-API-Key: swk_3hT7kQ9zz", "3hT7"),
    ('{"password": "hunter2"}', "hunter2"),
    ("passphrase='open sesame'", "open"),
    (f"words: {WORDS}", WORDS.split()[3]),
    (WORDS.upper(), WORDS.split()[20].upper()),
    (json.dumps(WORDS.split()), WORDS.split()[11]),
    ("\n".join(f"{n}. {word}" for n, word in enumerate(WORDS.split(), 1)), WORDS.split()[5]),
    (" ".join(WORDS.split()[:6]), WORDS.split()[2]),
    ("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----", "MHcC"),
    ("-----BEGIN PRIVATE KEY-----\nMHcCAQEE (cut", "MHcC"),
    ("KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn", "Kw"),
    ("xprv" + "9" * 107, "xprv9"),
]


@pytest.mark.parametrize(("text", "secret"), LOOKS)
def test_s9_what_looks_like_a_secret_is_one(text: str, secret: str) -> None:
    shown = redactor().text(text)
    assert secret not in shown
    assert REDACTED in shown
    assert redactor().text(shown) == shown


@pytest.mark.parametrize(
    "name", ["password", "rpc_password", "passphrase", "preimage", "Authorization", "api_key", "seed"]
)
def test_s9_a_field_by_such_a_name_is_never_shown(name: str) -> None:
    assert redactor().value({"a": {name: "x"}}) == {"a": {name: REDACTED}}


def test_a_passphrase_is_found_whole_and_its_words_alone_are_language() -> None:
    ours = redactor(b"correct horse battery staple")
    assert ours.text("that is correct horse riding") == "that is correct horse riding"
    assert "staple" not in ours.text("it was 'correct horse battery staple', no?")
    assert "Y29y" not in ours.text(base64.b64encode(b"correct horse battery staple").decode())


def test_s9_all_that_the_vault_makes_is_known_as_soon_as_it_is_made() -> None:
    seed = hashlib.sha256(b"a seed of this test alone").digest()
    ours = Redactor()
    with Vault(Secret(seed), Network.DEVNET) as vault:
        preimage = vault.preimage(7)
        for secret in (seed, preimage, vault._tree_seed.reveal(), vault._store_key.reveal()):
            assert REDACTED in ours.text(secret.hex())
        assert ours.text(vault.hashlock(7).hex()) == vault.hashlock(7).hex()
        key = vault._ethereum_key().reveal()
    assert REDACTED in ours.text(key.hex())
    assert KNOWN.within(seed), "and is still known when the vault is closed"


def test_s9_the_oldest_preimages_are_forgotten_and_the_keys_never() -> None:
    known = KnownSecrets(most_passing=2)
    key, *preimages = (hashlib.sha256(bytes([number])).digest() for number in range(4))
    known.add(key)
    for preimage in preimages:
        known.add(preimage, passing=True)
    assert [known.within(each) for each in (key, *preimages)] == [True, False, True, True]


def test_s9_what_is_known_can_not_be_read_back() -> None:
    known, secret = KnownSecrets(), hashlib.sha256(b"kept").digest()
    known.add(secret)
    known.add(b"a passphrase of words")
    kept = repr(vars(known))
    assert not shows(kept, secret)
    assert "passphrase of" not in kept
