"""Certificates: those of real networks verify, and every way of forging one is refused in its own words."""

from __future__ import annotations

from typing import Any

import pytest
from ic.constants import IC_ROOT_KEY

from swapd.chains.icp import cbor, certificate, hashtree
from swapd.chains.icp.candid.encoding import unsigned
from swapd.chains.icp.certificate import MAINNET_ROOT_KEY, Certificate
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.hashtree import Absent, Fork, Labeled, Leaf
from swapd.errors import Unavailable
from tests.chains.icp import recorded
from tests.chains.icp.forge import (
    CANISTER,
    NOW,
    OTHER_RANGE,
    RANGE,
    ROOT,
    SECOND,
    SUBNET,
    Key,
    as_list,
    delegation,
    flat,
    pruned,
    ranges,
    sharded,
    signed,
    state_tree,
    tree,
)

STATE = state_tree()


def verify(raw: bytes, *, root_key: bytes = ROOT.der, canister: bytes = CANISTER, now: int = NOW) -> Certificate:
    return certificate.verify(
        raw, root_key=root_key, canister_id=canister, now_ns=now, max_age_ns=300 * SECOND, max_ahead_ns=60 * SECOND
    )


def refused(raw: bytes, why: str | None, **changes: Any) -> None:
    with pytest.raises(Untrusted, match=why):
        verify(raw, **changes)


# -- recorded ones

FEBRUARY_2022 = 1_645_601_880_652_705_378
APRIL_2024 = 1_712_666_459_237_743_563
MARCH_2026 = 1_773_132_334_625_282_000
REQUEST = bytes.fromhex("edad510eaaa08ed2acd4781324e6446269da6753ec17760f206bbe81c465ff52")


def test_the_root_key_of_the_main_network_is_the_one_that_ic_py_has() -> None:
    assert MAINNET_ROOT_KEY == IC_ROOT_KEY


def test_a_certificate_of_the_main_network_verifies_in_its_time() -> None:
    canister = bytes.fromhex("000000000020000c0101")  # ivg37-qiaaa-aaaab-aaaga-cai
    seen = verify(recorded.REJECTED, root_key=MAINNET_ROOT_KEY, canister=canister, now=FEBRUARY_2022)
    assert seen.time_ns == FEBRUARY_2022
    assert seen.value([b"request_status", REQUEST, b"status"]) == b"rejected"
    assert seen.value([b"request_status", REQUEST, b"reject_code"]) == b"\x03"
    assert b"has no update method" in (seen.value([b"request_status", REQUEST, b"reject_message"]) or b"")
    with pytest.raises(Untrusted, match="leaves out /request_status/11"):
        seen.value([b"request_status", b"\x11" * 32])


@pytest.mark.parametrize("canister", ["00000000002000000101", "00000000002fffff0101"])
def test_a_subnet_of_the_main_network_speaks_for_its_first_and_its_last_canister(canister: str) -> None:
    verify(recorded.REJECTED, root_key=MAINNET_ROOT_KEY, canister=bytes.fromhex(canister), now=FEBRUARY_2022)


@pytest.mark.parametrize("canister", ["00000000001fffff0101", "00000000003000000101", "", "00000000002000000100"])
def test_a_subnet_of_the_main_network_speaks_for_no_other(canister: str) -> None:
    other = bytes.fromhex(canister)
    refused(recorded.REJECTED, "does not belong", root_key=MAINNET_ROOT_KEY, canister=other, now=FEBRUARY_2022)


@pytest.mark.parametrize("canister", ["00000000006000fd0101", "006000ae0101".rjust(20, "0")])
def test_a_subnet_of_the_main_network_may_have_several_ranges(canister: str) -> None:
    seen = verify(recorded.REPLIED, root_key=MAINNET_ROOT_KEY, canister=bytes.fromhex(canister), now=APRIL_2024)
    ((request, _),) = [each for each in hashtree.labels(status_tree(seen)) if isinstance(each[1], Fork)]
    assert seen.value([b"request_status", request, b"status"]) == b"replied"


