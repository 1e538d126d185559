"""Taking part in a swap that another swapd made: its offer is a stranger's word, checked to the last field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
from tests.cli.conftest import refresh
from tests.cli.desk import HOT_TO_PERSON, PERSON_ETH, Desk

Offer = dict[str, Any]


class Meeting:
    """Somebody made an offer to the counterparty, with keys that the counterparty reserved."""

    def __init__(self, house: Desk, other: Desk) -> None:
        self.other = other
        self.file = other.folder / "offer.json"
        keys = other.ask("swap", "keys", "--receive-on", "bitcoin", "--send-on", "ethereum")
        self.index: int = keys["index"]
        self.swap = house.create(
            HOT_TO_PERSON,
            "--participant-claims-itself",
            participant_refund_to=keys["refund_to"],
            participant_receive_at=keys["receive_at"],
            offer=str(self.file),
        )

    @property
    def offer(self) -> Offer:
        offer: Offer = json.loads(self.file.read_text())
        return offer

    def refused(self, text: str, index: int | None = None) -> str:
        changed = self.other.folder / "changed.json"
        changed.write_text(text)
        return self.other.refused(
            "swap", "accept", str(changed), "--index", str(self.index if index is None else index)
        )


@pytest.fixture(scope="module")
def meeting(_standing: Desk, counterparty: Desk, bitcoind: Bitcoind, ethereum: Anvil) -> Meeting:
    refresh(bitcoind, ethereum)
    return Meeting(_standing, counterparty)


def put(*path: str, value: object) -> Callable[[Offer], None]:
    """A change to one field."""

    def change(offer: Offer) -> None:
        place: Any = offer
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return change


def later(*path: str, seconds: int) -> Callable[[Offer], None]:
    def change(offer: Offer) -> None:
        place: Any = offer
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] += seconds

    return change


def both(*changes: Callable[[Offer], None]) -> Callable[[Offer], None]:
    def change(offer: Offer) -> None:
        for each in changes:
            each(offer)

    return change


def without_a_field(offer: Offer) -> None:
    del offer["initiator"]["terms"]["timelock"]


def with_legs_exchanged(offer: Offer) -> None:
    offer["initiator"], offer["participant"] = offer["participant"], offer["initiator"]


I, P, T = "initiator", "participant", "terms"  # noqa: E741 - as short as the table below needs
KEY = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"

LIES = {
    "another id": (put("swap_id", value="0" * 16), "swap_id: got"),
    "no number as an amount": (put(I, T, "amount", value="a lot"), "offer initiator.terms.amount: got 'a lot'"),
    "a fraction as an amount": (put(I, T, "amount", value="1.5"), "offer initiator.terms.amount: got '1.5'"),
    "a bare number as an amount": (put(I, T, "amount", value=5), "offer initiator.terms.amount: got 5"),
    "a float": (put(I, T, "timelock", value=1.5), "offer json: got"),
    "nothing as an amount": (put(I, T, "amount", value="0"), "amount: got 0"),
    "too large an amount": (put(I, T, "amount", value="99999999999"), "initiator.amount: got 99999999999"),
    "malformed hex": (put(I, T, "hashlock", value="zz" * 32), "offer initiator.terms.hashlock: got 'zz"),
    "a hashlock too short": (both(put(I, T, "hashlock", value="ab"), put(P, T, "hashlock", value="ab")), "hashlock"),
    "two hashlocks": (put(I, T, "hashlock", value="ab" * 32), "hashlock: got"),
    "a timelock in the wrong order": (later(P, T, "timelock", seconds=1_000_000), "timelock: got"),
    "too short a timelock": (later(I, T, "timelock", seconds=-60), "timelock"),
    "too short a way to the reveal": (later(P, T, "timelock", seconds=-30), "timelock"),
    "a reveal after the timelock": (later("reveal_by", seconds=1_000_000), "reveal_by: got"),
    "a timelock beyond 32 bits": (put(I, T, "timelock", value=2**32), "timelock: got 4294967296"),
    "another receiver of what we get": (put(I, T, "receiver", value=KEY), f"initiator.receiver: got '{KEY}'"),
    "another sender of what we give": (put(P, T, "sender", value=PERSON_ETH), "participant.sender: got"),
    "nobody to pay": (put(P, T, "receiver", value="0x" + 40 * "0"), "participant.receiver: got '0x0000"),
    "a sender off the curve": (put(I, T, "sender", value="02" + 64 * "f"), "initiator.sender: got '02ff"),
    "an asset that nobody knows": (put(P, T, "asset", "symbol", value="DOGE"), "participant.asset: got 'DOGE'"),
    "a token of the same symbol": (put(P, T, "asset", "token", value=PERSON_ETH), "participant.asset: got"),
    "other decimals": (put(P, T, "asset", "decimals", value=8), "participant.asset: got"),
    "the same chain twice": (put(P, T, "asset", "chain", value="bitcoin"), "chain: got 'bitcoin'"),
    "a field too many": (put("tip", value="1"), "offer tip: got '1', expected no such field"),
    "a field too few": (without_a_field, "offer initiator.terms.timelock: got None"),
    "legs exchanged": (with_legs_exchanged, "timelock: got"),
    "a word that means nothing": (put("secret", value="nobody"), "offer secret: got 'nobody'"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_offer_is_refused_for(meeting: Meeting, lie: str) -> None:
    change, says = LIES[lie]
    offer = meeting.offer
    change(offer)
    assert says in meeting.refused(json.dumps(offer))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 50_000, '"offer"', "\x00"])
def test_what_is_no_offer_is_refused(meeting: Meeting, text: str) -> None:
    assert meeting.refused(text).startswith("offer ")


def test_a_file_that_is_no_text_is_refused(meeting: Meeting, tmp_path: Path) -> None:
    file = tmp_path / "offer"
    file.write_bytes(b"\xff\xfe\x00")
    line = meeting.other.refused("swap", "accept", str(file), "--index", "0")
    assert line == f"offer: got '{file}', expected a text file that can be read"


@pytest.mark.parametrize("index", [-1, 2**31, 10**30])
def test_an_index_out_of_bounds_is_refused(meeting: Meeting, index: int) -> None:
    assert "index" in meeting.refused(meeting.file.read_text(), index)


def test_keys_of_another_index_are_not_ours(meeting: Meeting) -> None:
    assert meeting.refused(meeting.file.read_text(), meeting.index + 1).startswith("initiator.receiver: got")


def test_an_offer_says_nothing_secret_and_is_accepted_once(meeting: Meeting, standing: Desk) -> None:
    standing.said.append(meeting.file.read_text())  # what `assert_kept_its_secrets` looks through
    text = meeting.file.read_text()
    accepted = meeting.other.ask("swap", "accept", str(meeting.file), "--index", str(meeting.index))
    assert accepted["id"] == meeting.swap["id"]
    assert accepted["secret_holder"] == "remote"
    assert accepted["legs"]["participant"]["funded_by"] == "hot"
    assert accepted["legs"]["initiator"]["contract"] == meeting.swap["legs"]["initiator"]["contract"]
    assert accepted["legs"]["participant"]["contract"] == meeting.swap["legs"]["participant"]["contract"]
    assert meeting.refused(text) == f"hashlock: got '{accepted['hashlock']}', expected one that was never used before"


def test_an_offer_comes_by_standard_input_too(standing: Desk, counterparty: Desk) -> None:
    meeting = Meeting(standing, counterparty)
    words = ("swap", "accept", "-", "--index", str(meeting.index), "--json")
    result = counterparty.run(*words, stdin=meeting.file.read_text())
    assert json.loads(result.stdout)["id"] == meeting.swap["id"]
