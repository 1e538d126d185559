"""Which packets a tower works with, whatever a sync does to the folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from swapd.protocol.effects import EffectKind
from swapd.watchtower import folder
from swapd.watchtower.shelf import Shelf
from tests.watchtower.samples import make_packet, prepared

PACKET = make_packet(made_at=10)


def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "source").mkdir(exist_ok=True)
    found = Shelf(tmp_path / "source", tmp_path / "own")
    found.load()
    return found


def test_what_was_read_once_survives_a_sync_that_deletes_it_and_a_restart(tmp_path: Path) -> None:
    first = shelf(tmp_path)
    folder.write(first.source, PACKET)
    assert first.packets() == [PACKET]

    folder.remove(first.source, PACKET.id)

    assert first.packets() == [PACKET]
    assert shelf(tmp_path).packets() == [PACKET]


def test_a_newer_packet_takes_the_place_of_an_older_one_and_never_the_reverse(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    newer = replace(PACKET, made_at=20)
    for each, kept in ((PACKET, PACKET), (newer, newer), (PACKET, newer)):
        folder.write(on.source, each)
        assert on.packets() == [kept]


def test_a_packet_of_the_same_second_that_says_more_is_taken(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    folder.write(on.source, PACKET)
    on.packets()
    more = make_packet(made_at=10, ahead=[prepared(EffectKind.REFUND, 1)])
    folder.write(on.source, more)
    assert on.packets() == [more]


def test_a_packet_that_went_bad_on_its_way_is_named_and_its_last_good_state_is_used(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    folder.write(on.source, PACKET)
    on.packets()
    path = folder.path_of(on.source, PACKET.id)
    path.write_text(path.read_text()[:100])

    assert on.packets() == [PACKET]
    assert list(on.bad) == [path.name]
    folder.write(on.source, PACKET)
    on.packets()
    assert not on.bad


def test_a_folder_that_is_not_mounted_is_trouble_and_forgets_nothing(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    folder.write(on.source, PACKET)
    on.packets()
    on.source.rename(tmp_path / "elsewhere")

    assert on.packets() == [PACKET]
    assert "can not be read" in on.trouble
    (tmp_path / "elsewhere").rename(on.source)
    on.packets()
    assert not on.trouble


def test_what_is_over_stays_away_until_a_newer_packet_says_that_it_is_not(tmp_path: Path) -> None:
    on = shelf(tmp_path)
    folder.write(on.source, PACKET)
    on.packets()
    on.put_away(PACKET)
    assert on.packets() == []
    assert not list(on.own.iterdir())

    again = replace(PACKET, made_at=11)
    folder.write(on.source, again)
    assert on.packets() == [again]
