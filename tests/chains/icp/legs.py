"""Legs on the Internet Computer, to try things on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from swapd.chains.base import WatchedLeg
from swapd.chains.icp.principal import Account, text
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, Wallet

CANISTER = bytes(9) + b"\x07"
LEDGER = bytes(9) + b"\x05"
ALICE = Account(b"\x01" * 29)
BOB = Account(b"\x02" * 29, b"\x03" * 32)
PREIMAGE = bytes(range(32))
ICP = Asset("ICP", "icp", 8, text(LEDGER))


def leg_terms(**changes: Any) -> LegTerms:
    terms = LegTerms(
        asset=ICP,
        amount=50_000_000,
        hashlock=hashlib.sha256(PREIMAGE).digest(),
        sender=ALICE.text,
        receiver=BOB.text,
        timelock=1_800_003_600,
        fund_by=1_800_000_600,
    )
    return replace(terms, **changes)


def leg(terms: LegTerms | None = None, **changes: Any) -> Leg:
    terms = terms or leg_terms()
    made = Leg(
        role=Role.INITIATOR,
        terms=terms,
        funded_by=Wallet.HOT,
        claimed_by=Wallet.EXTERNAL,
        pay_to=terms.receiver,
        refund_to=terms.sender,
        claim_by_swapd=True,
        refund_by_swapd=True,
        claim_waived=False,
        confirmations=1,
        lock_by=terms.fund_by - 10,
    )
    return replace(made, **changes)


def watched(terms: LegTerms | None = None, **changes: Any) -> WatchedLeg:
    return replace(WatchedLeg("swap", 1, leg(terms), birth=0), **changes)
