"""The devnet ledger against the words of ICRC-1 and ICRC-2, on a replica; its rules in detail are in Ledger.test.mo."""

from __future__ import annotations

from typing import Any

import pytest

from swapd.chains.icp import candid
from swapd.chains.icp.candid.types import Blob, Int, Nat, Nat8, Opt, Record, Text, Tuple, Variant, Vec
from swapd.chains.icp.interface import Account as AccountType
from swapd.chains.icp.principal import Account
from swapd.devnet import ledger
from swapd.devnet.canisters import built
from swapd.devnet.replica import ManualClock, RejectError, Replica
from swapd.errors import Unavailable
from tests.canisters.token import ALICE, BOB, FEE, HELD, MINTER, Token, transfer_args

DAY, DRIFT = 86_400, 120
SECOND = 10**9
SUB = bytes(31) + b"\x07"


@pytest.fixture
def replica() -> Replica:
    return Replica(clock=ManualClock())


@pytest.fixture
def token(replica: Replica) -> Token:
    return Token(replica)


def err(answer: Any) -> Any:
    (error,) = answer["Err"].items()
    return error


# -- ICRC-1


def test_it_says_what_it_is(token: Token) -> None:
    assert token.ask("icrc1_name", Text) == "Devnet token"
    assert token.ask("icrc1_symbol", Text) == "DEV"
    assert token.ask("icrc1_decimals", Nat8) == 8
    assert token.ask("icrc1_fee", Nat) == FEE
    assert token.ask("icrc1_minting_account", Opt(AccountType)) == {"owner": MINTER, "subaccount": None}
    assert token.supply() == HELD
    value = Variant({"Nat": Nat, "Int": Int, "Text": Text, "Blob": Blob})
    metadata = dict(token.ask("icrc1_metadata", Vec(Tuple(Text, value))))
    assert metadata["icrc1:symbol"] == {"Text": "DEV"}
    assert metadata["icrc1:fee"] == {"Nat": FEE}
    assert metadata["icrc1:decimals"] == {"Nat": 8}
    standards = token.ask("icrc1_supported_standards", Vec(Record({"name": Text, "url": Text})))
    assert {standard["name"] for standard in standards} == {"ICRC-1", "ICRC-2"}


def test_a_transfer_moves_the_amount_and_burns_the_fee(token: Token) -> None:
    to = Account(BOB, SUB)
    assert token.transfer(ALICE, to, 500, fee=FEE, memo=b"m" * 32) == {"Ok": 1}
    assert token.balance(to) == 500
    assert token.balance(Account(BOB)) == 0
    assert token.balance(Account(ALICE)) == HELD - 500 - FEE
    assert token.supply() == HELD - FEE
    block = token.blocks()[1]
    assert block["operation"] == {"Transfer": None}
    assert (block["amount"], block["fee"], block["memo"]) == (500, FEE, b"m" * 32)
    assert block["timestamp"] == token.replica.now_ns


def test_a_transfer_that_cannot_be_is_refused_and_changes_nothing(token: Token) -> None:
    to = Account(BOB)
    assert err(token.transfer(ALICE, to, 1, fee=FEE - 1)) == ("BadFee", {"expected_fee": FEE})
    assert err(token.transfer(ALICE, to, HELD)) == ("InsufficientFunds", {"balance": HELD})
    with pytest.raises(RejectError, match="memo"):
        token.transfer(ALICE, to, 1, memo=b"m" * 33)
    with pytest.raises(RejectError, match="32 bytes"):
        token.transfer(ALICE, Account(BOB, SUB), 1, from_subaccount=b"short")
    assert token.balance(Account(ALICE)) == token.supply() == HELD
    assert len(token.blocks()) == 1


def test_the_minting_account_mints_and_burns(token: Token) -> None:
    assert token.transfer(MINTER, Account(BOB), 2 * FEE) == {"Ok": 1}
    assert token.supply() == HELD + 2 * FEE
    assert err(token.transfer(BOB, Account(MINTER), FEE - 1)) == ("BadBurn", {"min_burn_amount": FEE})
    assert token.transfer(BOB, Account(MINTER), 2 * FEE) == {"Ok": 2}
    assert token.supply() == HELD


