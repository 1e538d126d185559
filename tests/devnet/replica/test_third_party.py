"""Canisters that others wrote in Rust and compiled, as they are.

icp-cli's proxy, from npm, makes calls for its controller: to the swap canister, as a wallet or an exchange would. The
ledger of the ICRC standards is in no package registry; where SWAPD_ICRC_LEDGER_WASM names it, it passes the tests that
the devnet ledger passes, and the swap canister moves its tokens.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swapd.chains.icp import candid, interface
from swapd.chains.icp.candid.types import (
    Blob,
    Bool,
    Nat,
    Nat8,
    Nat16,
    Nat64,
    Null,
    Opt,
    Principal,
    Record,
    Text,
    Tuple,
    Type,
    Variant,
    Vec,
)
from swapd.chains.icp.principal import Account
from swapd.devnet import ledger, third_party
from swapd.devnet.canisters import built
from swapd.devnet.replica import ManualClock, RejectError, Replica
from swapd.errors import Invalid, Unavailable
from tests.canister import rig as rigs
from tests.canister.rig import AMOUNT, HOUR, Rig
from tests.canister.words import SwapAnswer
from tests.canisters.token import ALICE, BOB, FEE, HELD, MINTER, Token

OWNER = b"\x0aowner\x01"
DAY, DRIFT = 86_400, 120
SECOND = 10**9

# -- the proxy of icp-cli

PROXY_ARGS = Record({"canister_id": Principal, "method": Text, "args": Blob, "cycles": Nat})
PROXY_RESULT = Variant(
    {
        "Ok": Record({"result": Blob}),
        "Err": Variant(
            {
                "InsufficientCycles": Record({"available": Nat, "required": Nat}),
                "CallFailed": Record({"reason": Text}),
                "UnauthorizedUser": Null,
            }
        ),
    }
)


class Proxy:
    """OWNER is its controller."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.id = replica.create_canister(OWNER)
        try:
            replica.install(self.id, third_party.proxy(), candid.NO_ARGUMENTS, OWNER)
        except Unavailable as error:
            pytest.skip(str(error))

    @property
    def cycles(self) -> int:
        return self.replica.canister(self.id).cycles

    def ask(self, canister: bytes, method: str, args: bytes, *, cycles: int = 0, by: bytes = OWNER) -> Any:
        asked = {"canister_id": canister, "method": method, "args": args, "cycles": cycles}
        reply = self.replica.update(self.id, "proxy", candid.encode(PROXY_ARGS, asked), by)
        return candid.decode(PROXY_RESULT, reply)

    def call(self, canister: bytes, method: str, given: Type, value: object, reply: Type) -> Any:
        return candid.decode(reply, self.ask(canister, method, candid.encode(given, value))["Ok"]["result"])


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def proxy(rig: Rig) -> Proxy:
    proxy = Proxy(rig.replica)
    rig.holders.add(proxy.id)
    return proxy


def test_a_canister_in_rust_locks_and_refunds_a_swap_of_its_own(rig: Rig, proxy: Proxy) -> None:
    rig.token.transfer(ALICE, Account(proxy.id), 2 * AMOUNT)
    args = rig.terms(refund_to=Account(proxy.id))
    swap_id = rig.escrow.id(proxy.id, args["nonce"])
    approval = {"spender": ledger.account(Account(rig.id, swap_id)), "amount": AMOUNT + 2 * FEE}
    approved = proxy.call(rig.token.id, "icrc2_approve", interface.ApproveArgs, approval, interface.ApproveResult)
    assert "Ok" in approved
    begun = proxy.call(rig.id, "initiateSwap", interface.InitiateArgs, args, SwapAnswer)["Ok"]
    assert (begun["id"], begun["initiator"], begun["phase"]) == (swap_id, proxy.id, {"Locked": None})
    assert rig.held(swap_id) == AMOUNT + FEE
    rig.advance(2 * HOUR / SECOND + 61)  # by the sweep
    assert rig.phase(swap_id) == "Refunded"
    assert rig.balance(proxy.id) == 2 * AMOUNT - 3 * FEE
    rig.sound()