def status_tree(seen: Certificate) -> hashtree.Tree:
    found = hashtree.lookup(seen.tree, [b"request_status"])
    assert isinstance(found, hashtree.Found)
    return found.tree


def test_between_two_ranges_is_outside() -> None:
    between = bytes.fromhex("00000000006000af0101")
    refused(recorded.REPLIED, "does not belong", root_key=MAINNET_ROOT_KEY, canister=between, now=APRIL_2024)


def test_a_recorded_certificate_with_sharded_canister_ranges_verifies() -> None:
    canister = bytes.fromhex("ffffffffff9000070101")
    seen = verify(recorded.SHARDED, root_key=recorded.SHARDED_ROOT_KEY, canister=canister, now=MARCH_2026)
    assert len(seen.certified_data(canister)) == 32
    outside = bytes.fromhex("ffffffffffa000000101")
    key = recorded.SHARDED_ROOT_KEY
    refused(recorded.SHARDED, "does not belong", root_key=key, canister=outside, now=MARCH_2026)


@pytest.mark.parametrize("raw", [recorded.REJECTED, recorded.REPLIED, recorded.SHARDED], ids=["2022", "2024", "2026"])
def test_recorded_certificates_are_refused_today_and_under_another_root(raw: bytes) -> None:
    canister = bytes.fromhex("000000000020000c0101")
    refused(raw, "the delegation has a wrong signature", canister=canister)
    if raw is recorded.REJECTED:
        refused(raw, "too old", root_key=MAINNET_ROOT_KEY, canister=canister)


@pytest.mark.parametrize("at", range(3, len(recorded.REJECTED), 23))  # after the tag, which means nothing
def test_no_bit_of_a_recorded_certificate_can_be_changed(at: int) -> None:
    raw = bytearray(recorded.REJECTED)
    raw[at] ^= 1
    canister = bytes.fromhex("000000000020000c0101")
    refused(bytes(raw), None, root_key=MAINNET_ROOT_KEY, canister=canister, now=FEBRUARY_2022)


# -- without delegation


def test_what_the_root_has_signed_is_believed() -> None:
    seen = verify(signed(ROOT, STATE))
    assert seen.time_ns == NOW
    assert seen.certified_data(CANISTER) == b"\x07" * 32
    assert hashtree.lookup(seen.tree, [b"nothing"]) == Absent()


def test_a_forged_signature_is_refused() -> None:
    refused(signed(Key("somebody"), STATE), "the certificate has a wrong signature")
    refused(signed(ROOT, STATE, signature=bytes(48)), "the certificate has a wrong signature")
    refused(signed(ROOT, STATE, signature=b"\xc0" + bytes(47)), "the certificate has a wrong signature")
    refused(signed(ROOT, STATE, signature=ROOT.sign(hashtree.digest(STATE))), "wrong signature")  # no domain


def test_another_tree_under_a_true_signature_is_refused() -> None:
    forged = as_list(state_tree(canister={CANISTER: {b"certified_data": b"\x08" * 32}}))
    refused(signed(ROOT, STATE, tree=forged), "the certificate has a wrong signature")


def test_the_root_key_of_another_network_is_refused() -> None:
    refused(signed(ROOT, STATE), "wrong signature", root_key=MAINNET_ROOT_KEY)
    refused(signed(ROOT, STATE), "wrong signature", root_key=b"")


def test_time_is_checked_on_both_sides() -> None:
    raw = signed(ROOT, STATE)
    for fine in (NOW + 300 * SECOND, NOW - 60 * SECOND):
        verify(raw, now=fine)
    refused(raw, "too old: 300 s", now=NOW + 300 * SECOND + 1)
    refused(raw, "from the future: 60 s", now=NOW - 60 * SECOND - 1)


@pytest.mark.parametrize("time", [b"", b"\x80", b"\x80\x80", b"\xff" * 11 + b"\x01", b"\x01\x01"], ids=bytes.hex)
def test_a_time_that_is_none_is_refused(time: bytes) -> None:
    refused(signed(ROOT, tree({b"time": time})), "a number that is none")


