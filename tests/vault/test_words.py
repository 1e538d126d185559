import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import Invalid
from swapd.vault import Secret
from swapd.vault.words import WrongChecksum, seed_from_words, tree_seed, words_from_seed

PUBLISHED = [  # the reference vectors of BIP-39 with 24 words: entropy, words
    ("00" * 32, "abandon " * 23 + "art"),
    (
        "7f" * 32,
        "legal winner thank year wave sausage worth useful " * 2 + "legal winner thank year wave sausage worth title",
    ),
    (
        "80" * 32,
        "letter advice cage absurd amount doctor acoustic avoid " * 2
        + "letter advice cage absurd amount doctor acoustic bless",
    ),
    ("ff" * 32, "zoo " * 23 + "vote"),
    (
        "00ac97c48106f0aeb8ba061e0250a559b3251dc35854e694780ba51d53a50120",
        "absent gorilla van acoustic humor firm title dolphin bulk barely citizen recall crane moment aspect appear "
        "track phrase actual enforce steel spoon afraid benefit",
    ),
    (
        "3edc83b60740d77af3afa2fcb82c2f1bc541ee4e2518ddef4996d32453f54a3c",
        "disagree tomato unique attend aspect runway solid violin witness scrap armed daring favorite warm decade "
        "perfect target kid grant play early wide cigar night",
    ),
]


@pytest.mark.parametrize(("entropy", "words"), PUBLISHED)
def test_seed_and_words_agree_with_the_vectors_of_bip39_both_ways(entropy: str, words: str) -> None:
    assert words_from_seed(Secret(bytes.fromhex(entropy))) == words
    assert seed_from_words(words).reveal().hex() == entropy


def test_the_tree_starts_from_the_words_without_an_extra_passphrase() -> None:
    assert tree_seed(Secret(bytes(32))).reveal().hex() == (  # as any wallet makes it of "abandon ... art"
        "408b285c123836004f4b8842c89324c1f01382450c0d439af345ba7fc49acf70"
        "5489c6fc77dbd4e3dc1dd8cc6bc9f043db8ada1e243c4a0eafb290d399480840"
    )


@given(st.binary(min_size=32, max_size=32))
def test_s14_paper_gives_back_every_seed(seed: bytes) -> None:
    assert seed_from_words(words_from_seed(Secret(seed))).reveal() == seed


def test_case_and_white_space_do_not_matter() -> None:
    assert seed_from_words("\n Abandon\t" + "ABANDON  " * 22 + "art\n").reveal() == bytes(32)


def test_two_exchanged_words_fail_the_checksum() -> None:
    words = PUBLISHED[4][1].split()
    words[2], words[3] = words[3], words[2]
    with pytest.raises(WrongChecksum, match="checksum does not match"):
        seed_from_words(" ".join(words))


def test_s9_an_unknown_word_is_named_by_its_position_and_not_shown() -> None:
    words = PUBLISHED[5][1].split()
    words[6] = "sollid"
    with pytest.raises(Invalid, match="no BIP-39 word at position 7") as caught:
        seed_from_words(" ".join(words))
    assert "sollid" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("count", [0, 12, 23, 25])
def test_another_number_of_words_is_refused(count: int) -> None:
    with pytest.raises(Invalid, match=f"got '{count} words', expected 24 words"):
        seed_from_words("abandon " * count)