def test_a_canister_in_rust_claims_for_the_recipient(rig: Rig, proxy: Proxy) -> None:
    swap_id = rig.locked()
    claim = {"id": swap_id, "secret": rigs.SECRET}
    done = proxy.call(rig.id, "completeSwap", interface.CompleteArgs, claim, SwapAnswer)["Ok"]
    assert done["phase"] == {"Claimed": None}
    assert rig.balance(BOB) == AMOUNT
    rig.sound()


def test_it_hears_why_a_call_failed(rig: Rig, proxy: Proxy) -> None:
    (reason,) = proxy.ask(rig.id, "nowhere", candid.NO_ARGUMENTS)["Err"]["CallFailed"].values()
    assert "has no update method 'nowhere'" in reason
    (reason,) = proxy.ask(b"\x7f" * 10, "anything", candid.NO_ARGUMENTS)["Err"]["CallFailed"].values()
    assert "not found" in reason.lower()


def test_it_obeys_its_controllers_only(rig: Rig, proxy: Proxy) -> None:
    with pytest.raises(RejectError):  # by its inspect_message
        proxy.ask(rig.id, "nowhere", candid.NO_ARGUMENTS, by=BOB)
    other = Proxy(rig.replica)
    asked = {"canister_id": rig.id, "method": "nowhere", "args": candid.NO_ARGUMENTS, "cycles": 0}
    assert other.call(proxy.id, "proxy", PROXY_ARGS, asked, PROXY_RESULT) == {"Err": {"UnauthorizedUser": None}}


def test_cycles_that_nobody_accepts_come_back(rig: Rig, proxy: Proxy) -> None:
    before, sent = proxy.cycles, 10**12
    assert "Ok" in proxy.ask(rig.token.id, "icrc1_fee", candid.NO_ARGUMENTS, cycles=sent)
    assert before - proxy.cycles < sent // 100, "the price of two messages"
    answer = proxy.ask(rig.token.id, "icrc1_fee", candid.NO_ARGUMENTS, cycles=10**20)
    assert answer["Err"]["InsufficientCycles"]["available"] < 10**20


# -- the ledger of the ICRC standards

ACCOUNT = interface.Account
LEDGER_INIT = Record(
    {
        "minting_account": ACCOUNT,
        "fee_collector_account": Opt(ACCOUNT),
        "transfer_fee": Nat,
        "decimals": Opt(Nat8),
        "max_memo_length": Opt(Nat16),
        "token_symbol": Text,
        "token_name": Text,
        "metadata": Vec(Tuple(Text, Variant({"Text": Text}))),
        "initial_balances": Vec(Tuple(ACCOUNT, Nat)),
        "feature_flags": Opt(Record({"icrc2": Bool})),
        "archive_options": Record(
            {"num_blocks_to_archive": Nat64, "trigger_threshold": Nat64, "controller_id": Principal}
        ),
    }
)
"""Of `ledger.did` in DFINITY's ledger suite, without options that are not used here."""
LEDGER_ARG = Variant({"Init": LEDGER_INIT, "Upgrade": Opt(Record({}))})
NO_ARCHIVE = {"num_blocks_to_archive": 1_000, "trigger_threshold": 1_000_000, "controller_id": MINTER}


