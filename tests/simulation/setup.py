"""The chains as they are configured for mainnet, and the terms of one swap between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations
from random import Random

from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.ethereum.fees import FeePolicy
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.settings import ChainSettings
from swapd.protocol import timelock
from swapd.protocol.hashlock import hashlock_of
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from swapd.protocol.timelock import Arrival, LegTiming, TimingProfile, check_times, plan
from swapd.settings import load, timing_profile
from tests.simulation.blocks import Blocks
from tests.simulation.ledger import Rules
from tests.simulation.markets import BitcoinMarket, EthereumMarket, IcpMarket, Market

# pure functions of two or three numbers, asked for the same few again and again
timelock.gamma_quantile = cache(timelock.gamma_quantile)
timelock.slots_quantile = cache(timelock.slots_quantile)

PREIMAGE = bytes(range(32))
HASHLOCK = hashlock_of(PREIMAGE)

NAMES = {"BTC": "bitcoin", "ETH": "ethereum", "ICP": "icp"}
PAIRS = tuple(f"{give}-{get}" for give, get in permutations(NAMES, 2))


@dataclass(frozen=True)
class Place:
    """One chain: what swapd is told about it in config/default.toml."""

    symbol: str
    settings: ChainSettings
    profile: TimingProfile
    rules: Rules

    @property
    def poll(self) -> float:
        return self.settings.poll_seconds

    def amount(self, rng: Random) -> int:
        """Half the time within one of the tiers, each alike; otherwise its very bound."""
        asset = self.settings.assets[self.symbol]
        tier = rng.randrange(len(asset.tiers))
        low = asset.minimum if tier == 0 else (asset.tiers[tier - 1].up_to or 0) + 1
        high = asset.tiers[tier].up_to or asset.maximum
        return rng.choice((low, high, rng.randint(low, high), rng.randint(low, high)))

    def confirmations(self, amount: int) -> int:
        return self.settings.assets[self.symbol].confirmations(amount)

    def market(self, blocks: Blocks, rng: Random, begin: float, seconds: float) -> Market:
        if isinstance(self.settings, BitcoinSettings):
            return BitcoinMarket.draw(self.settings, blocks, rng, begin, seconds)
        if isinstance(self.settings, EthereumSettings):
            return EthereumMarket.draw(FeePolicy.of(self.settings), blocks, rng, begin, seconds)
        return IcpMarket(rng, blocks, rng.choice((0.0, 0.05, 0.5)), self.profile.inclusion)


@cache
def places() -> dict[str, Place]:
    """By symbol."""
    chains = load(None, {}).chains
    found = {}
    for symbol, name in NAMES.items():
        profile = timing_profile(name, chains[name].timing)
        rules = Rules(once=name != "bitcoin", reorgs=profile.arrival is not Arrival.FIXED)
        found[symbol] = Place(symbol, chains[name], profile, rules)
    return found


def draw_terms(give: Place, get: Place, honest: Role, now: int, rng: Random) -> SwapTerms:
    """A swap from the honest side's view. honest: which leg it funds."""
    first, second = give.amount(rng), get.amount(rng)
    i = LegTiming(give.profile, give.confirmations(first), Wallet.HOT)
    p = LegTiming(get.profile, get.confirmations(second), Wallet.EXTERNAL)
    times = plan(now, i, p)
    fund_i, fund_p = times.initiator_fund_by, times.participant_fund_by
    reveal_by, t_p, t_i = times.reveal_by, times.participant_timelock, times.initiator_timelock
    if honest is Role.PARTICIPANT and rng.random() < 0.5:
        # an offer with the least that we accept
        fund_i = now + rng.randint(1, 2 * give.profile.inclusion)
        fund_p = fund_i + i.confirm + get.profile.inclusion
        reveal_by = fund_p + p.confirm
        t_p = reveal_by + p.claim_lead
        t_i = t_p + p.refund_lag + i.claim_lead
    lock_i = fund_i - (give.profile.inclusion if honest is Role.INITIATOR else 0)
    lock_p = fund_p - (get.profile.inclusion if honest is Role.PARTICIPANT else 0)
    legs = [
        _leg(Role.INITIATOR, give, first, honest is Role.INITIATOR, t_i, fund_i, lock_i, rng),
        _leg(Role.PARTICIPANT, get, second, honest is Role.PARTICIPANT, t_p, fund_p, lock_p, rng),
    ]
    secret = SecretHolder.SELF if honest is Role.INITIATOR else SecretHolder.REMOTE
    terms = SwapTerms(swap_id_of(HASHLOCK), 0, secret, legs[0], legs[1], reveal_by, now)
    if honest is Role.PARTICIPANT:
        check_times(terms, give.profile, get.profile, now)
    return terms


def _leg(
    role: Role, place: Place, amount: int, ours: bool, timelock: int, fund_by: int, lock_by: int, rng: Random
) -> Leg:
    sender, receiver = ("swapd", "other") if ours else ("other", "swapd")
    asset = Asset(place.symbol, place.profile.chain, 8)
    terms = LegTerms(asset, amount, HASHLOCK, sender, receiver, timelock, fund_by)
    return Leg(
        role=role,
        terms=terms,
        funded_by=Wallet.HOT if ours else Wallet.EXTERNAL,
        claimed_by=Wallet.EXTERNAL if ours else Wallet.HOT,
        pay_to=receiver,
        refund_to=sender,
        # a contract pays its fixed payee whoever asks; a script wants the key of its own side
        claim_by_swapd=not ours or place.rules.once,
        refund_by_swapd=ours or place.rules.once,
        claim_waived=True,
        confirmations=place.confirmations(amount),
        lock_by=lock_by,
    )
