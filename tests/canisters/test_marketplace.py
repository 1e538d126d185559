"""A marketplace on chain gets a swap made by inter-canister calls alone: no web server is asked or believed."""

from __future__ import annotations

from typing import Any

import pytest

from swapd.chains.icp import candid
from swapd.chains.icp.candid.types import Blob, Opt, Principal, Record, Text, Variant
from swapd.devnet.canisters import built
from swapd.devnet.replica import RejectError
from tests.canister.rig import ALICE, ARBITER, CONTROLLER, COORDINATOR, Rig
from tests.canister.words import UPDATES, Error, Request

OWNER = b"\x09owner\x01"
ID = b"order 1"
WANTED = {
    "give": "BTC",
    "give_amount": 100_000,
    "get": "ICP",
    "get_amount": 500_000_000,
    "initiator": {"External": {"refund_to": "bcrt1q…", "receive_at": "aaaaa-aa", "claims_itself": False}},
    "participant": {"Hot": None},
}
REFUSED = {"Refused": {"field": "give_amount", "reason": "too little"}}

Sold = Variant({"Ok": Request, "Err": Error, "Unreachable": Text})
Answered = Variant({"Ok": Opt(Request), "Unreachable": Text})


class Market:
    """The marketplace canister beside a swap canister."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.id = rig.replica.create_canister(OWNER)
        init = candid.encode(Record({"owner": Principal, "swaps": Principal}), {"owner": OWNER, "swaps": rig.id})
        rig.replica.install(self.id, built("marketplace").wasm, init, OWNER)

    def sell(self, request: dict[str, Any] = WANTED, request_id: bytes = ID, sender: bytes = OWNER) -> Any:
        arg = candid.encode(UPDATES["requestSwap"][0], {"request_id": request_id, "request": request})
        return candid.decode(Sold, self.rig.replica.update(self.id, "sell", arg, sender))

    def answer(self, request_id: bytes = ID) -> Any:
        arg = candid.encode(Blob, request_id)
        return candid.decode(Answered, self.rig.replica.update(self.id, "answer", arg, ALICE))

    def heard(self, request_id: bytes = ID) -> Any:
        return candid.decode(
            Opt(Request), self.rig.replica.query(self.id, "heard", candid.encode(Blob, request_id), ALICE)
        )


@pytest.fixture
def market() -> Market:
    rig = Rig()
    market = Market(rig)
    listed = {**rig.config, "marketplaces": [market.id]}
    assert rig.call("configure", listed, CONTROLLER) == {"Ok": None}
    return market


def test_a_marketplace_asks_and_hears_the_answer(market: Market) -> None:
    sold = market.sell()["Ok"]
    assert (sold["marketplace"], sold["request_id"], sold["request"]) == (market.id, ID, WANTED)
    assert sold["answer"] is None
    assert market.answer() == {"Ok": sold}
    answer = {"marketplace": market.id, "request_id": ID, "answer": REFUSED}
    assert "Ok" in market.rig.call("acknowledgeSwap", answer, COORDINATOR)
    assert market.heard()["answer"] is None
    assert market.answer()["Ok"]["answer"] == REFUSED
    assert market.heard()["answer"] == REFUSED


def test_the_same_request_again_is_the_same_swap(market: Market) -> None:
    first = market.sell()
    market.rig.advance(60)
    assert market.sell() == first
    assert [kind for kind, _ in market.rig.log()].count("swap_requested") == 1


def test_another_request_under_the_same_id_is_refused_in_the_swap_canisters_words(market: Market) -> None:
    market.sell()
    error = market.sell({**WANTED, "give_amount": 1})["Err"]
    assert error["kind"] == {"RequestError": {"NonceReused": None}}
    assert market.heard()["request"] == WANTED


def test_errors_are_passed_on_with_their_type(market: Market) -> None:
    market.rig.call("setHalted", {"ledger": None, "halted": True}, ARBITER)
    error = market.sell()["Err"]
    assert error["kind"] == {"TemporaryError": {"Halted": None}}
    market.rig.call("configure", {**market.rig.config, "marketplaces": []}, CONTROLLER)
    assert market.sell()["Err"]["kind"] == {"RequestError": {"NotAuthorized": None}}
    assert market.heard() is None


def test_a_stopped_swap_canister_is_unreachable_and_nothing_is_believed(market: Market) -> None:
    market.rig.replica.stop(market.rig.id)
    assert "stopped" in market.sell()["Unreachable"]
    assert "stopped" in market.answer()["Unreachable"]
    market.rig.replica.start(market.rig.id)
    assert market.answer() == {"Ok": None}
    assert "Ok" in market.sell()


def test_only_its_owner_sells(market: Market) -> None:
    with pytest.raises(RejectError, match="owner"):
        market.sell(sender=ALICE)
    assert market.heard() is None
