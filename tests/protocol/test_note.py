"""The recovery note: what stands in it, and that nobody else can write one that counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.protocol.note import LONG, SHORT, UNSEEN_BYTES, Agreed, Note, Unseen, nearest, tag_of
from swapd.protocol.terms import Role

unseens = st.none() | st.builds(Unseen, st.integers(1, 7), st.binary(min_size=UNSEEN_BYTES, max_size=UNSEEN_BYTES))
notes = st.builds(Note, st.integers(0, 2**24 - 1), st.integers(0, 2**21 - 1), unseens)

SECRET = bytes(range(32))
LEGS = (Agreed(Role.INITIATOR, "0xabc", 5), Agreed(Role.PARTICIPANT, "bcrt1q", 7))
HIDDEN = Unseen(3, bytes(UNSEEN_BYTES))


@given(notes)
def test_s14_a_note_is_read_as_it_was_written(note: Note) -> None:
    raw = note.encode()
    assert Note.decode(raw) == note
    assert len(raw) == (LONG if note.unseen else SHORT)


def test_a_note_fits_into_the_42_bytes_of_script_that_every_node_relays() -> None:
    assert 2 + LONG == 42


@given(st.binary(max_size=64))
def test_bytes_of_others_are_a_note_or_nothing(raw: bytes) -> None:
    note = Note.decode(raw)
    assert note is None or note.encode() == raw


@given(st.integers(0, 2**31 - 1), st.integers(-(2**22), 2**22))
def test_an_index_is_known_by_its_low_bits_and_the_time(index: int, off: int) -> None:
    around = max(0, index + off)
    assert nearest(index % 2**24, around) == index


def test_s14_the_tag_is_what_it_was_in_the_first_release() -> None:
    assert tag_of(SECRET, LEGS, HIDDEN) == 1_622_037
    assert tag_of(SECRET, LEGS[::-1], HIDDEN) == tag_of(SECRET, LEGS, HIDDEN)


@pytest.mark.parametrize(
    ("secret", "legs", "unseen"),
    [
        (bytes(32), LEGS, HIDDEN),
        (SECRET, (LEGS[0], Agreed(Role.PARTICIPANT, "bcrt1q", 6)), HIDDEN),
        (SECRET, (LEGS[0], Agreed(Role.PARTICIPANT, "bcrt1p", 7)), HIDDEN),
        (SECRET, (Agreed(Role.PARTICIPANT, "0xabc", 5), Agreed(Role.INITIATOR, "bcrt1q", 7)), HIDDEN),
        (SECRET, LEGS, None),
        (SECRET, LEGS, Unseen(3, bytes(UNSEEN_BYTES - 1) + b"\1")),
    ],
    ids=["another_seed", "another_amount", "another_name", "roles_exchanged", "nothing_hidden", "another_payee"],
)
def test_s11_nothing_else_than_what_was_agreed_has_its_tag(
    secret: bytes, legs: tuple[Agreed, Agreed], unseen: Unseen | None
) -> None:
    assert tag_of(secret, legs, unseen) != tag_of(SECRET, LEGS, HIDDEN)
