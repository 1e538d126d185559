"""Batches: all or nothing, and to the unit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from web3 import Web3
from web3.contract import Contract

from tests.contract.operations import Operations, State
from tests.contract.rig import Chain, Terms

FIRST, SECOND = (Web3.to_checksum_address(byte * 20) for byte in (b"\xa1", b"\xa2"))


@pytest.fixture
def batch(terms: Terms) -> list[Terms]:
    """Four locks of 1, 2, 3 and 4 wei."""
    return [replace(terms, preimage=terms.preimage[:31] + bytes([n]), amount=n) for n in (1, 2, 3, 4)]


def test_a_batch_locks_each_of_its_terms(do: Operations, chain: Chain, batch: list[Terms]) -> None:
    held = chain.balance(do.htlc.address)
    do.batch_lock(batch)
    assert {do.state(terms) for terms in batch} == {State.LOCKED}
    assert chain.balance(do.htlc.address) == held + 10


@pytest.mark.parametrize("value", [0, 9, 11])
def test_a_value_that_is_not_the_sum_is_refused(do: Operations, batch: list[Terms], value: int) -> None:
    with do.refuses("WrongValue", 10):
        do.batch_lock(batch, value)
    assert {do.state(terms) for terms in batch} == {State.ABSENT}


def test_amounts_that_overflow_to_the_value_are_refused(do: Operations, batch: list[Terms]) -> None:
    batch = [replace(batch[0], amount=2**256 - 1), replace(batch[1], amount=2)]
    with do.refuses(""):  # a panic of checked arithmetic
        do.batch_lock(batch, 1)


def test_value_without_locks_is_refused(do: Operations) -> None:
    with do.refuses("WrongValue", 0):
        do.batch_lock([], 1)


def test_s4_two_locks_of_the_same_terms_undo_the_batch(do: Operations, batch: list[Terms]) -> None:
    with do.refuses("UsedBefore"):
        do.batch_lock([batch[0], batch[0]], 2)
    assert do.state(batch[0]) is State.ABSENT


def test_one_bad_lock_undoes_the_batch(do: Operations, chain: Chain, batch: list[Terms]) -> None:
    do.lock(batch[3])
    held = chain.balance(do.htlc.address)
    with do.refuses("UsedBefore"):
        do.batch_lock(batch)
    assert [do.state(terms) for terms in batch] == [State.ABSENT, State.ABSENT, State.ABSENT, State.LOCKED]
    assert chain.balance(do.htlc.address) == held


def test_one_wrong_claim_undoes_the_batch(do: Operations, chain: Chain, batch: list[Terms]) -> None:
    do.batch_lock(batch[:3])
    held = chain.balance(do.htlc.address)
    with do.refuses("NotLocked"):
        do.batch_claim(batch)
    assert {do.state(terms) for terms in batch[:3]} == {State.LOCKED}
    assert chain.balance(do.htlc.address) == held


def test_the_same_claim_twice_undoes_the_batch(do: Operations, batch: list[Terms]) -> None:
    do.batch_lock(batch)
    with do.refuses("NotLocked"):
        do.batch_claim([*batch, batch[0]])
    assert {do.state(terms) for terms in batch} == {State.LOCKED}


def test_one_payee_that_refuses_undoes_the_batch(
    do: Operations, chain: Chain, batch: list[Terms], payee: Contract
) -> None:
    batch = [*batch[:3], replace(batch[3], receiver=payee.address)]
    do.batch_lock(batch)
    chain.send(payee.functions.refuse(True), chain.other)
    had = chain.balance(chain.receiver)
    with do.refuses("TransferFailed"):
        do.batch_claim(batch)
    assert {do.state(terms) for terms in batch} == {State.LOCKED}
    assert chain.balance(chain.receiver) == had


def test_a_batch_pays_every_receiver_its_own(do: Operations, chain: Chain, batch: list[Terms]) -> None:
    receivers = [FIRST, FIRST, SECOND, FIRST]
    batch = [replace(terms, receiver=receiver) for terms, receiver in zip(batch, receivers, strict=True)]
    had = chain.balance(FIRST), chain.balance(SECOND)
    do.batch_lock(batch)
    do.batch_claim(batch)
    assert chain.balance(FIRST) == had[0] + 1 + 2 + 4
    assert chain.balance(SECOND) == had[1] + 3


def test_consecutive_claims_for_one_receiver_are_paid_at_once(
    do: Operations, chain: Chain, batch: list[Terms], payee: Contract
) -> None:
    batch = [replace(terms, receiver=payee.address) for terms in batch]
    do.batch_lock(batch)
    do.batch_claim(batch)
    assert payee.functions.timesPaid().call() == 1
    assert chain.balance(payee.address) == 10


def test_locks_of_one_receiver_with_different_times_are_paid_at_once(
    do: Operations, chain: Chain, batch: list[Terms], payee: Contract
) -> None:
    batch = [replace(terms, receiver=payee.address, timelock=terms.timelock + terms.amount) for terms in batch]
    do.batch_lock(batch)
    do.batch_claim(batch)
    assert payee.functions.timesPaid().call() == 1
    assert chain.balance(payee.address) == 10


def test_a_batch_pays_ether_and_tokens(do: Operations, chain: Chain, batch: list[Terms], token: Contract) -> None:
    ether, tokens = batch[:2], [replace(terms, token=token.address) for terms in batch[2:]]
    mixed = [replace(terms, receiver=FIRST) for terms in (ether[0], tokens[0], tokens[1], ether[1])]
    had = chain.balance(FIRST)
    for terms in mixed:
        do.lock(terms)
    do.batch_claim(mixed)
    assert chain.balance(FIRST) == had + 1 + 2
    assert chain.balance(FIRST, token) == 3 + 4
    assert chain.balance(do.htlc.address, token) == 0


def test_an_empty_batch_does_nothing(do: Operations, chain: Chain) -> None:
    held = chain.balance(do.htlc.address)
    do.batch_lock([], 0)
    do.batch_claim([])
    assert chain.balance(do.htlc.address) == held


def test_s4_a_batch_claimed_up_to_fund_by_leaves_closed_slots(do: Operations, batch: list[Terms]) -> None:
    do.batch_lock(batch)
    do.batch_claim(batch[:2], at=batch[0].fund_by)
    do.batch_claim(batch[2:], at=batch[0].fund_by + 1)
    assert [do.state(terms) for terms in batch] == [State.CLOSED, State.CLOSED, State.ABSENT, State.ABSENT]
