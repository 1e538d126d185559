"""Everything that a replica is made of, in one place: what there is to run, to remember and to write to disk."""

from __future__ import annotations

import hashlib
from collections import deque

from swapd.devnet.replica.canister import Canister, Settings
from swapd.devnet.replica.certificates import Certifier, Delegated, Range
from swapd.devnet.replica.clock import Clock
from swapd.devnet.replica.cycles import Costs, Limits
from swapd.devnet.replica.errors import CanisterTrap, not_found
from swapd.devnet.replica.ingress import IngressHistory
from swapd.devnet.replica.messages import Message
from swapd.devnet.replica.module import Module, new_engine

MANAGEMENT = b""
_FIRST_ID = 0x8000_0000_0010_0000  # where local networks of the IC begin
_IDS_IN_A_RANGE = 0x10_0000


def canister_id_of(number: int) -> bytes:
    """The opaque principal of a canister."""
    return number.to_bytes(8, "big") + b"\x01\x01"


# Two, so that a certificate in which they are split has more than one part. New canisters get ids of the second.
RANGES: list[Range] = [
    (canister_id_of(start), canister_id_of(start + _IDS_IN_A_RANGE - 1))
    for start in (_FIRST_ID - _IDS_IN_A_RANGE, _FIRST_ID)
]


class ReplicaState:
    def __init__(self, seed: bytes, delegated: Delegated, clock: Clock, costs: Costs, limits: Limits) -> None:
        self.seed = seed
        self.delegated = delegated
        self.clock = clock
        self.costs = costs
        self.limits = limits
        self.certifier = Certifier(seed, delegated, RANGES)
        self.engine = new_engine()
        self.canisters: dict[bytes, Canister] = {}
        self.queue: deque[Message] = deque()
        self.history = IngressHistory()
        self.next_canister = _FIRST_ID
        self.random_draws = 0
        self._modules: dict[bytes, Module] = {}

    def canister(self, canister_id: bytes) -> Canister:
        """Raises `RejectError` (destination invalid) if there is none of that id."""
        found = self.canisters.get(canister_id)
        if found is None:
            raise not_found(canister_id)
        return found

    def new_canister(self, settings: Settings, cycles: int) -> Canister:
        canister = self.make_canister(canister_id_of(self.next_canister), settings)
        self.next_canister += 1
        canister.cycles = cycles
        canister.storage_paid_until_ns = self.clock.now_ns()
        return canister

    def make_canister(self, canister_id: bytes, settings: Settings) -> Canister:
        canister = Canister(
            canister_id,
            settings,
            self.engine,
            costs=self.costs,
            limits=self.limits,
            root_key=self.certifier.root_key,
            subnet_id=self.certifier.subnet_id,
        )
        self.canisters[canister_id] = canister
        return canister

    def module(self, wasm: bytes, canister_id: bytes) -> Module:
        """Compiled once. Raises `RejectError` in the name of that canister if the wasm is not valid."""
        digest = hashlib.sha256(wasm).digest()
        if digest not in self._modules:
            try:
                self._modules[digest] = Module(self.engine, wasm)
            except CanisterTrap as e:
                raise e.rejection(canister_id) from e
        return self._modules[digest]

    def random_bytes(self) -> bytes:
        """32 bytes that differ every time and are the same in every run of the same messages."""
        self.random_draws += 1
        return hashlib.sha256(b"random" + self.seed + self.random_draws.to_bytes(8, "big")).digest()