def test_a_certificate_without_time_is_refused() -> None:
    refused(signed(ROOT, tree({b"other": b""})), "the certificate has no time")
    hidden = Fork(Labeled(b"other", Leaf(b"")), pruned(Labeled(b"time", Leaf(unsigned(NOW)))))
    refused(signed(ROOT, hidden), "leaves out /time")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "the certificate is not CBOR"),
        (b"\xff", "the certificate is not CBOR"),
        (b"<html>", "not CBOR|has something left over"),
        (cbor.encode([]), "lacks its tree or its signature"),
        (cbor.encode({"tree": [0]}), "lacks its tree or its signature"),
        (cbor.encode({"tree": [0], "signature": "text"}), "lacks its tree or its signature"),
        (cbor.encode({"tree": {}, "signature": b""}), "a node of no known kind"),
        (cbor.encode({"tree": [0], "signature": b"", "delegation": {}}), "lacks its subnet or its certificate"),
        (cbor.encode({"tree": [0], "signature": b"", "delegation": b""}), "lacks its subnet or its certificate"),
        (cbor.encode({"tree": [0], "signature": b""}) + b"\0", "left over"),
    ],
)
def test_what_is_no_certificate_is_refused(raw: bytes, why: str) -> None:
    refused(raw, why)


# -- with delegation: root → subnet


@pytest.mark.parametrize("form", [flat, sharded])
def test_a_subnet_to_which_the_root_has_given_the_canister_is_believed(form: Any) -> None:
    given = delegation(SUBNET, ROOT, form(SUBNET, OTHER_RANGE, RANGE))
    assert verify(signed(SUBNET, STATE, delegation=given)).certified_data(CANISTER) == b"\x07" * 32


def test_a_delegation_with_only_the_shard_that_matters_is_believed() -> None:
    state = sharded(SUBNET, RANGE, OTHER_RANGE)
    shards = [tree({first: raw}) for first, raw in state[b"canister_ranges"][SUBNET.subnet_id].items()]

    def certificate_with(*shown: hashtree.Tree) -> bytes:
        below = Labeled(b"canister_ranges", Labeled(SUBNET.subnet_id, Fork(*shown)))
        whole = Fork(below, tree({label: state[label] for label in (b"subnet", b"time")}))
        given = {"subnet_id": SUBNET.subnet_id, "certificate": signed(ROOT, whole)}
        return signed(SUBNET, STATE, delegation=given)

    verify(certificate_with(shards[0], pruned(shards[1])))
    refused(certificate_with(pruned(shards[0]), shards[1]), "does not belong")
    refused(certificate_with(pruned(shards[0]), pruned(shards[1])), "names no canister ranges")


@pytest.mark.parametrize("form", [flat, sharded])
def test_a_subnet_for_other_canisters_is_refused(form: Any) -> None:
    given = delegation(SUBNET, ROOT, form(SUBNET, OTHER_RANGE))
    refused(signed(SUBNET, STATE, delegation=given), "a subnet that the canister does not belong to")


def test_ranges_of_another_subnet_do_not_count() -> None:
    other = Key("other subnet")
    state = {**flat(SUBNET, OTHER_RANGE)}
    state[b"subnet"] = {**state[b"subnet"], **flat(other, RANGE)[b"subnet"]}
    state[b"canister_ranges"] = sharded(other, RANGE)[b"canister_ranges"]
    refused(signed(SUBNET, STATE, delegation=delegation(SUBNET, ROOT, state)), "does not belong")


def test_a_delegation_without_ranges_is_refused() -> None:
    state = flat(SUBNET)
    refused(signed(SUBNET, STATE, delegation=delegation(SUBNET, ROOT, state)), "names no canister ranges")
    del state[b"subnet"][SUBNET.subnet_id][b"canister_ranges"]
    refused(signed(SUBNET, STATE, delegation=delegation(SUBNET, ROOT, state)), "names no canister ranges")


