"""A swap canister with any number of swaps in it, put there by calls as anybody makes them, at the pace of real life.

A swap begins every 12 seconds, so that the ledger's deduplication window, the canister's agenda and its sweeps are what
they would be. Of ten swaps six are claimed, one is refunded with the recipient's consent, one by the canister's own
sweep when it is due after two hours, and two are open for nine days. Every call is one that was encoded once, with the
bytes that differ put in their places.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from swapd.chains.icp import candid
from swapd.chains.icp.candid.types import Blob, Type
from swapd.chains.icp.escrow import Escrow
from swapd.chains.icp.interface import ApproveArgs, CompleteArgs, InitiateArgs
from swapd.chains.icp.principal import Account
from swapd.devnet import ledger
from swapd.devnet.cache import cache_folder
from swapd.devnet.canisters import built
from swapd.devnet.replica import ManualClock, Replica, persistence
from tests.canister.words import HEALTH, Config

SECOND = 10**9
PACE = 12
"""Seconds from one swap to the next: a hundred thousand take 14 days."""
FINISHED_AFTER = 5
"""Swaps that begin before one ends."""
CLAIMED, CONSENTED, DUE = range(6), (6,), (7,)
SHORT, LONG = 2 * 3_600, 9 * 86_400
"""Seconds to the deadline: the sweep refunds the short ones; the long ones are those that are open."""

CONTROLLER = b"\x04control\x01"
PEOPLE = 1_000
AMOUNT, FEE = 1_000_000, 10_000
RECIPE = 1
"""Counts what a change in here makes of the filled state."""
SAVED_EVERY = 10_000
"""Swaps; so a fill that was cut short goes on from there."""


class Call:
    """A Candid value of one shape: encoded once, with marks for the bytes that differ. A mark is as long as they."""

    def __init__(self, type_: Type, value: object, **marks: bytes) -> None:
        self._encoded = candid.encode(type_, value)
        self._places: dict[str, slice] = {}
        for name, mark in marks.items():
            if self._encoded.count(mark) != 1:
                raise ValueError(f"the mark of {name} is not there once")
            start = self._encoded.index(mark)
            self._places[name] = slice(start, start + len(mark))

    def with_(self, **values: bytes) -> bytes:
        filled = bytearray(self._encoded)
        for name, value in values.items():
            place = self._places[name]
            if len(value) != place.stop - place.start:
                raise ValueError(f"{name}: {len(value)} bytes")
            filled[place] = value
        return bytes(filled)


@dataclass(frozen=True)
class Swap:
    """The swap of this number: everything follows from it."""

    number: int
    canister: bytes

    @property
    def initiator(self) -> bytes:
        return person(int.from_bytes(self.nonce[:4]))

    @property
    def recipient(self) -> bytes:
        return person(int.from_bytes(self.nonce[4:8]))

    @property
    def nonce(self) -> bytes:
        return hashlib.sha256(b"nonce %d" % self.number).digest()

    @property
    def secret(self) -> bytes:
        return hashlib.sha256(b"secret %d" % self.number).digest()

    @property
    def id(self) -> bytes:
        return Escrow(self.canister).id(self.initiator, self.nonce)

    @property
    def end(self) -> int:
        return self.number % 10


@dataclass
class Used:
    """By one call and all messages that follow from it. Keys are canisters."""

    instructions: Counter[bytes]
    cycles: Counter[bytes]


class Swaps:
    """`count` is the number of swaps that ever began: `begin` makes the next one."""

    def __init__(self, replica: Replica, ledger_id: bytes, canister_id: bytes) -> None:
        self.replica = replica
        self.ledger, self.canister = ledger_id, canister_id
        both = (ledger_id, canister_id)
        self._canisters = {each: replica.canister(each) for each in both}
        self.count = self.health()["swaps"]
        some, other = b"\xa1" * 32, b"\xa2" * 32
        payee, payer = b"\xa3" * 29, b"\xa4" * 29
        time_, later = 0xA5A6A7A8A9AAABAC, 0xB5B6B7B8B9BABBBC
        approval = {
            "spender": {"owner": canister_id, "subaccount": some},
            "amount": AMOUNT + 2 * FEE,
            "fee": FEE,
            "memo": other,
            "expires_at": later,
            "created_at_time": time_,
        }
        self._approve = Call(*(ApproveArgs, approval), id=some, memo=other, until=_nat64(later), now=_nat64(time_))
        terms = {
            "nonce": some,
            "ledger": ledger_id,
            "amount": AMOUNT,
            "fee": FEE,
            "recipient": {"owner": payee, "subaccount": None},
            "refund_to": {"owner": payer, "subaccount": None},
            "hashlock": other,
            "fund_by": time_,
            "deadline": later,
        }
        self._initiate = Call(
            *(InitiateArgs, terms),
            nonce=some,
            hashlock=other,
            recipient=payee,
            refund_to=payer,
            fund_by=_nat64(time_),
            deadline=_nat64(later),
        )
        self._complete = Call(CompleteArgs, {"id": some, "secret": other}, id=some, secret=other)
        self._refund = Call(Blob, some, id=some)

    @classmethod
    def new(cls) -> Swaps:
        """A ledger on which a thousand people have money, and a canister without swaps."""
        replica = Replica(clock=ManualClock())
        token = replica.create_canister(CONTROLLER, 10**18)
        init = ledger.install_arg(
            symbol="DEV",
            name="Devnet token",
            decimals=8,
            fee=FEE,
            minting=Account(CONTROLLER),
            initial=[(Account(person(number)), 10**12) for number in range(PEOPLE)],
        )
        replica.install(token, built("devnet_ledger").wasm, init, CONTROLLER)
        canister = replica.create_canister(CONTROLLER, 10**18)
        config = {
            "arbiter": CONTROLLER,
            "ledgers": [token],
            "min_timelock": 600 * SECOND,
            "max_timelock": 240 * 3_600 * SECOND,
            "marketplaces": [],
            "coordinators": [],
            "limits": {"open_swaps_per_caller": 100, "initiates_per_minute": 10, "requests_per_minute": 10},
            "min_cycles": 10**12,
            "sweep_seconds": 60,
        }
        replica.install(canister, built("atomic_swap").wasm, candid.encode(Config, config), CONTROLLER)
        return cls(replica, token, canister)

    @classmethod
    def load(cls, folder: Path) -> Swaps:
        replica = Replica.load(folder)
        token, canister = replica.state.canisters
        return cls(replica, token, canister)

    def swap(self, number: int) -> Swap:
        return Swap(number, self.canister)

    def more(self, count: int) -> list[Swap]:
        """The next swaps, begun one after the other."""
        swaps = [self.swap(self.count + number) for number in range(count)]
        for swap in swaps:
            self.begin(swap)
            self.replica.advance(PACE)
        return swaps

    def live(self) -> None:
        """One more swap, and an end to one that is there."""
        self.begin(self.swap(self.count))
        ending = self.swap(self.count - 1 - FINISHED_AFTER)
        if ending.number >= 0 and ending.end in CLAIMED:
            self.complete(ending)
        elif ending.number >= 0 and ending.end in CONSENTED:
            self.refund(ending)
        self.replica.advance(PACE)

    def check(self) -> None:
        """Every call had the effect that was wanted, as far as the canister's own figures tell."""
        health, ages = self.health(), {number: (self.count - number) * PACE for number in range(self.count)}
        open_for_sure = open_perhaps = 0
        for number, age in ages.items():
            end = number % 10
            lasts = FINISHED_AFTER * PACE if end in (*CLAIMED, *CONSENTED) else SHORT if end in DUE else LONG
            open_for_sure += age < lasts
            open_perhaps += age <= lasts + 3 * 60  # a sweep or two
        found = health["swaps"], health["quarantined"]
        assert found == (self.count, 0), found
        assert open_for_sure <= health["open_swaps"] <= open_perhaps, (open_for_sure, health["open_swaps"])

    def health(self) -> dict[str, int]:
        answer = self.replica.query(self.canister, "health", candid.NO_ARGUMENTS, CONTROLLER)
        health: dict[str, int] = candid.decode(HEALTH, answer)["Ok"]
        return health

    # -- calls

    def begin(self, swap: Swap) -> Used:
        """Approve and lock. What the lock used."""
        now = self.replica.now_ns
        fund_by, deadline = now + 600 * SECOND, now + (SHORT if swap.end not in range(8, 10) else LONG) * SECOND
        approval = self._approve.with_(id=swap.id, memo=swap.id, until=_nat64(fund_by), now=_nat64(now))
        self._call(self.ledger, "icrc2_approve", approval, swap.initiator)
        self.count += swap.number == self.count
        terms = self._initiate.with_(
            nonce=swap.nonce,
            hashlock=hashlib.sha256(swap.secret).digest(),
            recipient=swap.recipient,
            refund_to=swap.initiator,
            fund_by=_nat64(fund_by),
            deadline=_nat64(deadline),
        )
        return self._call(self.canister, "initiateSwap", terms, swap.initiator)

    def complete(self, swap: Swap) -> Used:
        argument = self._complete.with_(id=swap.id, secret=swap.secret)
        return self._call(self.canister, "completeSwap", argument, swap.recipient)

    def refund(self, swap: Swap) -> Used:
        """By the recipient's consent."""
        return self._call(self.canister, "refundSwap", self._refund.with_(id=swap.id), swap.recipient)

    def _call(self, canister: bytes, method: str, argument: bytes, sender: bytes) -> Used:
        cycles = Counter({each: shown.cycles for each, shown in self._canisters.items()})
        request = self.replica.submit(canister, method, argument, sender)
        instructions = self._carry_out()
        outcome = self.replica.outcome(request)
        assert outcome is not None, method
        outcome.unwrap()
        cycles.subtract({each: shown.cycles for each, shown in self._canisters.items()})
        return Used(instructions, cycles)

    def _carry_out(self) -> Counter[bytes]:
        """Instructions of all messages that wait, and of those that follow from them."""
        used: Counter[bytes] = Counter()
        while True:
            for canister in self._canisters.values():
                canister.instructions_used = 0
            if not self.replica.step():
                return used
            for each, canister in self._canisters.items():
                used[each] += canister.instructions_used


