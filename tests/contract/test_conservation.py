"""Whatever is called in whatever order, the contract holds exactly its open locks, and acts as a small model says."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.operations import Operations, State
from tests.contract.rig import ETH, Artifacts, Chain, Reverted, Terms, htlc_artifact

LEGS = 4  # the even ones of ether, the odd ones of tokens
KEYS = [Account.create().key for _ in range(LEGS)]
STEPS = st.tuples(
    st.sampled_from(
        ["lock", "lock", "claim", "wrong claim", "refund", "cooperative refund", "forged refund", "batch claim"]
    ),
    st.integers(0, LEGS - 1),
    st.integers(1, 60),  # seconds since the last step
)


@dataclass
class Model:
    """What the contract should have in mind, and nothing of how it does it."""

    legs: list[Terms]
    state: dict[int, State] = field(default_factory=lambda: dict.fromkeys(range(LEGS), State.ABSENT))
    used: set[int] = field(default_factory=set)
    paid: dict[str, int] = field(default_factory=dict)

    def allows(self, step: str, leg: int, now: int) -> bool:
        terms, open_ = self.legs[leg], self.state[leg] is State.LOCKED
        match step:
            case "lock":
                return leg not in self.used and now <= terms.fund_by
            case "claim" | "cooperative refund" | "batch claim":
                return open_
            case "refund":
                return open_ and now >= terms.timelock
            case _:
                return False

    def did(self, step: str, leg: int, now: int) -> None:
        if step == "lock":
            self.state[leg] = State.LOCKED
            self.used.add(leg)
            return
        for each in self.in_batch(leg) if step == "batch claim" else [leg]:
            terms = self.legs[each]
            self.state[each] = State.CLOSED if now <= terms.fund_by else State.ABSENT
            if "claim" in step:
                self.paid[terms.receiver] = terms.amount

    def in_batch(self, leg: int) -> list[int]:
        """The leg and every other one that is open."""
        return [leg, *(each for each, state in self.state.items() if state is State.LOCKED and each != leg)]

    def held(self, token: str) -> int:
        return sum(
            terms.amount
            for leg, terms in enumerate(self.legs)
            if terms.token == token and self.state[leg] is State.LOCKED
        )


def attempt(do: Operations, model: Model, step: str, leg: int, now: int) -> None:
    terms, key = model.legs[leg], KEYS[leg]
    actions: dict[str, Callable[[], object]] = {
        "lock": lambda: do.lock(terms, at=now),
        "claim": lambda: do.claim(terms, at=now),
        "wrong claim": lambda: do.chain.send(
            do.htlc.functions.claim((terms.hashlock, *terms.words[1:])), do.chain.other, at=now
        ),
        "refund": lambda: do.refund(terms, at=now),
        "cooperative refund": lambda: do.cooperative_refund(terms, terms.signed(key, do.htlc, do.chain.id), at=now),
        "forged refund": lambda: do.cooperative_refund(
            terms, terms.signed(KEYS[leg - 1], do.htlc, do.chain.id), at=now
        ),
        "batch claim": lambda: do.batch_claim([model.legs[each] for each in model.in_batch(leg)], at=now),
    }
    actions[step]()


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEPS, min_size=5, max_size=25))
def test_the_balance_is_the_sum_of_the_open_locks(
    chain: Chain, artifacts: Artifacts, steps: list[tuple[str, int, int]]
) -> None:
    do, token = Operations(chain, chain.deploy(htlc_artifact())), chain.deploy(artifacts["PlainToken"])
    chain.send(token.functions.mint(chain.sender, 10**18), chain.sender)
    chain.send(token.functions.approve(do.htlc.address, 10**18), chain.sender)
    start = chain.now
    model = Model(
        [
            Terms(
                preimage=secrets.token_bytes(32),
                token=token.address if leg % 2 else ETH,
                amount=10**leg,
                sender=chain.sender,
                receiver=Account.from_key(KEYS[leg]).address,
                fund_by=start + 150 + 30 * leg,
                timelock=start + 350 + 30 * leg,
            )
            for leg in range(LEGS)
        ]
    )
    had = {terms.receiver: chain.balance(terms.receiver) for terms in model.legs}

    now = start
    for step, leg, seconds in steps:
        now += seconds
        expected = model.allows(step, leg, now)
        try:
            attempt(do, model, step, leg, now)
        except Reverted:
            assert not expected, f"{step} of leg {leg} was refused"
        else:
            assert expected, f"{step} of leg {leg} was done"
            model.did(step, leg, now)
        assert chain.balance(do.htlc.address) == model.held(ETH)
        assert chain.balance(do.htlc.address, token) == model.held(token.address)
        assert {each: do.state(terms) for each, terms in enumerate(model.legs)} == model.state

    for terms in model.legs:
        asset = None if terms.token == ETH else token
        before = 0 if asset else had[terms.receiver]
        assert chain.balance(terms.receiver, asset) - before == model.paid.get(terms.receiver, 0)