@pytest.mark.parametrize(
    "raw", [b"", b"\x00", cbor.encode({}), cbor.encode([[b"a"]]), cbor.encode([["a", "b"]]), cbor.encode([b"ab"])]
)
def test_ranges_that_are_none_are_refused(raw: bytes) -> None:
    state = flat(SUBNET)
    state[b"subnet"][SUBNET.subnet_id][b"canister_ranges"] = raw
    refused(signed(SUBNET, STATE, delegation=delegation(SUBNET, ROOT, state)), "list of canister ranges")


def test_a_delegation_that_the_root_has_not_signed_is_refused() -> None:
    given = delegation(SUBNET, Key("no root"), flat(SUBNET, RANGE))
    refused(signed(SUBNET, STATE, delegation=given), "the delegation has a wrong signature")


def test_a_certificate_that_another_key_than_the_subnets_has_signed_is_refused() -> None:
    given = delegation(SUBNET, ROOT, flat(SUBNET, RANGE))
    for other in (Key("other subnet"), ROOT):
        refused(signed(other, STATE, delegation=given), "the certificate has a wrong signature")


def test_a_delegation_for_another_subnet_than_it_names_is_refused() -> None:
    given = {**delegation(SUBNET, ROOT, flat(SUBNET, RANGE)), "subnet_id": Key("other subnet").subnet_id}
    refused(signed(SUBNET, STATE, delegation=given), "names no canister ranges")


def test_a_delegation_without_the_subnets_key_is_refused() -> None:
    for key in (b"", b"short", SUBNET.der[:37] + b"\xc0" + bytes(95)):
        state = flat(SUBNET, RANGE)
        state[b"subnet"][SUBNET.subnet_id][b"public_key"] = key
        refused(signed(SUBNET, STATE, delegation=delegation(SUBNET, ROOT, state)), "no public key of the subnet")
    del state[b"subnet"][SUBNET.subnet_id][b"public_key"]
    refused(signed(SUBNET, STATE, delegation=delegation(SUBNET, ROOT, state)), "no public key of the subnet")


def test_a_nested_delegation_is_refused() -> None:
    middle = Key("middle")
    first = delegation(middle, ROOT, flat(middle, RANGE))
    nested = signed(middle, tree(flat(SUBNET, RANGE)), delegation=first)
    given = {"subnet_id": SUBNET.subnet_id, "certificate": nested}
    refused(signed(SUBNET, STATE, delegation=given), "nested")


def test_a_delegation_without_time_is_refused() -> None:
    state = flat(SUBNET, RANGE)
    del state[b"time"]
    refused(signed(SUBNET, STATE, delegation=delegation(SUBNET, ROOT, state)), "the delegation has no time")


def test_a_delegation_may_be_old() -> None:
    """As the recorded ones are, by up to six days; the certificate under it may not."""
    given = delegation(SUBNET, ROOT, {**flat(SUBNET, RANGE), b"time": unsigned(NOW - 10**7 * SECOND)})
    verify(signed(SUBNET, STATE, delegation=given))
    refused(signed(SUBNET, state_tree(NOW - 301 * SECOND), delegation=given), "too old")


# -- what is in them


def test_certified_data_that_is_not_there_is_no_data() -> None:
    seen = verify(signed(ROOT, tree({b"time": unsigned(NOW)})))
    with pytest.raises(Untrusted, match="no certified data"):
        seen.certified_data(CANISTER)


def test_to_be_untrusted_is_to_be_unavailable() -> None:
    """So a chain whose answers are forged is a chain in trouble, like one that does not answer."""
    with pytest.raises(Unavailable):
        verify(b"")


@pytest.mark.parametrize(("number", "raw"), [(0, "00"), (127, "7f"), (128, "8001"), (NOW, unsigned(NOW).hex())])
def test_numbers_are_leb128(number: int, raw: str) -> None:
    assert certificate.natural(bytes.fromhex(raw)) == number


def test_ranges_are_written_as_the_network_writes_them() -> None:
    expected = "d9d9f781824a000000000020000001014a00000000002fffff0101"
    assert ranges((RANGE[0], RANGE[1])).hex() == expected
    assert bytes.fromhex(expected) in recorded.REJECTED
