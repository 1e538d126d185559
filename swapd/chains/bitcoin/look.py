"""A leg as the chain shows it now. Only the node is believed; sightings say where to look (rule S1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swapd.chains.base import SightingKind, WatchedLeg
from swapd.chains.bitcoin import blocks
from swapd.chains.bitcoin.blocks import absent, satoshi
from swapd.chains.bitcoin.rpc import Call, Rpc
from swapd.chains.bitcoin.script import htlc_script, output_script, preimage_in
from swapd.chains.bitcoin.transaction import Outpoint
from swapd.errors import Unavailable
from swapd.protocol.observation import ABSENT_VIEW, LegState, LegView, Stray

_TRIES = 3
"""A look takes several requests; a block that arrives in between would mix two chains, so it starts again."""


@dataclass(frozen=True)
class CoinSpend:
    """What took a coin. depth: 0 in the mempool. preimage: shown by a claim, None for a refund."""

    txid: str
    depth: int
    preimage: bytes | None


@dataclass(frozen=True)
class Coin:
    """One output that pays to a leg's script. height: None in the mempool. depth: 1 at the tip, 0 in the mempool."""

    outpoint: Outpoint
    amount: int
    height: int | None
    depth: int
    spend: CoinSpend | None = None


@dataclass
class Look:
    """Looks at legs. `_searched` remembers which blocks were searched in vain, so that an outpoint that is nowhere (a
    lock that fell out of the mempool, an invented one) costs a search once and not at every look."""

    rpc: Rpc
    _searched: dict[Outpoint, tuple[int, str]] = field(default_factory=dict)

    async def coins(self, watched: WatchedLeg) -> list[Coin]:
        """Every output to the leg's script that its sightings lead to, in the order of the chain, mempool last."""
        for _ in range(_TRIES):
            before = (await blocks.tip(self.rpc))[0]
            coins = await _Attempt(self, watched, before.height, before.hash).coins()
            if await self.rpc.call("getbestblockhash") == before.hash:
                return coins
        raise Unavailable("bitcoin node: new blocks came faster than a leg could be looked at")

    async def search(
        self, outpoints: frozenset[Outpoint], birth: int, height: int, tip_hash: str
    ) -> dict[Outpoint, Any]:
        """Look through the blocks since `birth` for what spent these, but not again through blocks seen before."""
        found: dict[Outpoint, tuple[str, str]] = {}
        for outpoint in outpoints:
            known_height, known_hash = self._searched.get(outpoint, (birth - 1, ""))
            if known_hash and (await blocks.hashes(self.rpc, [known_height]))[0] != known_hash:
                known_height = birth - 1  # reorganised: what was searched is not the chain any more
            hit = await blocks.spenders(self.rpc, frozenset({outpoint}), max(0, known_height + 1), height)
            if hit:
                found |= hit
                self._searched.pop(outpoint, None)
            else:
                self._searched[outpoint] = (height, tip_hash)
        return found


