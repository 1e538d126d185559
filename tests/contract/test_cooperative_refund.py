"""Cooperative refund: before the timelock with the receiver's word, which is good for this one lock and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from web3.contract import Contract

from tests.contract.operations import Operations, State
from tests.contract.rig import Artifacts, Chain, Terms, htlc_artifact

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def receiver() -> LocalAccount:
    account: LocalAccount = Account.create()
    return account


@pytest.fixture
def terms(terms: Terms, receiver: LocalAccount) -> Terms:
    return replace(terms, receiver=receiver.address)


@pytest.fixture
def signature(do: Operations, terms: Terms, receiver: LocalAccount) -> bytes:
    return terms.signed(receiver.key, do.htlc, do.chain.id)


def test_with_the_receivers_signature_anybody_refunds_the_sender_at_once(
    do: Operations, chain: Chain, terms: Terms, signature: bytes
) -> None:
    do.lock(terms)
    had = chain.balance(terms.sender)
    (log,) = do.cooperative_refund(terms, signature)["logs"]
    assert chain.balance(terms.sender) == had + terms.amount
    assert do.htlc.events.Refunded().process_log(log)["args"] == {"id": terms.lock_id(do.htlc, do.chain.id)}


def test_tokens_go_back_likewise(
    do: Operations, chain: Chain, terms: Terms, receiver: LocalAccount, token: Contract
) -> None:
    terms = replace(terms, token=token.address)
    had = chain.balance(terms.sender, token)
    do.lock(terms)
    do.cooperative_refund(terms, terms.signed(receiver.key, do.htlc, do.chain.id))
    assert chain.balance(terms.sender, token) == had


def test_it_works_after_the_timelock_too(do: Operations, terms: Terms, signature: bytes) -> None:
    do.lock(terms)
    do.cooperative_refund(terms, signature, at=terms.timelock + 1)


def test_a_second_one_gets_nothing(do: Operations, terms: Terms, signature: bytes) -> None:
    do.lock(terms)
    do.cooperative_refund(terms, signature)
    with do.refuses("NotLocked"):
        do.cooperative_refund(terms, signature)


def test_after_a_claim_it_gets_nothing(do: Operations, terms: Terms, signature: bytes) -> None:
    do.lock(terms)
    do.claim(terms)
    with do.refuses("NotLocked"):
        do.cooperative_refund(terms, signature)


def test_without_a_lock_it_gets_nothing(do: Operations, terms: Terms, signature: bytes) -> None:
    with do.refuses("NotLocked"):
        do.cooperative_refund(terms, signature)


def test_somebody_elses_signature_is_refused(do: Operations, terms: Terms) -> None:
    do.lock(terms)
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, terms.signed(Account.create().key, do.htlc, do.chain.id))
    assert do.state(terms) is State.LOCKED


@pytest.mark.parametrize(
    "change",
    [
        {"preimage": bytes(32)},
        {"token": "0x" + "11" * 20},
        {"amount": 1},
        {"sender": "0x" + "22" * 20},
        {"fund_by": 1},
        {"timelock": 2**48 - 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_signature_for_other_terms_is_refused(
    do: Operations, terms: Terms, receiver: LocalAccount, change: dict[str, object]
) -> None:
    do.lock(terms)
    other = replace(terms, **change)  # type: ignore[arg-type]
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, other.signed(receiver.key, do.htlc, do.chain.id))


def test_s13_a_signature_for_another_contract_is_refused(
    do: Operations, chain: Chain, terms: Terms, signature: bytes
) -> None:
    elsewhere = Operations(chain, chain.deploy(htlc_artifact()))
    elsewhere.lock(terms)
    with elsewhere.refuses("NotSignedByReceiver"):
        elsewhere.cooperative_refund(terms, signature)


def test_s13_a_signature_for_another_chain_is_refused(do: Operations, terms: Terms, receiver: LocalAccount) -> None:
    do.lock(terms)
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, terms.signed(receiver.key, do.htlc, do.chain.id + 1))


def test_the_other_form_of_a_signature_is_refused(do: Operations, terms: Terms, signature: bytes) -> None:
    do.lock(terms)
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    malleated = r + (ORDER - s).to_bytes(32) + bytes([27 + 28 - v])
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, malleated)
    do.cooperative_refund(terms, signature)


@pytest.mark.parametrize("recovery", [0, 1, 26, 29, 255])
def test_a_signature_with_an_odd_recovery_number_is_refused(
    do: Operations, terms: Terms, signature: bytes, recovery: int
) -> None:
    do.lock(terms)
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, signature[:64] + bytes([recovery]))


@pytest.mark.parametrize("length", [0, 64, 66])
def test_a_signature_of_another_length_is_refused(do: Operations, terms: Terms, signature: bytes, length: int) -> None:
    do.lock(terms)
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, signature.ljust(length, b"\0")[:length])


def test_no_signature_stands_for_the_zero_address(do: Operations, terms: Terms) -> None:
    """`ecrecover` answers zero for what is no signature; zero must not be taken for a receiver who agreed."""
    nobody = replace(terms, receiver="0x" + "00" * 20)
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(nobody, bytes(65))


@pytest.mark.parametrize("word", [b"yes", b"y" * 65], ids=["of any length", "as long as a key's signature"])
def test_a_contract_agrees_by_its_own_word(
    do: Operations, chain: Chain, terms: Terms, artifacts: Artifacts, word: bytes
) -> None:
    wallet = chain.deploy(artifacts["Wallet"])
    terms = replace(terms, receiver=wallet.address)
    do.lock(terms)
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, word)
    chain.send(wallet.functions.approve(digest(do, terms), word), chain.other)
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, b"no")
    do.cooperative_refund(terms, word)
    assert do.state(terms) is State.CLOSED


def test_an_account_with_a_key_and_code_agrees_by_its_key(
    do: Operations, chain: Chain, terms: Terms, signature: bytes, payee: Contract
) -> None:
    """EIP-7702: the account's code is a pointer to a contract, here to one that knows no signatures."""
    chain.rpc("anvil_setCode", terms.receiver, "0xef0100" + payee.address[2:])
    do.lock(terms)
    do.cooperative_refund(terms, signature)


def test_a_contract_that_knows_no_signatures_does_not_agree(do: Operations, terms: Terms, payee: Contract) -> None:
    terms = replace(terms, receiver=payee.address)
    do.lock(terms)
    with do.refuses("NotSignedByReceiver"):
        do.cooperative_refund(terms, b"yes")


def digest(do: Operations, terms: Terms) -> bytes:
    """What is signed, from EIP-712's definition."""
    kind = keccak(
        text="CooperativeRefund(bytes32 hashlock,address token,uint256 amount,address sender,address receiver,"
        "uint256 fundBy,uint256 timelock)"
    )
    struct = keccak(
        encode(
            ("bytes32", "bytes32", "address", "uint256", "address", "address", "uint256", "uint256"),
            (
                kind,
                terms.hashlock,
                terms.token,
                terms.amount,
                terms.sender,
                terms.receiver,
                terms.fund_by,
                terms.timelock,
            ),
        )
    )
    domain = keccak(
        encode(
            ("bytes32", "bytes32", "bytes32", "uint256", "address"),
            (
                keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak(text="swapd HTLC"),
                keccak(text="1"),
                do.chain.id,
                do.htlc.address,
            ),
        )
    )
    assert do.htlc.functions.domainSeparator().call() == domain
    return keccak(b"\x19\x01" + domain + struct)
