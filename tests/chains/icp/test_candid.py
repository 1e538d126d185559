"""Candid: read as ic-py writes it and the other way round, legal differences bridged, hostile bytes refused in time."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import ic.candid
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ic.candid import Types as Other
from ic.principal import Principal as OtherPrincipal

from swapd.chains.icp import candid, interface
from swapd.chains.icp.candid import types as t
from swapd.chains.icp.candid.encoding import signed, unsigned
from swapd.errors import Invalid, Unavailable
from tests.chains.icp.did import Method, read, values

CANISTERS = Path(__file__).parents[3] / "canisters"
SECRET = bytes(range(64, 96))


def theirs(type_: Any, value: Any) -> bytes:
    """Encoded by ic-py."""
    return bytes(ic.candid.encode([{"type": type_, "value": value}]))


OTHER_VALUE = Other.Rec()
OTHER_VALUE.fill(
    Other.Variant(
        {
            "Blob": Other.Vec(Other.Nat8),
            "Text": Other.Text,
            "Nat": Other.Nat,
            "Int": Other.Int,
            "Array": Other.Vec(OTHER_VALUE),
            "Map": Other.Vec(Other.Tuple(Other.Text, OTHER_VALUE)),
        }
    )
)

Sample = t.Record({"amount": t.Nat, "owner": t.Principal, "memo": t.Opt(t.Blob), "at": t.Nat64, "words": t.Vec(t.Text)})
OTHER_SAMPLE = Other.Record(
    {
        "amount": Other.Nat,
        "owner": Other.Principal,
        "memo": Other.Opt(Other.Vec(Other.Nat8)),
        "at": Other.Nat64,
        "words": Other.Vec(Other.Text),
    }
)


# -- ours and ic-py's


@given(values(interface.Value))
def test_a_recursive_value_is_written_and_read_as_by_ic_py(value: Any) -> None:
    written = candid.encode(interface.Value, value)
    assert candid.decode(interface.Value, written) == value
    assert candid.decode(interface.Value, theirs(OTHER_VALUE, value)) == value
    ((read_by_them,),) = [[each["value"] for each in ic.candid.decode(written, [OTHER_VALUE])]]
    assert plain(read_by_them) == value


def plain(value: Any) -> Any:
    """What ic-py reads, in our way: blobs as bytes."""
    ((case, content),) = value.items()
    match case:
        case "Blob":
            return {case: bytes(content)}
        case "Array":
            return {case: [plain(each) for each in content]}
        case "Map":
            return {case: [(name, plain(each)) for name, each in content]}
    return value


@given(values(Sample))
def test_a_record_is_written_and_read_as_by_ic_py(value: dict[str, Any]) -> None:
    in_their_way = {
        **value,
        "owner": OtherPrincipal(value["owner"]).to_str(),
        "memo": [] if value["memo"] is None else [value["memo"]],
    }
    written = candid.encode(Sample, value)
    assert candid.decode(Sample, written) == value
    assert candid.decode(Sample, theirs(OTHER_SAMPLE, in_their_way)) == value
    read_by_them = ic.candid.decode(written, [OTHER_SAMPLE])[0]["value"]
    read_by_them["owner"] = read_by_them["owner"].to_str()
    read_by_them["memo"] = [bytes(each) for each in read_by_them["memo"]]
    assert read_by_them == in_their_way


@pytest.mark.parametrize(
    ("type_", "value", "raw"),
    [
        (t.Nat, 0, "00017d00"),
        (t.Nat, 1_000_000, "00017dc0843d"),
        (t.Int, -1, "00017c7f"),
        (t.Int, -129, "00017cff7e"),
        (t.Bool, True, "00017e01"),
        (t.Null, None, "00017f"),
        (t.Text, "☃", "00017103e29883"),
        (t.Nat64, 5, "0001780500000000000000"),
        (t.Principal, b"\xca\xff\xee", "0001680103caffee"),
        (t.Blob, b"ab", "016d7b0100026162"),
        (t.Opt(t.Nat), None, "016e7d010000"),
        (t.Opt(t.Nat), 7, "016e7d01000107"),
        (t.Vec(t.Int), [1, -1], "016d7c010002017f"),
        (t.Tuple(t.Nat, t.Text), (1, "a"), "016c02007d01710100010161"),
        (t.Variant({"Ok": t.Nat, "Err": t.Text}), {"Ok": 3}, "016b02bc8a017dc5fed2017101000003"),
    ],
)
def test_bytes_are_those_of_the_specification(type_: t.Type, value: Any, raw: str) -> None:
    assert candid.encode(type_, value).hex() == b"DIDL".hex() + raw
    assert candid.decode(type_, b"DIDL" + bytes.fromhex(raw)) == value


@given(st.integers())
def test_numbers_of_any_size_go_there_and_back(number: int) -> None:
    assert candid.decode(t.Int, candid.encode(t.Int, number)) == number


# -- what may differ


def test_a_nat_will_do_for_an_int() -> None:
    assert candid.decode(t.Int, candid.encode(t.Nat, 200)) == 200


def test_a_record_may_have_more_fields_and_lack_optional_ones() -> None:
    raw = candid.encode(
        t.Record({"a": t.Nat, "extra": t.Vec(t.Record({"x": t.Opt(t.Text)}))}), {"a": 1, "extra": [{"x": "y"}, {}]}
    )
    wanted = t.Record({"a": t.Nat, "new": t.Opt(t.Nat), "any": t.Reserved})
    assert candid.decode(wanted, raw) == {"a": 1, "new": None, "any": None}


def test_a_variant_may_have_fewer_cases_than_we_know() -> None:
    raw = candid.encode(t.Variant({"Ok": t.Nat}), {"Ok": 1})
    assert candid.decode(t.Variant({"Ok": t.Nat, "Err": t.Text}), raw) == {"Ok": 1}


def test_a_value_will_do_for_an_optional_one() -> None:
    assert candid.decode(t.Opt(t.Nat), candid.encode(t.Nat, 5)) == 5
    assert candid.decode(t.Opt(t.Nat), candid.encode(t.Null, None)) is None
    assert candid.decode(t.Opt(t.Nat), candid.NO_ARGUMENTS) is None


def test_what_is_not_understood_is_null_where_null_may_be() -> None:
    old = t.Record({"kind": t.Opt(t.Variant({"Old": t.Null})), "message": t.Text})
    new = t.Record({"kind": t.Opt(t.Variant({"Old": t.Null, "New": t.Record({"x": t.Nat})})), "message": t.Text})
    raw = candid.encode(new, {"kind": {"New": {"x": 1}}, "message": "m"})
    assert candid.decode(old, raw) == {"kind": None, "message": "m"}


def test_further_arguments_are_ignored() -> None:
    raw = b"DIDL\x00\x02\x7d\x71\x05\x01a"
    assert candid.decode(t.Nat, raw) == 5


def test_a_method_reference_is_passed_over_or_read() -> None:
    """As in the `archived_blocks` of ICRC-3."""
    table = b"\x03\x6a\x00\x00\x01\x01" + b"\x6c\x01\x00\x00" + b"\x6d\x01"
    raw = b"DIDL" + table + b"\x01\x02" + b"\x01" + b"\x01\x01\x02\xaa\xbb\x03get"
    assert candid.decode(t.Vec(t.Tuple(t.Func())), raw) == [((b"\xaa\xbb", "get"),)]
    assert candid.decode(t.Reserved, raw) is None


def test_floats_and_services_are_passed_over() -> None:
    table = b"\x02\x69\x00" + b"\x6c\x03\x00\x73\x01\x72\x02\x00"
    raw = b"DIDL" + table + b"\x01\x01" + bytes(4) + bytes(8) + b"\x01\x01\xaa"
    assert candid.decode(t.Record({}), raw) == {}


# -- what does not fit: the other side's


@pytest.mark.parametrize(
    ("type_", "raw", "why"),
    [
        (t.Nat, b"", "ends too early"),
        (t.Nat, b"DIDX\x00\x00", "does not begin"),
        (t.Nat, candid.NO_ARGUMENTS, "no value in it"),
        (t.Nat, candid.encode(t.Text, "5"), "its type is another"),
        (t.Nat, candid.encode(t.Int, 5), "its type is another"),
        (t.Nat64, candid.encode(t.Nat, 5), "its type is another"),
        (t.Nat, candid.encode(t.Nat, 5) + b"junk", "left over"),
        (t.Nat, candid.encode(t.Nat, 300)[:-1], "ends too early"),
        (t.Nat, b"DIDL\x00\x01\x7d" + b"\x80" * 70 + b"\x01", "number is too long"),
        (t.Text, b"DIDL\x00\x01\x71\x02\xff\xfe", "not UTF-8"),
        (t.Bool, b"DIDL\x00\x01\x7e\x02", "truth value"),
        (t.Blob, b"DIDL\x01\x6d\x7b\x01\x00\x05abc", "ends too early"),
        (t.Principal, b"DIDL\x00\x01\x68\x00", "only its sender understands"),
        (t.Principal, b"DIDL\x00\x01\x68\x01\x1e" + bytes(30), "too long"),
        (t.Opt(t.Nat), b"DIDL\x01\x6e\x7d\x01\x00\x02", "truth value"),
        (t.Variant({"A": t.Null}), candid.encode(t.Variant({"B": t.Null}), {"B": None}), "its type is another"),
        (t.Variant({"A": t.Null}), b"DIDL\x01\x6b\x01\x41\x7f\x01\x00\x01", "a case that its type has not"),
        (t.Record({"a": t.Nat}), candid.encode(t.Record({}), {}), "its type is another"),
        (t.Tuple(t.Nat, t.Nat), candid.encode(t.Tuple(t.Nat), (1,)), "its type is another"),
        (t.Record({}), b"DIDL\x01\x6c\x02\x02\x7d\x01\x7d\x01\x00\x00\x00", "out of order"),
        (t.Reserved, b"DIDL\x01\x6e\x05\x01\x00\x00", "refers to a type that is not there"),
        (t.Reserved, b"DIDL\x00\x01\x05", "refers to a type that is not there"),
        (t.Reserved, b"DIDL\x00\x01\x50", "refers to a type that is not there"),
        (t.Reserved, b"DIDL\x01\x67\x00\x01\x00\x00", "of no known kind"),
        (t.Reserved, b"DIDL\x00\x01\x6f", "a type that has none"),
        (t.Func(), b"DIDL\x01\x6a\x00\x00\x00\x01\x00\x00", "only its sender understands"),
    ],
)
def test_bytes_that_do_not_fit_are_no_answer(type_: t.Type, raw: bytes, why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        candid.decode(type_, raw)


@given(st.binary(max_size=80))
def test_no_bytes_lead_to_another_error(noise: bytes) -> None:
    for raw in (noise, b"DIDL" + noise):
        for type_ in (interface.BlocksReply, t.Reserved, t.Opt(interface.Value)):
            with suppress(Unavailable):
                candid.decode(type_, raw)


@given(values(interface.BlocksReply), st.integers(0), st.binary(min_size=1, max_size=4))
def test_no_change_of_an_answer_leads_to_another_error(value: Any, at: int, noise: bytes) -> None:
    raw = candid.encode(interface.BlocksReply, value)
    at %= len(raw)
    for changed in (raw[:at] + noise + raw[at + len(noise) :], raw[:at], raw[:at] + noise + raw[at:]):
        with suppress(Unavailable):
            candid.decode(interface.BlocksReply, changed)


# -- bombs

HUGE = unsigned(2**40)
LIST = t.Recursive()
LIST.fill(t.Opt(t.Record({"head": t.Nat, "tail": LIST})))  # the fields have this order in messages, too


def chain(length: int) -> bytes:
    """opt of opt of opt …, as a type."""
    entries = b"".join(signed(-18) + signed(place + 1) for place in range(length)) + signed(-18) + signed(-3)
    return b"DIDL" + unsigned(length + 1) + entries + b"\x01" + signed(0) + b"\x01" * (length + 1) + b"\x00"


def variants(length: int) -> bytes:
    """variant { Array : vec variant { Array : vec … } }, each a type of its own."""
    array = unsigned(t.field_id("Array"))
    entries = b""
    for place in range(0, 2 * length, 2):
        entries += signed(-21) + b"\x01" + array + signed(place + 1) + signed(-19) + signed(place + 2)
    entries += signed(-21) + b"\x01" + unsigned(t.field_id("Nat")) + signed(-3)
    return b"DIDL" + unsigned(2 * length + 1) + entries + b"\x01" + signed(0) + b"\x00\x01" * length + b"\x00\x00"


LONG_LIST = candid.encode(LIST, None)[:-1] + b"\x01\x05" * 50_000 + b"\x00"
EMPTY_VECTORS = b"DIDL\x02\x6d\x01\x6d\x7f\x01\x00" + unsigned(9_000) + unsigned(9_000) * 9_000


@pytest.mark.parametrize(
    ("type_", "raw", "why"),
    [
        (t.Vec(t.Null), b"DIDL\x01\x6d\x7f\x01\x00" + HUGE, "more than its bytes"),
        (t.Reserved, b"DIDL\x01\x6d\x7f\x01\x00" + HUGE, "more than its bytes"),
        (t.Vec(t.Record({})), b"DIDL\x02\x6d\x01\x6c\x00\x01\x00" + HUGE, "more than its bytes"),
        (t.Reserved, EMPTY_VECTORS, "more than its bytes"),
        (t.Blob, b"DIDL\x01\x6d\x7b\x01\x00" + HUGE, "ends too early"),
        (t.Text, b"DIDL\x00\x01\x71" + HUGE, "ends too early"),
        (t.Reserved, b"DIDL" + HUGE, "more than its bytes"),
        (t.Reserved, b"DIDL" + unsigned(2_000) + b"\x6e\x7d" * 2_000 + b"\x01\x7f", "too many types"),
        (t.Reserved, b"DIDL\x01\x6c" + HUGE, "more than its bytes"),
        (t.Reserved, b"DIDL\x00" + HUGE, "more than its bytes"),
        (t.Reserved, b"DIDL\x01\x6c\x01\x00\x00\x01\x00", "nested too deeply"),  # a record that contains itself
        (LIST, LONG_LIST, "nested too deeply"),
        (t.Reserved, LONG_LIST, "nested too deeply"),
        (t.Reserved, chain(900), "nested too deeply"),
        (t.Opt(t.Nat), chain(900), "nested too deeply"),
        (interface.Value, variants(400), "nested too deeply"),
        (t.Opt(interface.Value), variants(400), "nested too deeply"),
    ],
)
def test_a_bomb_is_refused_before_it_goes_off(type_: t.Type, raw: bytes, why: str) -> None:
    begun = time.process_time()
    with pytest.raises(Unavailable, match=why):
        candid.decode(type_, raw)
    assert time.process_time() - begun < 1


def test_wide_types_take_no_long() -> None:
    """Fields that take no bytes, in every element."""
    fields = b"".join(unsigned(number) + signed(-1) for number in range(4_000))
    raw = b"DIDL\x02\x6d\x01\x6c" + unsigned(4_000) + fields + b"\x01\x00" + unsigned(100_000) + bytes(100_000)
    begun = time.process_time()
    with pytest.raises(Unavailable):
        candid.decode(t.Vec(t.Record({"a": t.Opt(t.Nat)})), raw)
    assert time.process_time() - begun < 2


def test_what_is_as_deep_as_our_log_is_read() -> None:
    value: Any = {"Nat": 1}
    for _ in range(20):
        value = {"Map": [("deeper", value)]}
    assert candid.decode(interface.Value, candid.encode(interface.Value, value)) == value


# -- what does not fit: the caller's


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        (t.Nat, -1, "argument: got 'int', expected nat"),
        (t.Nat, True, "argument: got 'bool', expected nat"),
        (t.Nat, 1.0, "argument: got 'float', expected nat"),
        (t.Nat, None, "argument: got 'NoneType', expected nat"),
        (t.Nat64, 2**64, "argument: got 'int', expected nat64"),
        (t.Int8, -129, "argument: got 'int', expected int8"),
        (t.Bool, 1, "argument: got 'int', expected bool"),
        (t.Text, b"a", "argument: got 'bytes of 1', expected text"),
        (t.Blob, "a", "argument: got 'str of 1', expected bytes"),
        (t.Blob, [1], "argument: got 'list of 1', expected bytes"),
        (t.Principal, bytes(30), "argument: got 'bytes of 30', expected principal"),
        (t.Principal, "aaaaa-aa", "argument: got 'str of 8', expected principal"),
        (t.Vec(t.Nat), b"ab", "argument: got 'bytes of 2', expected a list"),
        (t.Vec(t.Nat), [1, "x"], r"argument\[1\]: got 'str of 1', expected nat"),
        (t.Tuple(t.Nat, t.Nat), (1, 2, 3), "argument: got 'tuple of 3', expected a tuple of 2"),
        (t.Record({"a": t.Nat}), {}, "argument.a: got None, expected a value: the field is missing"),
        (
            t.Record({"a": t.Nat}),
            {"a": 1, "b": 2},
            r"argument: got \"fields \['b'\]\", expected fields of \['a'\] only",
        ),
        (t.Record({"a": t.Record({"b": t.Nat})}), {"a": {"b": "x"}}, "argument.a.b: got 'str of 1', expected nat"),
        (t.Record({"a": t.Nat}), [1], "argument: got 'list of 1', expected a dict of fields"),
        (t.Variant({"A": t.Null}), {"B": None}, r"argument: got 'case B', expected one of \['A'\]"),
        (t.Variant({"A": t.Null}), "A", "argument: got 'str of 1', expected a dict of one case"),
        (t.Variant({"A": t.Nat}), {"A": "x"}, "argument.A: got 'str of 1', expected nat"),
        (t.Opt(t.Nat), "x", "argument: got 'str of 1', expected nat"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_place(type_: t.Type, value: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        candid.encode(type_, value)


def test_s9_an_argument_that_does_not_fit_is_not_quoted() -> None:
    with pytest.raises(Invalid) as caught:
        candid.encode(interface.CompleteArgs, {"id": bytes(32), "secret": SECRET.hex()})
    assert SECRET.hex()[:8] not in str(caught.value)
    with pytest.raises(Invalid) as caught:
        candid.encode(interface.CompleteArgs, {"id": SECRET.hex(), "secret": SECRET})
    assert SECRET.hex()[:8] not in str(caught.value)


def test_an_opt_of_what_may_be_null_itself_can_not_be_said() -> None:
    for inner in (t.Opt(t.Nat), t.Null, t.Reserved):
        with pytest.raises(TypeError):
            t.Opt(inner)


# -- speed


def test_a_page_of_the_log_and_a_module_are_read_in_little_time() -> None:
    legs = [("owner", {"Blob": bytes(29)}), ("subaccount", {"Blob": bytes(32)})]
    tx = [(f"field {number}", {"Blob": bytes(32)}) for number in range(8)] + [
        ("to", {"Map": legs}),
        ("at", {"Nat": 10**18}),
    ]
    block = {"Map": [("phash", {"Blob": bytes(32)}), ("btype", {"Text": "swap_funding"}), ("tx", {"Map": tx})]}
    page = {"log_length": 100, "blocks": [{"id": number, "block": block} for number in range(100)]}
    raw = candid.encode(interface.BlocksReply, page)
    begun = time.process_time()
    assert candid.decode(interface.BlocksReply, raw) == page
    assert time.process_time() - begun < 0.1  # about 5 ms
    module = bytes(2**20)
    begun = time.process_time()
    assert candid.decode(t.Blob, candid.encode(t.Blob, module)) == module
    assert time.process_time() - begun < 0.1


# -- the interface

METHODS = {
    **read((CANISTERS / "atomic_swap" / "atomic_swap.did").read_text()),
    **read((CANISTERS / "devnet_ledger" / "devnet_ledger.did").read_text()),
}

SPOKEN: dict[str, tuple[t.Type | None, t.Type]] = {
    "initiateSwap": (interface.InitiateArgs, interface.SwapResult),
    "completeSwap": (interface.CompleteArgs, interface.SwapResult),
    "refundSwap": (t.Blob, interface.SwapResult),
    "resumeSwap": (t.Blob, interface.SwapResult),
    "getSwap": (t.Blob, interface.GetSwapReply),
    "icrc3_get_blocks": (interface.Ranges, interface.BlocksReply),
    "icrc3_get_tip_certificate": (None, interface.TipReply),
    "acknowledgeSwap": (interface.AcknowledgeArgs, interface.RequestResult),
    "icrc1_fee": (None, t.Nat),
    "icrc1_symbol": (None, t.Text),
    "icrc1_balance_of": (interface.Account, t.Nat),
    "icrc2_allowance": (interface.AllowanceArgs, interface.Allowance),
    "icrc2_approve": (interface.ApproveArgs, interface.ApproveResult),
}
"""What swapd gives and takes, by method of the swap canister and of a ledger."""


def common(ours: t.Type, theirs_: t.Type, value: Any) -> Any:
    """A value of the canister's type as it is left after reading it as ours."""
    while isinstance(ours, t.Recursive):
        ours = ours.inner
    while isinstance(theirs_, t.Recursive):
        theirs_ = theirs_.inner
    match ours, theirs_:
        case t.Opt(), t.Opt():
            return None if value is None else common(ours.inner, theirs_.inner, value)
        case t.Vec(), t.Vec():
            return [common(ours.inner, theirs_.inner, each) for each in value]
        case t.Record(), t.Record():
            return {name: common(inner, theirs_.fields[name], value[name]) for name, inner in ours.fields.items()}
        case t.Tuple(), t.Tuple():
            return tuple(map(common, ours.fields, theirs_.fields, value))
        case t.Variant(), t.Variant():
            ((case, content),) = value.items()
            return {case: common(ours.cases[case], theirs_.cases[case], content)}
    return None if ours is t.Reserved else value


