"""What one lock commits to, and its name."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from swapd.chains.icp.escrow import Escrow, EscrowTerms
from swapd.chains.icp.principal import text
from swapd.protocol.terms import Asset
from tests.chains.icp.legs import ALICE, BOB, CANISTER, ICP, leg_terms

ESCROW = Escrow(CANISTER)


def test_the_id_is_the_hash_of_domain_canister_initiator_and_nonce() -> None:
    nonce = b"\x09" * 32
    named = bytes([len(CANISTER)]) + CANISTER + bytes([29]) + ALICE.owner
    assert ESCROW.id(ALICE.owner, nonce) == hashlib.sha256(b"atomic-swap/1" + named + nonce).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 50_000_001},
        {"hashlock": bytes(32)},
        {"sender": text(b"\x08" * 29)},
        {"receiver": text(b"\x08" * 29)},
        {"receiver": text(BOB.owner)},
        {"timelock": 1_800_003_601},
        {"fund_by": 1_800_000_601},
        {"asset": Asset("ICP", "icp", 8, text(b"\x06" * 10))},
    ],
)
def test_s13_every_term_changes_the_id(change: dict[str, Any]) -> None:
    assert ESCROW.id_of(EscrowTerms.of(leg_terms(**change))) != ESCROW.id_of(EscrowTerms.of(leg_terms()))


def test_s13_the_same_terms_have_another_id_in_another_canister() -> None:
    terms = EscrowTerms.of(leg_terms())
    assert Escrow(CANISTER + b"\x01").id_of(terms) != ESCROW.id_of(terms)


def test_times_are_nanoseconds_in_the_canister() -> None:
    terms = EscrowTerms.of(leg_terms())
    assert (terms.fund_by, terms.timelock) == (1_800_000_600 * 10**9, 1_800_003_600 * 10**9)
    assert (terms.sender, terms.receiver) == (ALICE, BOB)


def test_the_money_lies_in_a_subaccount_of_its_own() -> None:
    swap_id = ESCROW.id_of(EscrowTerms.of(leg_terms()))
    account = ESCROW.account_of(swap_id)
    assert (account.owner, account.subaccount) == (CANISTER, swap_id)


def test_a_display_name_is_no_term() -> None:
    other = Asset("ckTEST", "icp", 2, ICP.token)
    assert EscrowTerms.of(leg_terms(asset=other)) == EscrowTerms.of(leg_terms())