class DfinityToken(Token):
    """The same tokens in the same hands, on DFINITY's ledger."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.id = replica.create_canister(MINTER)
        init = {
            "minting_account": ledger.account(Account(MINTER)),
            "transfer_fee": FEE,
            "decimals": 8,
            "token_symbol": "DEV",
            "token_name": "Devnet token",
            "metadata": [],
            "initial_balances": [(ledger.account(Account(ALICE)), HELD)],
            "feature_flags": {"icrc2": True},
            "archive_options": NO_ARCHIVE,
        }
        replica.install(self.id, _icrc_ledger(), candid.encode(LEDGER_ARG, {"Init": init}), MINTER)
        replica.settle()

    def upgrade(self) -> None:
        self.replica.install(
            self.id, _icrc_ledger(), candid.encode(LEDGER_ARG, {"Upgrade": None}), MINTER, mode="upgrade"
        )
        self.replica.settle()


class DevnetToken(Token):
    def upgrade(self) -> None:
        self.speak()


def _icrc_ledger() -> bytes:
    wasm = third_party.icrc_ledger()
    if wasm is None:
        pytest.skip(f"DFINITY's ledger is in no package registry: name a copy of it in {third_party.LEDGER}")
    return wasm


Make = Callable[[Replica], Any]


@pytest.fixture(params=[DevnetToken, DfinityToken], ids=["devnet", "dfinity"])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


@pytest.fixture
def replica() -> Replica:
    return Replica(clock=ManualClock())


@pytest.fixture
def token(make: Make, replica: Replica) -> Any:
    return make(replica)


@pytest.fixture
def swaps(make: Make, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """The swap canister with that ledger."""
    monkeypatch.setattr(rigs, "Token", make)
    return Rig()


def test_the_ledger_is_read_packed_or_not_and_nothing_else_is_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wasm = built("devnet_ledger").wasm
    for name, content in {"ledger.wasm": wasm, "ledger.wasm.gz": gzip.compress(wasm)}.items():
        (tmp_path / name).write_bytes(content)
        monkeypatch.setenv(third_party.LEDGER, str(tmp_path / name))
        assert third_party.icrc_ledger() == wasm
    for name, content in {"page.html": b"<html>", "cut.gz": gzip.compress(wasm)[:1000]}.items():
        (tmp_path / name).write_bytes(content)
        monkeypatch.setenv(third_party.LEDGER, str(tmp_path / name))
        with pytest.raises(Invalid, match="expected a file with a Wasm module"):
            third_party.icrc_ledger()
    monkeypatch.setenv(third_party.LEDGER, str(tmp_path / "nowhere"))
    with pytest.raises(Invalid, match="nowhere"):
        third_party.icrc_ledger()


def err(answer: Any) -> str:
    (name,) = answer["Err"]
    return str(name)


def test_a_transfer_moves_the_amount_and_takes_the_fee(token: Any) -> None:
    assert "Ok" in token.transfer(ALICE, Account(BOB, b"\x07" * 32), AMOUNT, fee=FEE, memo=b"m" * 32)
    assert token.balance(Account(ALICE)) == HELD - AMOUNT - FEE
    assert token.balance(Account(BOB, b"\x07" * 32)) == AMOUNT
    assert token.supply() == HELD - FEE
    assert err(token.transfer(ALICE, Account(BOB), HELD)) == "InsufficientFunds"
    assert token.transfer(ALICE, Account(BOB), 1, fee=FEE + 1) == {"Err": {"BadFee": {"expected_fee": FEE}}}


def test_an_approval_lets_its_spender_and_nobody_else_take_its_amount(token: Any) -> None:
    spender = Account(BOB, b"\x01" * 32)
    assert "Ok" in token.approve(ALICE, spender, AMOUNT + FEE, fee=FEE)
    assert token.allowance(Account(ALICE), spender) == (AMOUNT + FEE, None)
    taken = {"source": Account(ALICE), "to": Account(BOB), "amount": AMOUNT, "fee": FEE}
    assert err(token.transfer_from(BOB, **taken)) == "InsufficientAllowance"
    assert "Ok" in token.transfer_from(BOB, **taken, spender_subaccount=spender.subaccount)
    assert token.balance(Account(BOB)) == AMOUNT
    assert token.balance(Account(ALICE)) == HELD - AMOUNT - 2 * FEE
    assert token.allowance(Account(ALICE), spender) == (0, None)


def test_an_approval_ends_at_its_time(token: Any, replica: Replica) -> None:
    ends = replica.now_ns + 60 * SECOND
    assert "Ok" in token.approve(ALICE, Account(BOB), AMOUNT + FEE, expires_at=ends)
    replica.advance(61)
    assert err(token.transfer_from(BOB, Account(ALICE), Account(BOB), AMOUNT)) == "InsufficientAllowance"
    assert err(token.approve(ALICE, Account(BOB), AMOUNT, expires_at=ends)) == "Expired"


def test_a_call_with_a_time_is_done_once_in_a_day(token: Any, replica: Replica) -> None:
    now = replica.now_ns
    token.approve(ALICE, Account(BOB), 10 * (AMOUNT + FEE))
    transfers: list[Callable[[], Any]] = [
        lambda: token.transfer(ALICE, Account(BOB), AMOUNT, memo=b"once", created_at_time=now),
        lambda: token.transfer_from(BOB, Account(ALICE), Account(BOB), AMOUNT, memo=b"once", created_at_time=now),
    ]
    for transfer in transfers:
        block = transfer()["Ok"]
        assert transfer() == {"Err": {"Duplicate": {"duplicate_of": block}}}
    replica.advance(DAY - 60)
    assert [err(transfer()) for transfer in transfers] == ["Duplicate", "Duplicate"]
    replica.advance(60 + DRIFT + 1)
    assert [err(transfer()) for transfer in transfers] == ["TooOld", "TooOld"]
    ahead = replica.now_ns + (DRIFT + 1) * SECOND
    assert err(token.transfer(ALICE, Account(BOB), AMOUNT, created_at_time=ahead)) == "CreatedInFuture"
    assert token.balance(Account(BOB)) == 2 * AMOUNT


def test_an_upgrade_keeps_balances_allowances_and_what_was_done(token: Any, replica: Replica) -> None:
    now = replica.now_ns
    block = token.transfer(ALICE, Account(BOB), AMOUNT, created_at_time=now)["Ok"]
    token.approve(ALICE, Account(BOB), AMOUNT)
    before = token.balance(Account(ALICE)), token.balance(Account(BOB)), token.supply()
    token.upgrade()
    assert (token.balance(Account(ALICE)), token.balance(Account(BOB)), token.supply()) == before
    assert token.allowance(Account(ALICE), Account(BOB)) == (AMOUNT, None)
    again = token.transfer(ALICE, Account(BOB), AMOUNT, created_at_time=now)
    assert again == {"Err": {"Duplicate": {"duplicate_of": block}}}


def test_the_swap_canister_locks_and_claims(swaps: Rig) -> None:
    swap_id = swaps.locked()
    assert swaps.held(swap_id) == AMOUNT + FEE
    assert swaps.complete(swap_id)["Ok"]["phase"] == {"Claimed": None}
    assert swaps.phase(swap_id) == "Claimed"
    assert swaps.balance(BOB) == AMOUNT
    assert swaps.held(swap_id) == 0
    assert swaps.balance(ALICE) == HELD - AMOUNT - 3 * FEE


def test_the_swap_canister_locks_and_refunds(swaps: Rig) -> None:
    swap_id = swaps.locked()
    swaps.advance(2 * HOUR / SECOND)
    assert swaps.refund(swap_id)["Ok"]["phase"] == {"Refunded": None}
    assert swaps.held(swap_id) == 0
    assert swaps.balance(ALICE) == HELD - 3 * FEE


def test_a_swap_that_cannot_be_paid_for_is_cancelled(swaps: Rig) -> None:
    args = swaps.terms()
    assert rigs.kind(swaps.initiate(args)) == "LedgerRefused"
    assert swaps.phase(swaps.escrow.id(ALICE, args["nonce"])) == "Cancelled"
    assert swaps.balance(ALICE) == HELD