def test_a_call_with_a_time_is_done_once_in_a_day(token: Token, replica: Replica) -> None:
    then = replica.now_ns
    args = {"created_at_time": then, "memo": b"swap", "fee": FEE}
    assert token.transfer(ALICE, Account(BOB), 5, **args) == {"Ok": 1}
    replica.advance(DAY + DRIFT)
    assert err(token.transfer(ALICE, Account(BOB), 5, **args)) == ("Duplicate", {"duplicate_of": 1})
    assert err(token.transfer(BOB, Account(BOB), 5, **args))[0] == "InsufficientFunds"  # another caller, another call
    assert token.transfer(ALICE, Account(BOB), 5, **{**args, "memo": b"other"}) == {"Ok": 2}
    replica.advance(1)
    assert err(token.transfer(ALICE, Account(BOB), 5, **args)) == ("TooOld", None)
    assert token.balance(Account(BOB)) == 10


def test_a_call_from_the_future_is_refused(token: Token, replica: Replica) -> None:
    ahead = replica.now_ns + DRIFT * SECOND
    told = ("CreatedInFuture", {"ledger_time": replica.now_ns})
    assert err(token.transfer(ALICE, Account(BOB), 5, created_at_time=ahead + 1)) == told
    assert token.transfer(ALICE, Account(BOB), 5, created_at_time=ahead) == {"Ok": 1}


def test_a_changed_fee_is_told_before_the_duplicate(token: Token, replica: Replica) -> None:
    args = {"created_at_time": replica.now_ns, "fee": FEE}
    assert token.transfer(ALICE, Account(BOB), 5, **args) == {"Ok": 1}
    token.set_fee(FEE + 1)
    assert err(token.transfer(ALICE, Account(BOB), 5, **args)) == ("BadFee", {"expected_fee": FEE + 1})
    assert token.ask("icrc1_fee", Nat) == FEE + 1


# -- ICRC-2


def test_an_allowance_is_of_one_account_for_one_account(token: Token) -> None:
    spender = Account(BOB, SUB)
    assert token.approve(ALICE, spender, 5 + FEE) == {"Ok": 1}
    assert token.balance(Account(ALICE)) == HELD - FEE
    assert token.allowance(Account(ALICE), spender) == (5 + FEE, None)
    assert token.allowance(Account(ALICE), Account(BOB)) == (0, None)
    pull = (Account(ALICE), Account(BOB), 5)
    assert err(token.transfer_from(BOB, *pull)) == ("InsufficientAllowance", {"allowance": 0})
    assert err(token.transfer_from(BOB, Account(ALICE), Account(BOB), 6, spender_subaccount=SUB)) == (
        "InsufficientAllowance",
        {"allowance": 5 + FEE},
    )
    assert token.transfer_from(BOB, *pull, spender_subaccount=SUB) == {"Ok": 2}
    assert token.allowance(Account(ALICE), spender) == (0, None)
    assert token.balance(Account(BOB)) == 5


def test_an_allowance_does_not_make_money(token: Token) -> None:
    assert token.approve(ALICE, Account(BOB), 10 * HELD) == {"Ok": 1}
    answer = token.transfer_from(BOB, Account(ALICE), Account(BOB), HELD)
    assert err(answer) == ("InsufficientFunds", {"balance": HELD - FEE})
    assert token.allowance(Account(ALICE), Account(BOB))[0] == 10 * HELD


def test_an_approval_ends_at_its_time(token: Token, replica: Replica) -> None:
    soon = replica.now_ns + 60 * SECOND
    assert err(token.approve(ALICE, Account(BOB), 9 * FEE, expires_at=replica.now_ns))[0] == "Expired"
    assert token.approve(ALICE, Account(BOB), 9 * FEE, expires_at=soon) == {"Ok": 1}
    assert token.transfer_from(BOB, Account(ALICE), Account(BOB), 1) == {"Ok": 2}
    assert token.allowance(Account(ALICE), Account(BOB)) == (8 * FEE - 1, soon)
    replica.advance(60)
    assert token.allowance(Account(ALICE), Account(BOB)) == (0, None)
    assert err(token.transfer_from(BOB, Account(ALICE), Account(BOB), 1))[0] == "InsufficientAllowance"