def filled(count: int) -> tuple[Swaps, float]:
    """A canister with that many swaps, and the seconds that it took to put them there, on whatever machine did."""
    folder = cache_folder() / "bench" / f"icp-{count}-{_fingerprint()}"
    for other in folder.parent.glob(f"icp-{count}-*"):
        if other != folder:
            shutil.rmtree(other)
    swaps = Swaps.load(folder) if persistence.exists(folder) else Swaps.new()
    taken = float((folder / _TAKEN).read_text()) if persistence.exists(folder) else 0.0
    while swaps.count < count:
        begin = time.monotonic()
        for _ in range(min(SAVED_EVERY, count - swaps.count)):
            swaps.live()
        swaps.check()
        taken += time.monotonic() - begin
        print(f"{swaps.count} of {count} swaps, {taken:.0f} s", file=sys.stderr, flush=True)
        swaps.replica.save(folder)
        (folder / _TAKEN).write_text(str(taken))
    return swaps, taken


def person(number: int) -> bytes:
    """A principal of 29 bytes."""
    return hashlib.sha224(b"person %d" % (number % PEOPLE)).digest() + b"\x02"


def _fingerprint() -> str:
    """Of what the filled state depends on, but for the replica's own format."""
    parts = f"{built('atomic_swap').hash} {built('devnet_ledger').hash} {RECIPE}"
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _nat64(number: int) -> bytes:
    return number.to_bytes(8, "little")


_TAKEN = "seconds"
