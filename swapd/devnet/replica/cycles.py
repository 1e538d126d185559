"""What things cost. Figures: the real replica's configuration of an application subnet of 13 nodes.

Instructions are wasmtime's fuel plus a byte each for what the system copies: near the real count, not equal to it.
"""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30
TRILLION = 10**12
MAX_RESPONSE_BYTES = 2 * 2**20  # of an inter-canister call


@dataclass(frozen=True)
class Costs:
    """In cycles."""

    create_canister: int = 500_000_000_000
    update_message: int = 5_000_000
    instruction: int = 1
    instruction_wasm64: int = 2
    call: int = 260_000
    call_byte: int = 1_000
    ingress_message: int = 1_200_000
    ingress_byte: int = 2_000
    gib_second: int = 127_000
    storage_interval_seconds: int = 10  # how often storage is charged

    def execution(self, instructions: int, *, wasm64: bool) -> int:
        """What it costs to execute a message of that many instructions."""
        return self.update_message + instructions * (self.instruction_wasm64 if wasm64 else self.instruction)

    def ingress(self, size: int) -> int:
        """What a canister pays to receive a message of `size` bytes (method name, argument, nonce)."""
        return self.ingress_message + self.ingress_byte * size

    def response_bytes(self, size: int) -> int:
        return self.call_byte * size

    def request(self, size: int) -> int:
        """What a call costs its caller at once, the answer not counted."""
        return self.call + self.call_byte * size

    def storage(self, size: int, seconds: int) -> int:
        return size * self.gib_second * seconds // GIB


@dataclass(frozen=True)
class Limits:
    """Bounds as on an application subnet. A message beyond its instructions ends in a trap."""

    instructions_per_message: int = 40_000_000_000
    instructions_per_query: int = 5_000_000_000
    instructions_per_inspection: int = 200_000_000
    instructions_per_install: int = 300_000_000_000
    queue_messages: int = 500  # between any two canisters, and of one canister's ingress
    argument_bytes: int = 2 * 2**20
    ingress_bytes: int = 2 * 2**20
    settle_messages: int = 1_000_000  # a chain of messages longer than this never ends