@pytest.mark.parametrize("name", SPOKEN)
@settings(max_examples=30)
@given(st.data())
def test_the_canister_understands_what_we_say_and_we_what_it_answers(name: str, data: st.DataObject) -> None:
    method: Method = METHODS[name]
    given_, taken = SPOKEN[name]
    assert (given_ is None) == (method.argument is None)
    if given_ is not None and method.argument is not None:
        said = data.draw(values(given_))
        assert candid.decode(method.argument, candid.encode(given_, said)) == said
    assert method.result is not None
    answered = data.draw(values(method.result))
    read_ = candid.decode(taken, candid.encode(method.result, answered))
    assert read_ == common(taken, method.result, answered)


def test_s14_a_lock_may_have_a_note_and_nothing_else_has_a_second_argument() -> None:
    assert [name for name, method in METHODS.items() if method.more] == ["initiateSwap"]
    (note,) = METHODS["initiateSwap"].more
    assert isinstance(note, t.Opt)
    assert note.inner is t.Blob is interface.Note.inner


def test_every_update_is_an_update_and_every_query_a_query() -> None:
    modes = {name: METHODS[name].mode for name in SPOKEN}
    updates = {"initiateSwap", "completeSwap", "refundSwap", "resumeSwap", "acknowledgeSwap", "icrc2_approve"}
    assert {name for name, mode in modes.items() if mode == ""} == updates
    assert {modes[name] for name in modes.keys() - updates} == {"query"}
