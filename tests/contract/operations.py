"""The contract's functions by terms: what a test does in one word."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import pytest
from web3.contract import Contract

from tests.contract.rig import ETH, Chain, Reverted, Terms


class State(IntEnum):
    """As in the contract."""

    ABSENT = 0
    LOCKED = 1
    CLOSED = 2


class Operations:
    """On one contract. Each returns the receipt or raises `Reverted`. at: the block's time; None is a second later."""

    def __init__(self, chain: Chain, htlc: Contract) -> None:
        self.chain = chain
        self.htlc = htlc

    def lock(self, terms: Terms, at: int | None = None) -> Any:
        return self.chain.send(self.lock_call(terms), terms.sender, self.value(terms), at)

    def claim(self, terms: Terms, at: int | None = None, by: str | None = None) -> Any:
        return self.chain.send(self.htlc.functions.claim(terms.claim_words), by or self.chain.other, at=at)

    def refund(self, terms: Terms, at: int | None = None, by: str | None = None) -> Any:
        return self.chain.send(self.htlc.functions.refund(terms.words), by or self.chain.other, at=at)

    def cooperative_refund(self, terms: Terms, signature: bytes, at: int | None = None) -> Any:
        call = self.htlc.functions.cooperativeRefund(terms.words, signature)
        return self.chain.send(call, self.chain.other, at=at)

    def batch_lock(self, batch: Sequence[Terms], value: int | None = None) -> Any:
        """With the sum of the amounts, unless another value is given."""
        orders = [(terms.hashlock, terms.amount, terms.receiver_and_times) for terms in batch]
        sent = sum(terms.amount for terms in batch) if value is None else value
        return self.chain.send(self.htlc.functions.batchLock(orders), self.chain.sender, sent)

    def batch_claim(self, batch: Sequence[Terms], at: int | None = None, by: str | None = None) -> Any:
        claims = [terms.claim_words for terms in batch]
        return self.chain.send(self.htlc.functions.batchClaim(claims), by or self.chain.other, at=at)

    def lock_call(self, terms: Terms) -> Any:
        if terms.token == ETH:
            return self.htlc.functions.lockEther(terms.hashlock, terms.receiver_and_times)
        return self.htlc.functions.lockErc20(terms.hashlock, terms.token, terms.amount, terms.receiver_and_times)

    @staticmethod
    def value(terms: Terms) -> int:
        return terms.amount if terms.token == ETH else 0

    def state(self, terms: Terms) -> State:
        return State(self.htlc.functions.stateOf(terms.lock_id(self.htlc, self.chain.id)).call())

    def refuses(self, name: str, *arguments: object) -> Any:
        """The body's transaction reverts with this error of the contract (and these arguments, if any are given)."""
        return _Refusal(name, arguments)


class _Refusal:
    def __init__(self, name: str, arguments: tuple[object, ...]) -> None:
        self.name = name
        self.arguments = arguments

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if error is None:
            pytest.fail(f"was not refused with {self.name}")
        if not isinstance(error, Reverted):
            return False
        assert error.name == self.name
        if self.arguments:
            assert error.arguments == self.arguments
        return True