def test_an_approval_may_say_what_it_replaces(token: Token, replica: Replica) -> None:
    args = {"expected_allowance": 0, "created_at_time": replica.now_ns}
    assert token.approve(ALICE, Account(BOB), 7, **args) == {"Ok": 1}
    assert err(token.approve(ALICE, Account(BOB), 7, **args)) == ("Duplicate", {"duplicate_of": 1})
    answer = token.approve(ALICE, Account(BOB), 8, expected_allowance=0)
    assert err(answer) == ("AllowanceChanged", {"current_allowance": 7})
    assert token.approve(ALICE, Account(BOB), 8, expected_allowance=7) == {"Ok": 2}


def test_one_needs_no_allowance_for_what_is_ones_own(token: Token) -> None:
    assert token.transfer_from(ALICE, Account(ALICE), Account(BOB), 5) == {"Ok": 1}
    with pytest.raises(RejectError, match="self-approval"):
        token.approve(ALICE, Account(ALICE, SUB), 5)


def test_a_transfer_from_is_done_once_too(token: Token, replica: Replica) -> None:
    token.approve(ALICE, Account(BOB), 10 * FEE)
    pull = (Account(ALICE), Account(BOB, SUB), 5)
    assert token.transfer_from(BOB, *pull, created_at_time=replica.now_ns) == {"Ok": 2}
    assert err(token.transfer_from(BOB, *pull, created_at_time=replica.now_ns)) == ("Duplicate", {"duplicate_of": 2})
    assert token.balance(Account(BOB, SUB)) == 5


def test_an_upgrade_keeps_everything(token: Token, replica: Replica) -> None:
    args = {"created_at_time": replica.now_ns}
    token.approve(ALICE, Account(BOB), 77)
    token.transfer(ALICE, Account(BOB), 5, **args)
    arg = ledger.install_arg(symbol="X", name="X", decimals=0, fee=0, minting=Account(BOB))
    replica.install(token.id, built("devnet_ledger").wasm, arg, MINTER, mode="upgrade")
    assert token.ask("icrc1_symbol", Text) == "DEV"
    assert token.balance(Account(BOB)) == 5
    assert token.allowance(Account(ALICE), Account(BOB)) == (77, None)
    assert err(token.transfer(ALICE, Account(BOB), 5, **args)) == ("Duplicate", {"duplicate_of": 2})


# -- misbehaviour


def test_only_the_owner_of_the_minting_account_orders_misbehaviour(token: Token, replica: Replica) -> None:
    orders = {
        "misbehave": ledger.misbehave_arg("icrc1_transfer", "TrapBefore"),
        "release": candid.NO_ARGUMENTS,
        "set_fee": candid.encode(Nat, 1),
    }
    for method, arg in orders.items():
        with pytest.raises(RejectError, match="minting account"):
            replica.update(token.id, method, arg, ALICE)
    assert token.transfer(ALICE, Account(BOB), 5) == {"Ok": 1}


@pytest.mark.parametrize("fault", ["TrapBefore", "RejectBefore"])
def test_a_reject_before_anything_moved(token: Token, fault: str) -> None:
    token.misbehave("icrc1_transfer", fault)
    with pytest.raises(RejectError, match="nothing moved"):
        token.transfer(ALICE, Account(BOB), 5)
    assert token.balance(Account(BOB)) == 0
    assert token.transfer(ALICE, Account(BOB), 5) == {"Ok": 1}  # once only


