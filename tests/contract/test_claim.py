"""Claiming: whoever shows the preimage makes the receiver paid, and nobody else, once."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from web3.contract import Contract

from tests.contract.operations import Operations, State
from tests.contract.rig import Chain, Terms, error_selector

STRANGER = "0x52908400098527886E0F7030069857D2E4169EE7"


def test_a_claim_by_a_third_party_pays_the_receiver(do: Operations, chain: Chain, terms: Terms) -> None:
    do.lock(terms)
    held, had = chain.balance(do.htlc.address), chain.balance(terms.receiver)
    do.claim(terms, by=chain.other)
    assert chain.balance(do.htlc.address) == held - terms.amount
    assert chain.balance(terms.receiver) == had + terms.amount


def test_a_receiver_claims_for_itself(do: Operations, chain: Chain, terms: Terms) -> None:
    do.lock(terms)
    had = chain.balance(terms.receiver)
    receipt = do.claim(terms, by=terms.receiver)
    paid = receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert chain.balance(terms.receiver) == had + terms.amount - paid


def test_a_claim_of_tokens_pays_the_receiver(do: Operations, chain: Chain, terms: Terms, token: Contract) -> None:
    terms = replace(terms, token=token.address)
    do.lock(terms)
    do.claim(terms, by=chain.other)
    assert chain.balance(terms.receiver, token) == terms.amount
    assert chain.balance(do.htlc.address, token) == 0


def test_claimed_tells_the_id_and_the_preimage(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    (log,) = do.claim(terms)["logs"]
    assert log["topics"][1] == terms.lock_id(do.htlc, do.chain.id)
    assert do.htlc.events.Claimed().process_log(log)["args"]["preimage"] == terms.preimage


def test_a_wrong_preimage_claims_nothing(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    with do.refuses("NotLocked"):
        do.claim(replace(terms, preimage=bytes(32)))
    assert do.state(terms) is State.LOCKED


def test_the_hashlock_is_no_preimage(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    with do.refuses("NotLocked"):
        do.claim(replace(terms, preimage=terms.hashlock))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_s13_a_preimage_has_exactly_32_bytes(do: Operations, terms: Terms, length: int) -> None:
    """The field is 32 bytes wide: a shorter or longer preimage can only be cut or padded, and then hashes otherwise."""
    odd = bytes(range(1, length + 1))
    lock = do.htlc.functions.lockEther(sha256(odd).digest(), terms.receiver_and_times)
    do.chain.send(lock, terms.sender, terms.amount)
    with do.refuses("NotLocked"):
        do.claim(replace(terms, preimage=odd.ljust(32, b"\0")[:32]))


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 5_000_000_008},
        {"sender": STRANGER},
        {"receiver": STRANGER},
        {"fund_by": 4_000_000_000},
        {"timelock": 4_000_000_000},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_claim_with_another_term_finds_no_lock(do: Operations, terms: Terms, change: dict[str, object]) -> None:
    do.lock(terms)
    with do.refuses("NotLocked"):
        do.claim(replace(terms, **change))  # type: ignore[arg-type]


def test_a_lock_of_ether_cannot_be_claimed_in_tokens(do: Operations, terms: Terms, token: Contract) -> None:
    do.chain.send(token.functions.mint(do.htlc.address, terms.amount), terms.sender)
    do.lock(terms)
    with do.refuses("NotLocked"):
        do.claim(replace(terms, token=token.address))


def test_a_lock_of_tokens_cannot_be_claimed_in_ether(do: Operations, terms: Terms, token: Contract) -> None:
    do.lock(replace(terms, preimage=bytes(31) + b"1"))  # ether is there
    do.lock(replace(terms, token=token.address))
    with do.refuses("NotLocked"):
        do.claim(terms)


def test_stray_bits_in_an_address_find_no_lock(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    sent = do.htlc.functions.claim(terms.claim_words)._encode_transaction_data()
    for word in (1, 3):  # token, sender
        data = bytearray.fromhex(sent[2:])
        data[4 + 32 * word] = 1
        raw = {"from": terms.sender, "to": do.htlc.address, "data": "0x" + data.hex(), "gas": hex(1_000_000)}
        txid = do.chain.rpc("eth_sendTransaction", raw)
        assert do.chain.mine([txid])[0]["status"] == 0
    assert do.state(terms) is State.LOCKED


def test_a_second_claim_gets_nothing(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    do.claim(terms)
    with do.refuses("NotLocked", terms.lock_id(do.htlc, do.chain.id)):
        do.claim(terms)


def test_s6_a_claim_after_the_timelock_still_pays(do: Operations, chain: Chain, terms: Terms) -> None:
    do.lock(terms)
    had = chain.balance(terms.receiver)
    do.claim(terms, at=terms.timelock + 100_000)
    assert chain.balance(terms.receiver) == had + terms.amount


def test_a_claim_after_a_refund_gets_nothing(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    do.refund(terms, at=terms.timelock)
    with do.refuses("NotLocked"):
        do.claim(terms)


def test_a_claim_without_a_lock_gets_nothing(do: Operations, terms: Terms) -> None:
    with do.refuses("NotLocked"):
        do.claim(terms)


def test_a_payee_contract_that_needs_more_than_2300_gas_is_paid(
    do: Operations, chain: Chain, terms: Terms, payee: Contract
) -> None:
    terms = replace(terms, receiver=payee.address)
    do.lock(terms)
    do.claim(terms)
    assert chain.balance(payee.address) == terms.amount
    assert payee.functions.timesPaid().call() == 1


def test_a_refused_payout_changes_nothing_and_can_be_tried_again(
    do: Operations, chain: Chain, terms: Terms, payee: Contract
) -> None:
    terms = replace(terms, receiver=payee.address)
    do.lock(terms)
    chain.send(payee.functions.refuse(True), chain.other)
    with do.refuses("TransferFailed"):
        do.claim(terms)
    assert do.state(terms) is State.LOCKED
    chain.send(payee.functions.refuse(False), chain.other)
    do.claim(terms)
    assert chain.balance(payee.address) == terms.amount


def test_a_lock_whose_receiver_refuses_money_is_refunded(
    do: Operations, chain: Chain, terms: Terms, payee: Contract
) -> None:
    terms = replace(terms, receiver=payee.address)
    do.lock(terms)
    chain.send(payee.functions.refuse(True), chain.other)
    had = chain.balance(terms.sender)
    do.refund(terms, at=terms.timelock)
    assert chain.balance(terms.sender) == had + terms.amount


@pytest.mark.parametrize("function", ["claim", "batchClaim", "refund"])
def test_a_receiver_that_calls_back_is_paid_once(
    do: Operations, chain: Chain, terms: Terms, payee: Contract, function: str
) -> None:
    do.lock(replace(terms, preimage=bytes(31) + b"2"))  # money of others is there to be stolen
    terms = replace(terms, receiver=payee.address)
    do.lock(terms)
    again = {
        "claim": do.htlc.functions.claim(terms.claim_words),
        "batchClaim": do.htlc.functions.batchClaim([terms.claim_words]),
        "refund": do.htlc.functions.refund(terms.words),
    }[function]
    chain.send(payee.functions.plan(do.htlc.address, again._encode_transaction_data()), chain.other)
    do.claim(terms, at=terms.timelock)
    assert payee.functions.timesPaid().call() == 1
    assert not payee.functions.succeeded().call()
    assert payee.functions.answer().call()[:4] == error_selector("NotLocked")
    assert chain.balance(payee.address) == terms.amount
