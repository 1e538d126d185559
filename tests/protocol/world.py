"""Two chains and a dishonest counterparty, as small as they can be and still hurt.

A chain here is a list of blocks and a mempool. Blocks may be taken back below finality, the other party may lock late,
wrongly or never, claim at the last block, try to refund early, or lock and double spend. swapd is `decide`, asked again
and again, and an executor that sends what is asked for. What the tests check is what swapd did and how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from swapd.protocol.decide import Clocks, Decision, Memory, decide
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.hashlock import hashlock_of
from swapd.protocol.observation import UNKNOWN_VIEW, LegState, LegView, Stray
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from swapd.protocol.timelock import Arrival, LegTiming, TimingProfile, plan

BLOCK = 10
CONFIRMATIONS = 3
START = 1_800_000_000
PREIMAGE = bytes(range(32))
HASHLOCK = hashlock_of(PREIMAGE)


def profile(chain: str) -> TimingProfile:
    """Blocks at an even pace, and margins that hold the reorgs and sleeps that the tests draw."""
    return TimingProfile(chain, Arrival.FIXED, BLOCK, 0.0, 6 * BLOCK, BLOCK, BLOCK, 8 * BLOCK, 12 * BLOCK)


def make_swap(
    secret: SecretHolder = SecretHolder.SELF,
    initiator: Wallet = Wallet.HOT,
    participant: Wallet = Wallet.EXTERNAL,
    waived: bool = True,
    initiator_key_by_swapd: bool = True,
) -> SwapTerms:
    """A swap on chains "a" and "b". The initiator's side is hot or external, and so is the participant's."""
    pa, pb = profile("a"), profile("b")
    times = plan(START, LegTiming(pa, CONFIRMATIONS, initiator), LegTiming(pb, CONFIRMATIONS, participant))

    def leg(role: Role, funder: Wallet, claimer: Wallet, timelock: int, fund_by: int, lock_by: int, ours: bool) -> Leg:
        chain = "a" if role is Role.INITIATOR else "b"
        terms = LegTerms(
            Asset(chain, chain, 8), 1000, HASHLOCK, f"{role}-sender", f"{role}-receiver", timelock, fund_by
        )
        return Leg(role, terms, funder, claimer, "pay", "back", ours, True, waived, CONFIRMATIONS, lock_by)

    return SwapTerms(
        swap_id_of(HASHLOCK),
        0,
        secret,
        leg(
            Role.INITIATOR,
            initiator,
            participant,
            times.initiator_timelock,
            times.initiator_fund_by,
            times.initiator_lock_by,
            initiator_key_by_swapd or participant is Wallet.HOT,
        ),
        leg(
            Role.PARTICIPANT,
            participant,
            initiator,
            times.participant_timelock,
            times.participant_fund_by,
            times.participant_lock_by,
            True,
        ),
        times.reveal_by,
        START,
    )


@dataclass(frozen=True)
class Tx:
    role: Role
    kind: EffectKind
    by: str  # "swapd" or "other"
    serial: int = 0


@dataclass
class Chain:
    """Blocks of transactions of one leg. `skew`: how far its timestamps are from true time. `given_back`: its receiver
    has signed a refund before the timelock."""

    leg: Leg
    skew: int = 0
    given_back: bool = False
    blocks: list[list[Tx]] = field(default_factory=list)
    times: list[int] = field(default_factory=lambda: [START])
    mempool: list[Tx] = field(default_factory=list)
    log: list[Tx] = field(default_factory=list)

    @property
    def clock(self) -> int:
        return self.times[-1]

    def state(self) -> tuple[LegState, int, Tx | None]:
        state, since, last = LegState.ABSENT, 0, None
        for height, block in enumerate(self.blocks):
            for tx in block:
                state = {
                    EffectKind.LOCK: LegState.LOCKED,
                    EffectKind.CLAIM: LegState.CLAIMED,
                    EffectKind.REFUND: LegState.REFUNDED,
                }[tx.kind]
                since, last = height, tx
        return state, len(self.blocks) - since if last else 0, last

    def accepts(self, tx: Tx) -> bool:
        state, _, _ = self.state()
        if tx.kind is EffectKind.LOCK:
            return state is LegState.ABSENT
        if state is not LegState.LOCKED:
            return False
        return tx.kind is EffectKind.CLAIM or self.given_back or self.clock >= self.leg.terms.timelock

    def send(self, tx: Tx) -> None:
        if tx not in self.mempool and not any(tx in block for block in self.blocks):
            self.mempool.append(tx)

    def mine(self, now: int, first: str) -> None:
        """One block. `first`: whose transactions win a race. The timestamp is true time plus the skew, and rises."""
        self.blocks.append([])
        self.times.append(max(self.times[-1] + 1, now + self.skew))
        for tx in sorted(self.mempool, key=lambda tx: tx.by != first):
            if self.accepts(tx):
                self.blocks[-1].append(tx)
                self.log.append(tx)
                self.mempool.remove(tx)

    def reorg(self, depth: int, drop: str) -> None:
        """Take back blocks; their transactions are pending again, but for those of `drop`, which were double spent."""
        for _ in range(min(depth, len(self.blocks))):
            gone = self.blocks.pop()
            self.times.pop()
            self.mempool += [tx for tx in gone if tx.by != drop or tx.kind is not EffectKind.LOCK]

    def view(self, strays: tuple[Stray, ...] = ()) -> LegView:
        state, depth, _ = self.state()
        if state is LegState.LOCKED and any(tx.kind is EffectKind.CLAIM for tx in self.mempool):
            return LegView(LegState.CLAIMED, 0, PREIMAGE, strays=strays)
        if state is LegState.ABSENT and any(tx.kind is EffectKind.LOCK for tx in self.mempool):
            return LegView(LegState.SEEN, 0, strays=strays)
        return LegView(state, depth, PREIMAGE if state is LegState.CLAIMED else None, strays=strays)


@dataclass
class World:
    swap: SwapTerms
    now: int = START
    entry_open: bool = True
    memory: Memory = field(default_factory=Memory)
    status: Status = Status.PROPOSED
    blind: set[Role] = field(default_factory=set)
    done: list[tuple[Effect, dict[Role, LegView], int]] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    chains: dict[Role, Chain] = field(init=False)

    def __post_init__(self) -> None:
        self.chains = {leg.role: Chain(leg) for leg in self.swap.legs}

    def views(self) -> dict[Role, LegView]:
        return {role: UNKNOWN_VIEW if role in self.blind else chain.view() for role, chain in self.chains.items()}

    def clocks(self) -> Clocks:
        clock = {role: None if role in self.blind else chain.clock for role, chain in self.chains.items()}
        return Clocks(self.now, clock[Role.INITIATOR], clock[Role.PARTICIPANT])

    def ask(self) -> Decision:
        views = self.views()
        return decide(
            self.swap, views[Role.INITIATOR], views[Role.PARTICIPANT], self.memory, self.clocks(), self.entry_open
        )

    def poll(self) -> Decision:
        """What the coordinator does: look, decide, remember, act."""
        views, decision = self.views(), self.ask()
        self.remember(views, decision)
        for effect in decision.effects:
            chain = self.chains[effect.role]
            if effect.kind is EffectKind.LOCK:
                self.memory = replace(self.memory, lock_sent=self.memory.lock_sent | {effect.role})
            if effect.reveals:
                self.memory = replace(self.memory, reveal_sent=True)
            chain.send(Tx(effect.role, effect.kind, "swapd"))
            self.done.append((effect, views, self.clocks().latest))
        return decision

    def remember(self, views: dict[Role, LegView], decision: Decision) -> None:
        in_block = {r for r, v in views.items() if v.depth > 0}
        final = {
            r for r, v in views.items() if v.state is LegState.CLAIMED and v.depth >= self.swap.leg(r).confirmations
        }
        if decision.status is not None:
            self.status = decision.status
            self.statuses.append(decision.status)
        self.memory = replace(
            self.memory,
            preimage=decision.preimage or self.memory.preimage,
            locked_once=self.memory.locked_once | in_block,
            claim_final=self.memory.claim_final | final,
            expired=self.memory.expired or decision.status is Status.EXPIRED,
        )

    @property
    def secret_is_out(self) -> bool:
        """Whether anybody could know the preimage: it was in a mempool or a block."""
        return any(tx.kind is EffectKind.CLAIM for chain in self.chains.values() for tx in [*chain.mempool, *chain.log])

    def step(self, first: str, asleep: bool = False) -> None:
        """One block interval passes on both chains."""
        self.now += BLOCK
        for chain in self.chains.values():
            chain.mine(self.now, first)
        if not asleep:
            self.poll()
