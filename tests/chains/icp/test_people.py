"""What people give and get on the Internet Computer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from swapd.chains.icp import candid, interface, people
from swapd.chains.icp.canister import SwapCanister
from swapd.chains.icp.escrow import Escrow, EscrowTerms
from swapd.chains.icp.principal import Account, text
from swapd.errors import Invalid
from swapd.protocol.terms import Asset, Wallet
from tests.chains.icp.legs import ALICE, BOB, CANISTER, ICP, LEDGER, leg, leg_terms

FEE = 10_000
ASSETS = {"ICP": ICP}
NO_AGENT: Any = None
"""Instructions ask nobody."""
CANISTER_OF = SwapCanister(NO_AGENT, Escrow(CANISTER))


def party(given: str | None) -> people.Party:
    return people.party(CANISTER, ALICE, "receive_at", given)


def test_a_side_is_an_account_and_swapd_can_spend_for_anybody() -> None:
    side = party(BOB.text)
    assert (side.identity, side.payout, side.by_swapd) == (BOB.text, BOB.text, True)


def test_no_text_is_our_own_account() -> None:
    assert party(None).identity == ALICE.text


@pytest.mark.parametrize(
    "given",
    [
        "",
        "no principal",
        text(BOB.owner).upper(),
        text(BOB.owner)[:-1] + "a",
        BOB.text[:-1] + "4",
        text(CANISTER),
        Account(CANISTER, b"\x01" * 32).text,
        "2vxsx-fae",
        "aaaaa-aa",
        "0x52908400098527886E0F7030069857D2E4169EE7",
    ],
)
def test_what_is_nobodys_account_is_refused_and_named(given: str) -> None:
    with pytest.raises(Invalid, match="receive_at") as caught:
        party(given)
    assert caught.value.value == given


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 2**128}, "amount"),
        ({"receiver": ALICE.text}, "receiver"),
        ({"receiver": text(LEDGER)}, "receiver"),
        ({"receiver": text(CANISTER)}, "receiver"),
        ({"sender": text(b"\x09" * 29)}, "sender"),
        ({"asset": Asset("ICP", "icp", 8, text(b"\x06" * 10))}, "asset"),
        ({"asset": Asset("XYZ", "icp", 8, text(LEDGER))}, "asset"),
    ],
)
def test_terms_that_the_canister_cannot_hold_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        people.check_terms(CANISTER, ALICE, ASSETS, leg(leg_terms(**changes)))
    assert caught.value.field == field


@pytest.mark.parametrize("field", ["pay_to", "refund_to"])
def test_a_payout_that_is_not_in_the_terms_is_refused(field: str) -> None:
    with pytest.raises(Invalid) as caught:
        people.check_terms(CANISTER, ALICE, ASSETS, leg(**{field: text(b"\x09" * 29)}))
    assert caught.value.field == field


def test_good_terms_are_taken() -> None:
    people.check_terms(CANISTER, ALICE, ASSETS, leg())
    people.check_terms(CANISTER, BOB, ASSETS, leg(funded_by=Wallet.EXTERNAL))


def test_instructions_carry_both_calls_as_bytes_and_as_text() -> None:
    fields = people.instructions(CANISTER_OF, FEE, leg()).fields
    terms = EscrowTerms.of(leg_terms())
    swap_id = CANISTER_OF.escrow.id_of(terms)
    approve = candid.decode(interface.ApproveArgs, bytes.fromhex(fields["approve_hex"]))
    assert approve["spender"] == {"owner": CANISTER, "subaccount": swap_id}
    assert approve["amount"] == terms.amount + 2 * FEE
    initiate = candid.decode(interface.InitiateArgs, bytes.fromhex(fields["hex"]))
    assert initiate == CANISTER_OF.initiate_args(terms, FEE)
    assert (fields["ledger"], fields["canister"], fields["swap_id"]) == (text(LEDGER), text(CANISTER), swap_id.hex())
    assert fields["needed"] == "0.5003 ICP, three ledger fees included"


def test_the_text_names_every_field_with_its_type() -> None:
    shown = people.instructions(CANISTER_OF, FEE, leg()).fields["candid"]
    assert shown.startswith('(record { nonce = blob "\\')
    assert f'ledger = principal "{text(LEDGER)}"' in shown
    assert "amount = 50000000 : nat; fee = 10000 : nat; from_subaccount = null" in shown
    assert "fund_by = 1800000600000000000 : nat64; deadline = 1800003600000000000 : nat64 })" in shown
    assert re.search(
        r'recipient = record \{ owner = principal "[a-z0-9-]+"; subaccount = opt blob "(\\03){32}" \}', shown
    )
