"""What anybody can see, and check: the log and swaps by the page, certificates, and what a look costs nobody."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from swapd.chains.icp import candid, hashtree
from swapd.chains.icp.candid.types import Principal as PrincipalType
from swapd.chains.icp.candid.types import Record, Text, Type, Vec
from swapd.chains.icp.interface import Swap
from swapd.devnet.replica import RejectError
from tests.canister.rig import ALICE, AMOUNT, BOB, CAROL, SECRET, Account, Rig


def query(rig: Rig, method: str, reply: Type, arg: bytes = candid.NO_ARGUMENTS) -> object:
    return candid.decode(reply, rig.replica.query(rig.id, method, arg, CAROL))


# -- certificates


def test_a_swap_is_proven_by_its_certified_leaf(rig: Rig) -> None:
    swap_id = rig.locked()
    shown = rig.ask("getSwap", swap_id)
    tree = hashtree.decode(shown["witness"])
    assert hashtree.digest(tree) == rig.certified(shown["certificate"]) == rig.replica.canister(rig.id).certified_data
    leaf = hashtree.find_swap(tree, swap_id)
    assert leaf is not None
    assert candid.decode(Swap, leaf) == shown["swap"]


def test_what_is_not_there_is_proven_too(rig: Rig) -> None:
    assert rig.swap(bytes(32)) is None  # before there is any
    swap_id = rig.locked()
    for other in (bytes(32), b"\xff" * 32, swap_id[:-1] + bytes([swap_id[-1] ^ 1]), swap_id[:2] + bytes(30)):
        assert rig.swap(other) is None


def test_every_change_is_certified_in_the_message_that_makes_it(idle: Rig) -> None:
    args = idle.terms()
    swap_id = idle.approve(args)
    idle.submit("initiateSwap", args, ALICE)
    seen = []
    while idle.replica.step():
        swap, events = idle.swap(swap_id), idle.log()  # both verify against what is certified now
        seen.append(None if swap is None else next(iter(swap["phase"])))
        assert swap is None or events[swap["last_event"]][1]["id"] == swap_id
    idle.submit("completeSwap", {"id": swap_id, "secret": SECRET}, CAROL)
    while idle.replica.step():
        seen.append(idle.phase(swap_id))
    assert [phase for phase, _ in itertools.groupby(seen)] == ["Funding", "Locked", "Claiming", "Claimed"]


def test_a_witness_shows_one_swap_and_no_other(rig: Rig) -> None:
    ids = [rig.locked(amount=1_000 + n) for n in range(8)]
    shown = rig.ask("getSwap", ids[3])
    tree = hashtree.decode(shown["witness"])
    assert hashtree.find_swap(tree, ids[3]) is not None
    for other in ids[:3] + ids[4:]:
        assert other not in shown["witness"] or other[:2] == ids[3][:2]


@pytest.mark.parametrize("length", [0, 1, 31, 33])
def test_an_id_of_another_length_is_not_looked_for(rig: Rig, length: int) -> None:
    with pytest.raises(RejectError, match="32 bytes"):
        rig.ask("getSwap", bytes(length))


# -- the log


def test_the_log_begins_with_the_installation(rig: Rig) -> None:
    event, tx = rig.log()[0]
    assert (event, tx["op"], tx["by"]) == ("admin", "install", rig.id)
    assert tx["ledgers"] == [rig.token.id]


def test_a_page_of_the_log_has_a_hundred_blocks_at_most_and_what_exists(rig: Rig) -> None:
    for _ in range(101):
        rig.call("setHalted", {"ledger": BOB, "halted": True}, b"\x05arbiter\x01")
    page = rig.blocks(0, 10**30)
    assert page["log_length"] == 102
    assert [block["id"] for block in page["blocks"]] == list(range(100))
    assert [block["id"] for block in rig.blocks(98, 7)["blocks"]] == [98, 99, 100, 101]
    assert rig.blocks(102, 5)["blocks"] == rig.blocks(10**30, 10**30)["blocks"] == rig.blocks(3, 0)["blocks"] == []


def test_the_words_of_icrc_3_and_10_are_there(rig: Rig) -> None:
    block_types = Vec(Record({"block_type": Text, "url": Text}))
    types = query(rig, "icrc3_supported_block_types", block_types)
    swap_id = rig.locked()
    rig.complete(swap_id)
    assert isinstance(types, list)
    assert {event for event, _ in rig.log()} <= {each["block_type"] for each in types}
    archives = Vec(Record({"canister_id": PrincipalType}))
    asked = candid.encode(Record({}), {})
    assert query(rig, "icrc3_get_archives", archives, asked) == []
    standards = query(rig, "icrc10_supported_standards", Vec(Record({"name": Text, "url": Text})))
    assert isinstance(standards, list)
    assert {each["name"] for each in standards} == {"ICRC-3", "ICRC-10"}


# -- swaps by the page


def test_swaps_are_listed_in_the_order_of_their_ids_page_by_page(rig: Rig) -> None:
    ids = sorted(rig.locked(amount=1_000) for _ in range(12))
    for limit in (1, 5, 12, 100, 10**20):
        assert [swap["id"] for swap in rig.listed(limit=limit)] == ids
    page = rig.ask("listSwaps", {"start": ids[4], "limit": 3, "filter": {"party": None, "phases": None}})
    assert [swap["id"] for swap in page["swaps"]] == ids[4:7]
    assert page["next"] == ids[7]
    assert rig.ask("listSwaps", {"start": None, "limit": 0, "filter": {"party": None, "phases": None}})["swaps"] == []


def test_swaps_are_found_by_their_parties_and_phases(idle: Rig) -> None:
    to_carol = idle.locked(recipient=Account(CAROL))
    back_to_carol = idle.locked(refund_to=Account(CAROL))
    plain = idle.locked()
    idle.complete(to_carol)
    idle.refund(plain, BOB)
    found = {
        party: sorted(swap["id"] for swap in idle.listed(party)) for party in (ALICE, BOB, CAROL, b"\x09nobody\x01")
    }
    assert found[ALICE] == sorted([to_carol, back_to_carol, plain])
    assert found[BOB] == sorted([back_to_carol, plain])
    assert found[CAROL] == sorted([to_carol, back_to_carol])
    assert found[b"\x09nobody\x01"] == []
    assert [swap["id"] for swap in idle.listed(phases=["Claimed"])] == [to_carol]
    assert [swap["id"] for swap in idle.listed(BOB, ["Refunded", "Claimed"])] == [plain]
    assert idle.listed(phases=[]) == []
    assert [swap["id"] for swap in idle.listed(CAROL, ["Locked"], limit=1)] == [back_to_carol]


def test_the_first_page_holds_though_ids_crowd_at_its_beginning(rig: Rig) -> None:
    """Ids that begin with sixteen zero bits, of which there are two."""
    ids = []
    for number in itertools.count():
        if rig.escrow.id(ALICE, number.to_bytes(32)).startswith(b"\x00\x00"):
            ids.append(rig.locked(nonce=number.to_bytes(32), amount=1_000))
            if len(ids) == 2:
                break
    assert [swap["id"] for swap in rig.listed()] == sorted(ids)


# -- what it costs


def test_a_swap_costs_no_more_among_many(idle: Rig) -> None:
    """The real measure is the bench's, with a hundred thousand; this one notices what is linear."""

    def cost() -> int:
        spent = -idle.replica.canister(idle.id).cycles
        swap_id = idle.locked(amount=1_000, hashlock=hashlib.sha256(SECRET).digest())
        idle.complete(swap_id)
        return -(spent + idle.replica.canister(idle.id).cycles)

    cost()
    first = min(cost() for _ in range(3))
    for _ in range(60):
        idle.locked(amount=1_000)
    assert min(cost() for _ in range(3)) < 1.2 * first
    assert idle.balance(BOB) == 7 * 1_000 < AMOUNT
