"""Refunding: from the timelock on the sender is paid back, whoever asks."""

from __future__ import annotations

from dataclasses import replace

from web3.contract import Contract

from tests.contract.operations import Operations, State
from tests.contract.rig import Chain, Terms


def test_s5_a_refund_at_the_timelock_by_a_third_party_pays_the_sender(
    do: Operations, chain: Chain, terms: Terms
) -> None:
    do.lock(terms)
    held, had = chain.balance(do.htlc.address), chain.balance(terms.sender)
    do.refund(terms, at=terms.timelock, by=chain.other)
    assert chain.balance(terms.sender) == had + terms.amount
    assert chain.balance(do.htlc.address) == held - terms.amount


def test_s5_a_refund_of_tokens_pays_the_sender(do: Operations, chain: Chain, terms: Terms, token: Contract) -> None:
    terms = replace(terms, token=token.address)
    had = chain.balance(terms.sender, token)
    do.lock(terms)
    do.refund(terms, at=terms.timelock)
    assert chain.balance(terms.sender, token) == had
    assert chain.balance(do.htlc.address, token) == 0


def test_a_refund_a_second_before_the_timelock_is_refused(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    with do.refuses("NotDue", terms.timelock):
        do.refund(terms, at=terms.timelock - 1)
    assert do.state(terms) is State.LOCKED


def test_a_refund_with_an_earlier_timelock_than_locked_finds_no_lock(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    with do.refuses("NotLocked"):
        do.refund(replace(terms, timelock=terms.fund_by + 1), at=terms.fund_by + 1)


def test_refunded_tells_the_id(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    (log,) = do.refund(terms, at=terms.timelock)["logs"]
    assert do.htlc.events.Refunded().process_log(log)["args"] == {"id": terms.lock_id(do.htlc, do.chain.id)}


def test_a_second_refund_gets_nothing(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    do.refund(terms, at=terms.timelock)
    with do.refuses("NotLocked"):
        do.refund(terms)


def test_a_refund_after_a_claim_gets_nothing(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    do.claim(terms)
    with do.refuses("NotLocked"):
        do.refund(terms, at=terms.timelock)


def test_a_refund_without_a_lock_gets_nothing(do: Operations, terms: Terms) -> None:
    with do.refuses("NotLocked"):
        do.refund(terms, at=terms.timelock)


def test_nobody_but_the_sender_of_the_lock_is_refunded(do: Operations, chain: Chain, terms: Terms) -> None:
    do.lock(terms)
    with do.refuses("NotLocked"):
        do.refund(replace(terms, sender=chain.other), at=terms.timelock)


def test_a_sender_contract_that_refuses_money_can_be_refunded_later(
    do: Operations, chain: Chain, terms: Terms, payee: Contract
) -> None:
    terms = replace(terms, sender=payee.address)
    lock = do.lock_call(terms)._encode_transaction_data()
    chain.send(payee.functions.act(do.htlc.address, lock), chain.other, value=terms.amount)
    chain.send(payee.functions.refuse(True), chain.other)
    with do.refuses("TransferFailed"):
        do.refund(terms, at=terms.timelock)
    assert do.state(terms) is State.LOCKED
    chain.send(payee.functions.refuse(False), chain.other)
    do.refund(terms)
    assert chain.balance(payee.address) == terms.amount


def test_a_sender_contract_that_calls_back_is_refunded_once(
    do: Operations, chain: Chain, terms: Terms, payee: Contract
) -> None:
    do.lock(replace(terms, preimage=bytes(31) + b"3"))  # money of others is there to be stolen
    terms = replace(terms, sender=payee.address)
    lock = do.lock_call(terms)._encode_transaction_data()
    chain.send(payee.functions.act(do.htlc.address, lock), chain.other, value=terms.amount)
    again = do.htlc.functions.refund(terms.words)._encode_transaction_data()
    chain.send(payee.functions.plan(do.htlc.address, again), chain.other)
    do.refund(terms, at=terms.timelock)
    assert not payee.functions.succeeded().call()
    assert chain.balance(payee.address) == terms.amount
