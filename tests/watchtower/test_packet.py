"""What a packet says, and what is taken for one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from swapd.errors import Invalid, Unavailable
from swapd.protocol.decide import Memory
from swapd.protocol.effects import EffectKind
from swapd.protocol.terms import Role
from swapd.watchtower import folder
from swapd.watchtower.packet import Known, from_text, to_text
from tests.watchtower.samples import PREIMAGE, make_packet, prepared


def test_a_packet_is_read_as_it_was_written() -> None:
    known = Known(PREIMAGE, True, (Role.INITIATOR,), (Role.PARTICIPANT,), True, False)
    packet = make_packet(known=known, ahead=[prepared(EffectKind.REFUND, 1), prepared(EffectKind.CLAIM, 2)])
    assert from_text(to_text(packet)) == packet


def test_it_tells_decide_that_anything_may_have_happened_since() -> None:
    packet = make_packet(known=Known.of(Memory(locked_once=frozenset({Role.INITIATOR}), cancelled=True)))
    memory = packet.memory
    assert memory.restored
    assert memory.lock_sent == {Role.PARTICIPANT}, "what swapd funds may have been funded"
    assert memory.locked_once == {Role.INITIATOR}
    assert memory.cancelled


def test_two_packets_of_different_moments_say_the_same() -> None:
    assert make_packet(made_at=1).says_as_much_as(make_packet(made_at=2))
    assert not make_packet().says_as_much_as(make_packet(ahead=[prepared(EffectKind.REFUND, 1)]))


def test_no_preimage_is_in_what_a_packet_shows_of_itself() -> None:
    assert repr(PREIMAGE) not in repr(make_packet(known=Known(PREIMAGE)))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": 2}, "version"),
        ({"version": None}, "version"),
        ({"made_at": "now"}, "made_at"),
        ({"unheard": 1}, "unheard"),
        ({"terms": {}}, "terms"),
        ({"known": 5}, "known"),
    ],
)
def test_what_can_not_be_a_packet_is_refused_by_the_name_of_its_field(change: dict[str, object], field: str) -> None:
    data = json.loads(to_text(make_packet())) | change
    with pytest.raises(Invalid) as caught:
        from_text(json.dumps(data))
    assert field in caught.value.field


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "{" * 3_000, '{"version": 1}'])
def test_whatever_is_in_a_file_it_is_invalid_and_nothing_worse(text: str) -> None:
    with pytest.raises(Invalid):
        from_text(text)


def test_a_packet_that_claims_to_be_another_swap_is_refused() -> None:
    packet = make_packet()
    with pytest.raises(Invalid, match="swap_id"):
        replace(packet, terms=replace(packet.terms, swap_id="0" * 16))


# -- files


def test_a_packet_is_for_its_owner_alone_and_replaced_whole(tmp_path: Path) -> None:
    place = tmp_path / "new" / "packets"
    packet = make_packet()
    folder.write(place, packet)
    folder.write(place, replace(packet, made_at=2))
    path = folder.path_of(place, packet.id)
    assert (path.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o600, 0o700)
    assert folder.read(path).made_at == 2
    assert [each.name for each in place.iterdir()] == [path.name], "nothing half written is left"


def test_one_bad_file_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    packet = make_packet()
    folder.write(tmp_path, packet)
    (tmp_path / "garbage.json").write_bytes(b"\xff\x00")
    (tmp_path / "huge.json").write_bytes(b" " * (folder.LARGEST + 1))
    (tmp_path / "copy.json").write_text(to_text(packet))
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "nowhere.json").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / ".half.json").write_text("{")
    (tmp_path / "notes.txt").write_text("mine")

    found = folder.read_all(tmp_path)

    assert found.packets == (packet,)
    assert found.bad.keys() == {*("garbage.json", "huge.json", "copy.json", "folder.json", "nowhere.json", "pipe.json")}
    assert packet.id in found.bad["copy.json"]


def test_no_folder_is_not_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        folder.read_all(tmp_path / "nothing")