@dataclass(frozen=True)
class _Attempt:
    """One look at one leg, at one tip."""

    look: Look
    watched: WatchedLeg
    height: int
    tip_hash: str

    @property
    def script(self) -> bytes:
        return htlc_script(self.watched.leg.terms)

    async def coins(self) -> list[Coin]:
        outpoints = _outpoints(self.watched)
        if not outpoints:
            return []
        answers = await self.look.rpc.batch(
            [Call("gettxout", (o.txid, o.vout, pool)) for pool in (False, True) for o in outpoints]
            + [Call("gettxspendingprevout", ([{"txid": o.txid, "vout": o.vout} for o in outpoints],))]
        )
        spending = answers.pop()
        if absent(spending):
            raise Unavailable("bitcoin node: it does not say what the mempool spends")
        pending = {o: s["spendingtxid"] for o, s in zip(outpoints, spending, strict=True) if "spendingtxid" in s}
        coins, gone = [], []
        for outpoint, mined, pooled in zip(
            outpoints, answers[: len(outpoints)], answers[len(outpoints) :], strict=True
        ):
            answer = pooled if absent(mined) else mined
            if absent(answer):
                gone.append(outpoint)
            elif coin := self._unspent(outpoint, answer):
                coins.append(coin)
        coins = [await self._with_pending_spend(coin, pending.get(coin.outpoint)) for coin in coins]
        coins += [coin for coin in await self._gone(gone, pending) if coin]
        return await self._in_order(coins)

    def _unspent(self, outpoint: Outpoint, answer: Any) -> Coin | None:
        if answer["scriptPubKey"]["hex"] != output_script(self.script).hex():
            return None  # somebody else's money: a sighting was wrong
        depth = answer["confirmations"]
        height = self.height - depth + 1 if depth else None
        return Coin(outpoint, satoshi(answer["value"]), height, depth)

    async def _with_pending_spend(self, coin: Coin, txid: str | None) -> Coin:
        if txid is None:
            return coin
        found = await blocks.transactions(self.look.rpc, [txid])
        if not found:  # it left the mempool meanwhile
            return coin
        witness = next(i.witness for i in found[0].inputs if i.outpoint == coin.outpoint)
        return replace(coin, spend=CoinSpend(txid, 0, self._preimage(witness)))

    async def _gone(self, outpoints: Sequence[Outpoint], pending: dict[Outpoint, str]) -> list[Coin | None]:
        """Coins that are neither in the chain's set of unspent outputs nor unspent in the mempool."""
        result: list[Coin | None] = []
        lost: list[Outpoint] = []
        for outpoint in outpoints:
            if outpoint in pending:
                result.append(await self._pending_twice(outpoint, pending[outpoint]))
            elif coin := await self._spent_where_sighted(outpoint):
                result.append(coin)
            else:
                lost.append(outpoint)
        found = await self.look.search(frozenset(lost), self.watched.birth, self.height, self.tip_hash)
        return result + [await self._spent(outpoint, [where]) for outpoint, where in found.items()]

    async def _pending_twice(self, outpoint: Outpoint, spender: str) -> Coin | None:
        """Lock and spend are both in the mempool."""
        locks = await blocks.transactions(self.look.rpc, [outpoint.txid])
        if not locks or outpoint.vout >= len(locks[0].outputs):
            return None
        output = locks[0].outputs[outpoint.vout]
        if output.script != output_script(self.script):
            return None
        return await self._with_pending_spend(Coin(outpoint, output.amount, None, 0), spender)

    async def _spent_where_sighted(self, outpoint: Outpoint) -> Coin | None:
        return await self._spent(
            outpoint,
            [
                (sighting.txid, sighting.block_hash)
                for sighting in reversed(self.watched.sightings)  # the newest is the likeliest to be still true
                if sighting.ref == str(outpoint) and sighting.block_hash and _is_spend(sighting.kind)
            ],
        )

    async def _spent(self, outpoint: Outpoint, places: Sequence[tuple[str, str]]) -> Coin | None:
        """The coin as spent by one of these transactions, each with its block; None if none really spends it."""
        distinct = list(dict.fromkeys(places))
        answers = await self.look.rpc.batch([Call("getrawtransaction", (txid, 2, block)) for txid, block in distinct])
        coins = (self._spent_by(outpoint, answer) for answer in answers if not absent(answer))
        return next((coin for coin in coins if coin), None)

    def _spent_by(self, outpoint: Outpoint, answer: Any) -> Coin | None:
        """answer: a transaction of a block, with what its inputs spent."""
        item = next((i for i in answer["vin"] if (i.get("txid"), i.get("vout")) == tuple(outpoint)), None)
        if item is None or not answer.get("in_active_chain"):
            return None
        before = item.get("prevout")
        if before is None:
            raise Unavailable(f"bitcoin node: it has lost what {answer['txid']} spent, is it pruned too far?")
        if before["scriptPubKey"]["hex"] != output_script(self.script).hex():
            return None
        witness = tuple(bytes.fromhex(part) for part in item["txinwitness"])
        spend = CoinSpend(answer["txid"], answer["confirmations"], self._preimage(witness))
        height = before["height"]
        return Coin(outpoint, satoshi(before["value"]), height, self.height - height + 1, spend)

    def _preimage(self, witness: tuple[bytes, ...]) -> bytes | None:
        return preimage_in(witness, self.script, self.watched.leg.terms.hashlock)

    async def _in_order(self, coins: list[Coin]) -> list[Coin]:
        """By block, place in the block, and output. The place is asked for only where two share a block."""
        heights = [coin.height for coin in coins if coin.height is not None]
        places: dict[str, int] = {}
        for height in {h for h in heights if heights.count(h) > 1}:
            block_hash = (await blocks.hashes(self.look.rpc, [height]))[0]
            listed = (await self.look.rpc.call("getblock", block_hash, 1))["tx"]
            places |= {txid: place for place, txid in enumerate(listed)}

        def key(coin: Coin) -> tuple[float, int, str, int]:
            height = float("inf") if coin.height is None else coin.height
            return (height, places.get(coin.outpoint.txid, 0), coin.outpoint.txid, coin.outpoint.vout)

        return sorted(coins, key=key)


