"""What the watchtower itself remembers of a swap, in a small file of its own: what it saw, and what it sent.

All of it follows from the chains again, but for two things that would cost gas or time: transactions under way at a
nonce, and since when something is due. So a file that is lost or damaged is begun anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from swapd.chains.base import SignedTx
from swapd.errors import SwapdError
from swapd.protocol.decide import Decision, Memory
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.terms import Role, SwapTerms
from swapd.store.codec import canonical, decode, encode, parse
from swapd.vault.private_file import read_private, replace_private

log = structlog.get_logger()

_IN_BLOCK = (LegState.LOCKED, LegState.CLAIMED, LegState.REFUNDED)


@dataclass(frozen=True)
class Sent:
    """A transaction that was, or may have been, given to the network. key: of its effect. voiding: it only uses up the
    nonce of an earlier one."""

    key: str
    chain: str
    tx: SignedTx
    voiding: bool = False


@dataclass(frozen=True)
class Since:
    """From when on an effect has been wanted without a break, Unix seconds."""

    key: str
    at: int


@dataclass(frozen=True)
class State:
    """preimage: once it was seen in public; it may be gone from there at the next look (rules S6, S7)."""

    preimage: bytes | None = field(default=None, repr=False)
    locked_once: tuple[Role, ...] = ()
    claim_final: tuple[Role, ...] = ()
    since: tuple[Since, ...] = ()
    sent: tuple[Sent, ...] = ()

    def added_to(self, memory: Memory) -> Memory:
        """What the packet says, and what was seen from here."""
        return replace(
            memory,
            preimage=self.preimage or memory.preimage,
            locked_once=memory.locked_once | set(self.locked_once),
            claim_final=memory.claim_final | set(self.claim_final),
        )

    def after(self, terms: SwapTerms, views: dict[Role, LegView], decision: Decision, now: int) -> State:
        """With what one look showed. A chain that could not be asked takes nothing back, and no clock is set anew."""
        blind = decision.status is None
        known = {since.key: since.at for since in self.since}
        wanted = {effect.key for effect in decision.effects}
        kept = known.keys() | wanted if blind else wanted
        final = [
            role
            for role, view in views.items()
            if view.state is LegState.CLAIMED and view.depth >= terms.leg(role).confirmations
        ]
        in_block = [role for role, view in views.items() if view.state in _IN_BLOCK and view.depth]
        return replace(
            self,
            preimage=decision.preimage,  # which the memory has if the chains do not show it any more
            locked_once=_joined(self.locked_once, in_block),
            claim_final=_joined(self.claim_final, final),
            since=tuple(Since(key, known.get(key, now)) for key in sorted(kept)),
        )

    def wanted_since(self, key: str, now: int) -> int:
        return next((since.at for since in self.since if since.key == key), now)

    def of(self, key: str) -> tuple[Sent, ...]:
        return tuple(sent for sent in self.sent if sent.key == key)

    def places(self, key: str) -> list[int]:
        """In the account's order, of what was sent for this effect."""
        return [sent.tx.sequence for sent in self.of(key) if sent.tx.sequence is not None]

    def with_sent(self, sent: Sent) -> State:
        return replace(self, sent=(*self.sent, sent))

    def without(self, gone: Callable[[Sent], bool]) -> State:
        return replace(self, sent=tuple(sent for sent in self.sent if not gone(sent)))


def _joined(before: tuple[Role, ...], now: list[Role]) -> tuple[Role, ...]:
    return tuple(role for role in Role if role in before or role in now)


@dataclass
class States:
    """All of them, by swap; written through to the folder before anything is sent."""

    folder: Path
    _all: dict[str, State] = field(default_factory=dict)

    def load(self) -> None:
        """What an earlier run left. A damaged file is named and begun anew."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(self.folder.glob("*.json")):
            try:
                content = read_private(path, "state file").decode(errors="replace")
                self._all[path.stem] = decode(State, parse(content))
            except SwapdError as error:
                log.warning("watchtower.state_damaged", file=path.name, error=str(error))

    def __getitem__(self, swap_id: str) -> State:
        return self._all.get(swap_id, State())

    def __setitem__(self, swap_id: str, state: State) -> None:
        """Raises Unavailable or Rejected if it can not be written: then nothing may be sent that rests on it."""
        if state != self[swap_id]:
            text = canonical(encode(state)) + "\n"
            replace_private(self.folder / f"{swap_id}.json", "state file", text.encode())
            self._all[swap_id] = state

    def forget(self, swap_id: str) -> None:
        self._all.pop(swap_id, None)
        (self.folder / f"{swap_id}.json").unlink(missing_ok=True)

    def under_way(self) -> dict[str, list[Sent]]:
        """By swap, what may still be mined."""
        return {swap_id: list(state.sent) for swap_id, state in self._all.items() if state.sent}

    def next_sequence(self, chain: str) -> int:
        """Above every nonce that was given to something on this chain."""
        taken = [sent.tx.sequence for state in self._all.values() for sent in state.sent if sent.chain == chain]
        return max((sequence + 1 for sequence in taken if sequence is not None), default=0)
