"""Tokens as they are in the wild: exact amounts go in, and what cannot come out again is not taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum

import pytest
from web3.contract import Contract

from tests.contract.operations import Operations, State
from tests.contract.rig import Chain, Terms, error_selector

MakeToken = Callable[[str], Contract]


class Mood(IntEnum):
    """As in MoodyToken."""

    HONEST = 0
    SAYS_FALSE_AND_MOVES = 1
    SAYS_FALSE_AND_KEEPS = 2
    SAYS_TRUE_AND_KEEPS = 3
    SAYS_TWO_AND_MOVES = 4
    SAYS_ONE_BYTE_AND_MOVES = 5


BAD_MOODS = [mood for mood in Mood if mood is not Mood.HONEST]


def test_a_token_that_returns_nothing_is_locked_claimed_and_refunded(
    do: Operations, chain: Chain, terms: Terms, make_token: MakeToken
) -> None:
    token = make_token("SilentToken")
    first = replace(terms, token=token.address)
    second = replace(first, preimage=bytes(32))
    had = chain.balance(terms.sender, token)
    do.lock(first)
    do.lock(second)
    do.claim(first)
    do.refund(second, at=terms.timelock)
    assert chain.balance(terms.receiver, token) == terms.amount
    assert chain.balance(terms.sender, token) == had - terms.amount
    assert chain.balance(do.htlc.address, token) == 0


def test_a_token_that_keeps_a_fee_is_refused(do: Operations, chain: Chain, terms: Terms, make_token: MakeToken) -> None:
    token = make_token("FeeToken")
    terms = replace(terms, token=token.address, amount=1_000)
    with do.refuses("WrongAmountReceived", 990):
        do.lock(terms)
    assert chain.balance(do.htlc.address, token) == 0
    assert do.state(terms) is State.ABSENT


@pytest.mark.parametrize("mood", BAD_MOODS, ids=lambda mood: mood.name.lower())
def test_a_token_that_does_not_mean_what_it_says_is_not_taken(
    do: Operations, chain: Chain, terms: Terms, make_token: MakeToken, mood: Mood
) -> None:
    token = make_token("MoodyToken")
    chain.send(token.functions.be(mood), chain.other)
    with do.refuses("WrongAmountReceived", 0):
        do.lock(replace(terms, token=token.address))


@pytest.mark.parametrize("mood", [mood for mood in BAD_MOODS if mood is not Mood.SAYS_TRUE_AND_KEEPS])
def test_a_payout_that_the_token_does_not_confirm_can_be_tried_again(
    do: Operations, chain: Chain, terms: Terms, make_token: MakeToken, mood: Mood
) -> None:
    token = make_token("MoodyToken")
    terms = replace(terms, token=token.address)
    do.lock(terms)
    chain.send(token.functions.be(mood), chain.other)
    with do.refuses("TransferFailed"):
        do.claim(terms)
    assert do.state(terms) is State.LOCKED
    chain.send(token.functions.be(Mood.HONEST), chain.other)
    do.claim(terms)
    assert chain.balance(terms.receiver, token) == terms.amount


def test_a_token_whose_code_is_gone_has_not_paid(do: Operations, chain: Chain, terms: Terms, token: Contract) -> None:
    terms = replace(terms, token=token.address)
    do.lock(terms)
    chain.rpc("anvil_setCode", token.address, "0x")
    with do.refuses("TransferFailed"):
        do.claim(terms)


def test_a_barred_receiver_can_be_paid_when_it_is_free_again(
    do: Operations, chain: Chain, terms: Terms, make_token: MakeToken
) -> None:
    token = make_token("BlacklistToken")
    terms = replace(terms, token=token.address)
    do.lock(terms)
    chain.send(token.functions.bar(terms.receiver, True), chain.other)
    with do.refuses("TransferFailed"):
        do.claim(terms)
    chain.send(token.functions.bar(terms.receiver, False), chain.other)
    do.claim(terms)
    assert chain.balance(terms.receiver, token) == terms.amount


def test_a_lock_for_a_barred_receiver_goes_back_to_its_sender(
    do: Operations, chain: Chain, terms: Terms, make_token: MakeToken
) -> None:
    token = make_token("BlacklistToken")
    terms = replace(terms, token=token.address)
    had = chain.balance(terms.sender, token)
    do.lock(terms)
    chain.send(token.functions.bar(terms.receiver, True), chain.other)
    do.refund(terms, at=terms.timelock)
    assert chain.balance(terms.sender, token) == had


@pytest.fixture
def reentrant(make_token: MakeToken, chain: Chain, do: Operations) -> Contract:
    """It holds tokens of its own, and lets the HTLC contract take them."""
    token = make_token("ReentrantToken")
    chain.send(token.functions.mint(token.address, 10**18), chain.other)
    chain.send(token.functions.approveFromSelf(do.htlc.address, 10**18), chain.other)
    return token


def plan(chain: Chain, token: Contract, call: object, less: int = 0) -> None:
    data = call._encode_transaction_data()  # type: ignore[attr-defined]
    chain.send(token.functions.plan(call.address, data, less), chain.other)  # type: ignore[attr-defined]


def test_a_lock_inside_a_lock_is_refused(do: Operations, chain: Chain, terms: Terms, reentrant: Contract) -> None:
    outer = replace(terms, token=reentrant.address)
    inner = replace(outer, sender=reentrant.address)
    plan(chain, reentrant, do.lock_call(inner))
    do.lock(outer)
    assert not reentrant.functions.succeeded().call()
    assert reentrant.functions.answer().call() == error_selector("Reentered")
    assert (do.state(outer), do.state(inner)) == (State.LOCKED, State.ABSENT)


def test_one_payment_is_not_counted_for_two_locks(
    do: Operations, chain: Chain, terms: Terms, reentrant: Contract
) -> None:
    """The outer transfer moves nothing, the inner lock all: the balance would rise by the amount for both of them."""
    outer = replace(terms, token=reentrant.address)
    inner = replace(outer, sender=reentrant.address)
    plan(chain, reentrant, do.lock_call(inner), less=terms.amount)
    with do.refuses("WrongAmountReceived", 0):
        do.lock(outer)
    assert (do.state(outer), do.state(inner)) == (State.ABSENT, State.ABSENT)
    assert chain.balance(do.htlc.address, reentrant) == 0


def test_a_lock_cannot_be_claimed_while_its_tokens_are_on_the_way(
    do: Operations, chain: Chain, terms: Terms, reentrant: Contract
) -> None:
    terms = replace(terms, token=reentrant.address)
    do.lock(replace(terms, preimage=bytes(32)))  # tokens of others are there to be stolen
    plan(chain, reentrant, do.htlc.functions.claim(terms.claim_words))
    do.lock(terms)
    assert reentrant.functions.answer().call()[:4] == error_selector("NotLocked")
    assert chain.balance(do.htlc.address, reentrant) == 2 * terms.amount


def test_a_claim_inside_a_lock_does_not_lower_what_the_lock_must_bring(
    do: Operations, chain: Chain, terms: Terms, reentrant: Contract
) -> None:
    terms = replace(terms, token=reentrant.address)
    earlier = replace(terms, preimage=bytes(32))
    do.lock(earlier)
    plan(chain, reentrant, do.htlc.functions.claim(earlier.claim_words))
    with do.refuses("WrongAmountReceived"):
        do.lock(terms)
    assert (do.state(earlier), do.state(terms)) == (State.LOCKED, State.ABSENT)


def test_more_than_the_amount_is_refused(do: Operations, chain: Chain, terms: Terms, reentrant: Contract) -> None:
    terms = replace(terms, token=reentrant.address)
    plan(chain, reentrant, reentrant.functions.transfer(do.htlc.address, 5))
    with do.refuses("WrongAmountReceived", terms.amount + 5):
        do.lock(terms)


@pytest.mark.parametrize("function", ["claim", "refund"])
def test_a_token_that_calls_back_when_it_pays_pays_once(
    do: Operations, chain: Chain, terms: Terms, reentrant: Contract, function: str
) -> None:
    terms = replace(terms, token=reentrant.address)
    do.lock(replace(terms, preimage=bytes(32)))  # tokens of others are there to be stolen
    do.lock(terms)
    words = terms.claim_words if function == "claim" else terms.words
    plan(chain, reentrant, do.htlc.get_function_by_name(function)(words))
    do.claim(terms, at=terms.timelock)
    assert reentrant.functions.answer().call()[:4] == error_selector("NotLocked")
    assert chain.balance(terms.receiver, reentrant) == terms.amount
    assert chain.balance(do.htlc.address, reentrant) == terms.amount


def test_two_token_locks_in_one_transaction_are_both_made(
    do: Operations, chain: Chain, terms: Terms, token: Contract, payee: Contract
) -> None:
    """The guard against re-entry lasts as long as the call, not as long as the transaction."""
    chain.send(token.functions.mint(payee.address, 2 * terms.amount), chain.other)
    approve = token.functions.approve(do.htlc.address, 2 * terms.amount)._encode_transaction_data()
    chain.send(payee.functions.act(token.address, approve), chain.other)
    both = [replace(terms, token=token.address, sender=payee.address, preimage=bytes(31) + bytes([n])) for n in (1, 2)]
    calls = [do.lock_call(each)._encode_transaction_data() for each in both]
    chain.send(payee.functions.actTwice(do.htlc.address, calls[0], calls[1]), chain.other)
    assert [do.state(each) for each in both] == [State.LOCKED, State.LOCKED]
