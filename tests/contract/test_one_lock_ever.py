"""Rule S4's last defence: whatever happened to a lock, its terms can never be locked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from eth_account import Account
from web3.contract import Contract

from tests.contract.operations import Operations, State
from tests.contract.rig import ETH, Chain, Terms

KEY = Account.create().key


@pytest.fixture(params=["ether", "token"])
def terms(request: pytest.FixtureRequest, terms: Terms, token: Contract) -> Terms:
    receiver = Account.from_key(KEY).address
    return replace(terms, receiver=receiver, token=ETH if request.param == "ether" else token.address)


def signature(do: Operations, terms: Terms) -> bytes:
    return terms.signed(KEY, do.htlc, do.chain.id)


ENDS: dict[str, Callable[[Operations, Terms], object]] = {
    "open": lambda do, terms: None,
    "claimed before fundBy": lambda do, terms: do.claim(terms),
    "claimed at fundBy": lambda do, terms: do.claim(terms, at=terms.fund_by),
    "claimed after fundBy": lambda do, terms: do.claim(terms, at=terms.fund_by + 1),
    "claimed after the timelock": lambda do, terms: do.claim(terms, at=terms.timelock + 1),
    "refunded": lambda do, terms: do.refund(terms, at=terms.timelock),
    "refunded cooperatively before fundBy": lambda do, terms: do.cooperative_refund(terms, signature(do, terms)),
    "refunded cooperatively after fundBy": lambda do, terms: do.cooperative_refund(
        terms, signature(do, terms), at=terms.fund_by + 1
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_s4_second_lock_with_same_terms_reverts_for_ever(do: Operations, terms: Terms, end: str) -> None:
    do.lock(terms)
    ENDS[end](do, terms)
    now = do.chain.now
    # by the used slot up to fundBy, by the clock later
    for time in sorted({now + 1, terms.fund_by, terms.fund_by + 1, terms.timelock, terms.timelock + 10**9}):
        if time <= now:
            continue
        with do.refuses("UsedBefore" if time <= terms.fund_by else "FundingClosed"):
            do.lock(terms, at=time)


@pytest.mark.parametrize("last", [False, True], ids=["before fundBy", "in fundBy's own second"])
def test_s4_second_lock_in_the_block_of_the_claim_reverts(do: Operations, terms: Terms, *, last: bool) -> None:
    do.lock(terms)
    claim = do.chain.submit(do.htlc.functions.claim(terms.claim_words), terms.sender)  # same account, so in this order
    lock = do.chain.submit(do.lock_call(terms), terms.sender, do.value(terms))
    claimed, locked = do.chain.mine([claim, lock], at=terms.fund_by if last else None)
    assert claimed["blockNumber"] == locked["blockNumber"]
    assert claimed["status"] == 1
    assert do.chain.reverted(locked).name == "UsedBefore"


@pytest.mark.parametrize(
    ("after", "state"), [(-1, State.CLOSED), (0, State.CLOSED), (1, State.ABSENT)], ids=["before", "at", "after"]
)
def test_s4_the_slot_says_closed_as_long_as_the_clock_does_not_forbid_a_second_lock(
    do: Operations, terms: Terms, after: int, state: State
) -> None:
    do.lock(terms)
    do.claim(terms, at=terms.fund_by + after)
    assert do.state(terms) is state


def test_s4_another_sender_may_lock_like_terms(do: Operations, chain: Chain, terms: Terms) -> None:
    """Nobody can use up somebody else's terms by locking first: the sender is one of them."""
    terms = replace(terms, token=ETH)
    do.lock(replace(terms, sender=chain.other))
    do.lock(terms)