def the_leg(coins: Sequence[Coin], amount: int) -> Coin | None:
    """The leg is the first output of exactly the agreed amount (rule S11); all others are strays."""
    return next((coin for coin in coins if coin.amount == amount), None)


def view_of(watched: WatchedLeg, coins: Sequence[Coin]) -> LegView:
    """What these coins mean to the leg. A secret shown by the claim of a stray is as public as any (rule S6)."""
    leg = the_leg(coins, watched.leg.terms.amount)
    strays = tuple(
        _stray(watched, coin) for coin in coins if coin is not leg and (coin.spend is None or coin.spend.depth == 0)
    )
    public = next((coin.spend.preimage for coin in coins if coin.spend and coin.spend.preimage), None)
    if leg is None:
        return replace(ABSENT_VIEW, strays=strays, preimage=public)
    if leg.spend is None:
        state, depth = (LegState.LOCKED, leg.depth) if leg.depth else (LegState.SEEN, 0)
    else:
        state, depth = (LegState.CLAIMED if leg.spend.preimage else LegState.REFUNDED), leg.spend.depth
    return LegView(
        state,
        depth,
        preimage=public,
        lock_ref=str(leg.outpoint),
        lock_txid=leg.outpoint.txid,
        spend_txid=leg.spend.txid if leg.spend else None,
        strays=strays,
    )


def stray_reason(amount: int, agreed: int) -> str:
    if amount == agreed:
        return "a second lock of the same terms"
    return f"{blocks.btc(amount)} BTC instead of {blocks.btc(agreed)} BTC"


def _stray(watched: WatchedLeg, coin: Coin) -> Stray:
    leg = watched.leg
    if leg.refund_by_swapd:
        way_back = f"swapd sends it to {leg.refund_to} when the timelock {leg.terms.timelock} has passed"
    else:
        way_back = (
            f"spend {coin.outpoint} with the refund key {leg.terms.sender} once median-time-past is over the timelock: "
            f"nLockTime {leg.terms.timelock}, nSequence 0xfffffffd, witness [signature, refund key, empty, script], "
            f"script {htlc_script(leg.terms).hex()}"
        )
    why = stray_reason(coin.amount, leg.terms.amount)
    return Stray(str(coin.outpoint), coin.amount, why, way_back, refundable=leg.refund_by_swapd and coin.depth > 0)


def _is_spend(kind: SightingKind) -> bool:
    return kind in (SightingKind.CLAIM, SightingKind.REFUND)


def _outpoints(watched: WatchedLeg) -> list[Outpoint]:
    parsed = (Outpoint.parse(sighting.ref) for sighting in watched.sightings)
    return list(dict.fromkeys(outpoint for outpoint in parsed if outpoint))
