"""The master seed as 24 English words for paper, and back (BIP-39)."""

from __future__ import annotations

import hashlib

from eth_account.hdaccount.mnemonic import Mnemonic

from swapd.errors import Invalid, Rejected
from swapd.vault.derivation import SEED_BYTES
from swapd.vault.secret import Secret

WORD_COUNT = 24
BITS_PER_WORD = 11
CHECKSUM_BITS = WORD_COUNT * BITS_PER_WORD - SEED_BYTES * 8


class WrongChecksum(Rejected):
    """Every word is a BIP-39 word, but together they are not what was written down."""


def words_from_seed(seed: Secret) -> str:
    """24 words with single spaces between them. They are the seed: show them once, to the operator, and to no log."""
    return Mnemonic().to_mnemonic(seed.reveal())


def seed_from_words(words: str) -> Secret:
    """The seed behind 24 words; case and white space do not matter.

    Errors name the position of a bad word and never a word, because a mistyped word gives most of it away. Raises
    Invalid, WrongChecksum.
    """
    numbers = _numbers(words.lower().split())
    bits = 0
    for number in numbers:
        bits = bits << BITS_PER_WORD | number
    seed = (bits >> CHECKSUM_BITS).to_bytes(SEED_BYTES, "big")
    if hashlib.sha256(seed).digest()[0] != bits & 0xFF:
        raise WrongChecksum(
            "seed words: their checksum does not match, so at least one word is wrong or two have changed places"
        )
    return Secret(seed)


def tree_seed(seed: Secret) -> Secret:
    """The 64 bytes from which BIP-32 wallets start when given the words of `seed` and no extra passphrase."""
    return Secret(Mnemonic.to_seed(words_from_seed(seed)))


def _numbers(words: list[str]) -> list[int]:
    if len(words) != WORD_COUNT:
        raise Invalid("seed words", f"{len(words)} words", f"{WORD_COUNT} words")
    number_of = {word: number for number, word in enumerate(Mnemonic().wordlist)}
    for position, word in enumerate(words, start=1):
        if word not in number_of:
            raise Invalid("seed words", f"no BIP-39 word at position {position}", "24 words of the English list")
    return [number_of[word] for word in words]