@pytest.mark.parametrize("fault", ["TrapAfter", "RejectAfter"])
def test_a_reject_although_it_moved(token: Token, replica: Replica, fault: str) -> None:
    token.misbehave("icrc1_transfer", fault)
    with pytest.raises(RejectError, match="it moved"):
        token.transfer(ALICE, Account(BOB), 5, created_at_time=replica.now_ns)
    assert token.balance(Account(BOB)) == 5
    answer = token.transfer(ALICE, Account(BOB), 5, created_at_time=replica.now_ns)
    assert err(answer) == ("Duplicate", {"duplicate_of": 1})


@pytest.mark.parametrize(
    "error",
    [{"TemporarilyUnavailable": None}, {"GenericError": {"error_code": 7, "message": "no"}}],
    ids=lambda e: next(iter(e)),
)
def test_an_error_of_ones_choice(token: Token, error: dict[str, object]) -> None:
    for method in ("icrc1_transfer", "icrc2_transfer_from", "icrc2_approve"):
        token.misbehave(method, {"Err": error})
    assert token.transfer(ALICE, Account(BOB), 5) == {"Err": error}
    assert token.transfer_from(ALICE, Account(ALICE), Account(BOB), 5) == {"Err": error}
    assert token.approve(ALICE, Account(BOB), 5) == {"Err": error}
    assert len(token.blocks()) == 1


def test_a_wrong_block_and_a_lie(token: Token) -> None:
    token.misbehave("icrc1_transfer", {"WrongBlock": 999}, {"Unmoved": 1000})
    assert token.transfer(ALICE, Account(BOB), 5) == {"Ok": 999}
    assert token.balance(Account(BOB)) == 5
    assert token.transfer(ALICE, Account(BOB), 5) == {"Ok": 1000}
    assert token.balance(Account(BOB)) == 5


def test_an_answer_that_nobody_can_decode(token: Token) -> None:
    token.approve(ALICE, Account(BOB), 1000 * FEE)
    token.mumble()
    with pytest.raises(Unavailable, match="not the Candid"):
        token.transfer(ALICE, Account(BOB), 5)
    with pytest.raises(Unavailable, match="not the Candid"):
        token.transfer_from(BOB, Account(ALICE), Account(BOB), 6)
    token.speak()
    assert token.balance(Account(BOB)) == 11
    assert token.transfer(ALICE, Account(BOB), 7) == {"Ok": 4}


def test_an_answer_that_comes_late(token: Token, replica: Replica) -> None:
    token.misbehave("icrc1_transfer", {"Late": 10_000})
    arg = candid.encode(ledger.TransferArgs, transfer_args(Account(BOB), 5))
    request = replica.submit(token.id, "icrc1_transfer", arg, ALICE)
    for _ in range(20):
        assert replica.step()
    assert token.balance(Account(BOB)) == 5  # it has moved
    assert replica.outcome(request) is None
    token.release()
    outcome = replica.outcome(request)
    assert outcome is not None
    assert candid.decode(ledger.TransferResult, outcome.unwrap()) == {"Ok": 1}


def test_a_late_answer_comes_by_itself_in_the_end(token: Token) -> None:
    token.misbehave("icrc1_transfer", {"Late": 50})
    assert token.transfer(ALICE, Account(BOB), 5) == {"Ok": 1}


def test_misbehaviour_towards_one_account_only(token: Token) -> None:
    token.misbehave("icrc1_transfer", "TrapBefore", "TrapBefore", of=Account(BOB, SUB))
    assert token.transfer(ALICE, Account(BOB), 5) == {"Ok": 1}
    with pytest.raises(RejectError):
        token.transfer(ALICE, Account(BOB, SUB), 5)
    token.misbehave("icrc1_transfer", of=Account(BOB, SUB))  # behaves again
    assert token.transfer(ALICE, Account(BOB, SUB), 5) == {"Ok": 2}


def test_a_query_fails_until_it_is_told_otherwise(token: Token) -> None:
    token.misbehave("icrc1_balance_of", "TrapBefore", of=Account(BOB))
    for _ in range(2):
        with pytest.raises(RejectError, match="misbehaving"):
            token.balance(Account(BOB))
    assert token.balance(Account(ALICE)) == HELD
    token.misbehave("icrc1_balance_of", of=Account(BOB))
    assert token.balance(Account(BOB)) == 0
