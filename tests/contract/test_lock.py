"""Locking: money goes in with exact terms and in time, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from web3 import Web3
from web3.contract import Contract

from tests.contract.operations import Operations, State
from tests.contract.rig import ETH, Chain, Terms


def test_ether_is_held_under_the_id_of_its_terms(do: Operations, chain: Chain, terms: Terms) -> None:
    before = chain.balance(do.htlc.address)
    assert do.state(terms) is State.ABSENT
    do.lock(terms)
    assert do.state(terms) is State.LOCKED
    assert chain.balance(do.htlc.address) == before + terms.amount


def test_tokens_are_held_under_the_id_of_their_terms(
    do: Operations, chain: Chain, terms: Terms, token: Contract
) -> None:
    terms = replace(terms, token=token.address)
    do.lock(terms)
    assert do.state(terms) is State.LOCKED
    assert chain.balance(do.htlc.address, token) == terms.amount


@pytest.mark.parametrize("asset", ["ether", "token"])
def test_locked_tells_the_id_and_all_terms(do: Operations, terms: Terms, token: Contract, asset: str) -> None:
    terms = replace(terms, token=token.address if asset == "token" else ETH)
    receipt = do.lock(terms)
    logs = [log for log in receipt["logs"] if log["address"] == do.htlc.address]
    assert len(logs) == 1
    assert logs[0]["topics"][1] == terms.lock_id(do.htlc, do.chain.id)
    assert logs[0]["topics"][2] == terms.hashlock
    told = do.htlc.events.Locked().process_log(logs[0])["args"]
    assert told == {
        "id": terms.lock_id(do.htlc, do.chain.id),
        "hashlock": terms.hashlock,
        "token": Web3.to_checksum_address(terms.token),
        "amount": terms.amount,
        "sender": terms.sender,
        "receiverAndTimes": terms.receiver_and_times,
    }


def test_the_contract_computes_the_id_that_its_documentation_says(do: Operations, terms: Terms) -> None:
    assert do.htlc.functions.lockId(terms.words).call() == terms.lock_id(do.htlc, do.chain.id)


@pytest.mark.parametrize(
    "change",
    [
        {"preimage": b"another".ljust(32)},
        {"token": "0x" + "11" * 20},
        {"amount": 1},
        {"sender": "0x" + "22" * 20},
        {"receiver": "0x" + "33" * 20},
        {"fund_by": 1},
        {"timelock": 2**48 - 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_term_is_in_the_id(do: Operations, terms: Terms, change: dict[str, object]) -> None:
    other = replace(terms, **change)  # type: ignore[arg-type]
    ids = [do.htlc.functions.lockId(each.words).call() for each in (terms, other)]
    assert ids[0] != ids[1]


def test_no_ether_is_refused(do: Operations, terms: Terms) -> None:
    with do.refuses("ZeroAmount"):
        do.lock(replace(terms, amount=0))


def test_no_tokens_are_refused(do: Operations, terms: Terms, token: Contract) -> None:
    with do.refuses("ZeroAmount"):
        do.lock(replace(terms, amount=0, token=token.address))


def test_no_receiver_is_refused(do: Operations, terms: Terms) -> None:
    with do.refuses("ZeroReceiver"):
        do.lock(replace(terms, receiver=ETH))


def test_a_token_lock_that_carries_ether_is_refused(do: Operations, terms: Terms, token: Contract) -> None:
    call = do.lock_call(replace(terms, token=token.address))
    # web3 would not send value to a function that takes none, so the bytes are sent as they are
    raw = {"from": terms.sender, "to": do.htlc.address, "data": call._encode_transaction_data(), "value": "0x1"}
    txid = do.chain.rpc("eth_sendTransaction", {**raw, "gas": hex(1_000_000)})
    assert do.chain.mine([txid])[0]["status"] == 0
    assert do.state(terms) is State.ABSENT


def test_ether_sent_without_a_call_is_refused(do: Operations) -> None:
    raw = {"from": do.chain.sender, "to": do.htlc.address, "value": "0x1", "gas": hex(100_000)}
    txid = do.chain.rpc("eth_sendTransaction", raw)
    assert do.chain.mine([txid])[0]["status"] == 0


def test_s3_a_lock_mined_at_fund_by_is_made(do: Operations, terms: Terms) -> None:
    do.lock(terms, at=terms.fund_by)
    assert do.state(terms) is State.LOCKED


def test_s3_a_lock_that_waited_past_fund_by_locks_nothing(do: Operations, terms: Terms) -> None:
    with do.refuses("FundingClosed", terms.fund_by):
        do.lock(terms, at=terms.fund_by + 1)
    assert do.state(terms) is State.ABSENT


def test_s3_a_token_lock_that_waited_past_fund_by_leaves_the_tokens(
    do: Operations, chain: Chain, terms: Terms, token: Contract
) -> None:
    terms = replace(terms, token=token.address)
    before = chain.balance(terms.sender, token)
    with do.refuses("FundingClosed", terms.fund_by):
        do.lock(terms, at=terms.fund_by + 1)
    assert chain.balance(terms.sender, token) == before


@pytest.mark.parametrize("lateness", [0, 1])
def test_s3_fund_by_lies_before_the_timelock(do: Operations, terms: Terms, lateness: int) -> None:
    with do.refuses("TimesOutOfOrder"):
        do.lock(replace(terms, fund_by=terms.timelock + lateness))


def test_more_tokens_than_allowed_are_not_taken(do: Operations, chain: Chain, terms: Terms, token: Contract) -> None:
    terms = replace(terms, token=token.address)
    chain.send(token.functions.approve(do.htlc.address, terms.amount - 1), terms.sender)
    with do.refuses("WrongAmountReceived", 0):
        do.lock(terms)
    chain.send(token.functions.approve(do.htlc.address, terms.amount), terms.sender)
    do.lock(terms)
    assert chain.balance(do.htlc.address, token) == terms.amount


@pytest.mark.parametrize("address", [ETH, "0x" + "de" * 20, "0x" + "02".zfill(40), "0x" + "04".zfill(40)], ids=str)
def test_a_token_without_code_is_refused(do: Operations, terms: Terms, address: str) -> None:
    call = do.htlc.functions.lockErc20(
        terms.hashlock, Web3.to_checksum_address(address), terms.amount, terms.receiver_and_times
    )
    with do.refuses("WrongAmountReceived", 0):
        do.chain.send(call, terms.sender)


def test_a_token_address_with_stray_bits_is_refused(do: Operations, terms: Terms, token: Contract) -> None:
    terms = replace(terms, token=token.address)
    data = bytearray.fromhex(do.lock_call(terms)._encode_transaction_data()[2:])
    data[4 + 32] = 1
    raw = {"from": terms.sender, "to": do.htlc.address, "data": "0x" + data.hex(), "gas": hex(1_000_000)}
    txid = do.chain.rpc("eth_sendTransaction", raw)
    assert do.chain.mine([txid])[0]["status"] == 0
