"""A leg as the chain shows it now. Only the node is believed; sightings say where to look (rule S1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swapd.chains.base import Sighting, WatchedLeg
from swapd.chains.bitcoin import blocks
from swapd.chains.bitcoin.blocks import absent, satoshi
from swapd.chains.bitcoin.hints import birthplaces, heights, hints_of, in_chain, places
from swapd.chains.bitcoin.rpc import Call, Rpc
from swapd.chains.bitcoin.script import htlc_script, output_script, preimage_in
from swapd.chains.bitcoin.search import Place, Search
from swapd.chains.bitcoin.transaction import Outpoint, Transaction, read
from swapd.errors import Unavailable
from swapd.protocol.observation import ABSENT_VIEW, LegState, LegView, Stray

_TRIES = 3
"""A look takes several requests; a block that arrives in between would mix two chains, so it starts again."""

MOST_STRAYS = 50
"""Shown and refunded at a time, the largest first: anybody can make more, and a person needs to see that it is many."""


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


@dataclass(frozen=True)
class Look:
    """Looks at legs, in a number of requests that does not grow with what was sighted of them."""

    rpc: Rpc
    search: Search

    @classmethod
    def by(cls, rpc: Rpc) -> Look:
        return cls(rpc, Search(rpc))

    async def coins(self, watched: WatchedLeg) -> list[Coin]:
        """Every output to the leg's script that its sightings lead to, in the order of the chain, mempool last.

        Raises Unavailable for a node whose chain ends before the leg was born: it can not know of it.
        """
        for _ in range(_TRIES):
            before = (await blocks.tip(self.rpc))[0]
            if before.height < watched.birth:
                raise Unavailable(
                    f"bitcoin node: the node's tip {before.height} is below the height {watched.birth} at which the "
                    "swap was made"
                )
            coins = await _Attempt(self, watched, before.height).coins()
            if await self.rpc.call("getbestblockhash") == before.hash:
                return coins
        raise Unavailable("bitcoin node: new blocks came faster than a leg could be looked at")


@dataclass(frozen=True)
class _Attempt:
    """One look at one leg, at one tip."""

    look: Look
    watched: WatchedLeg
    height: int

    @property
    def script(self) -> bytes:
        return htlc_script(self.watched.leg.terms)

    async def coins(self) -> list[Coin]:
        hints = hints_of(self.watched.sightings)
        outpoints = list(hints)
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
        pool = await self._pool({*pending.values(), *(o.txid for o in gone if o in pending)})
        coins += [coin for o in gone if o in pending and (coin := self._only_pending(o, pool))]
        coins = [self._with_pending_spend(coin, pool.get(pending.get(coin.outpoint, ""))) for coin in coins]
        coins += await self._spent({o: hints[o] for o in gone if o not in pending})
        return await self._in_order(coins)

    def _unspent(self, outpoint: Outpoint, answer: Any) -> Coin | None:
        if answer["scriptPubKey"]["hex"] != output_script(self.script).hex():
            return None  # somebody else's money: a sighting was wrong
        depth = blocks.whole(answer["confirmations"])
        height = self.height - depth + 1 if depth else None
        return Coin(outpoint, satoshi(answer["value"]), height, depth)

    async def _pool(self, txids: set[str]) -> dict[str, Transaction]:
        """Those of them that have not left the mempool meanwhile."""
        return {tx.txid: tx for tx in await blocks.transactions(self.look.rpc, sorted(txids))}

    def _with_pending_spend(self, coin: Coin, tx: Transaction | None) -> Coin:
        if tx is None:
            return coin
        witness = next(i.witness for i in tx.inputs if i.outpoint == coin.outpoint)
        return replace(coin, spend=CoinSpend(tx.txid, 0, self._preimage(witness)))

    def _only_pending(self, outpoint: Outpoint, pool: Mapping[str, Transaction]) -> Coin | None:
        """Lock and spend are both in the mempool."""
        lock = pool.get(outpoint.txid)
        if lock is None or outpoint.vout >= len(lock.outputs):
            return None
        output = lock.outputs[outpoint.vout]
        return Coin(outpoint, output.amount, None, 0) if output.script == output_script(self.script) else None

    async def _spent(self, hints: Mapping[Outpoint, Sequence[Sighting]]) -> list[Coin]:
        """Coins that are neither in the chain's set of unspent outputs nor unspent in the mempool."""
        at = heights(hints, self.watched.birth, self.height)
        true = in_chain(hints, dict(zip(at, await blocks.hashes(self.look.rpc, at), strict=True)))
        coins = await self._spent_at({o: places(seen) + self.look.search.known(o) for o, seen in true.items()})
        # what no block of this node ever held (a lock that was replaced, or invented) can not have been spent in one
        lost = await self._made({o: birthplaces(o, seen) for o, seen in true.items() if o not in coins})
        found = await self.look.search.spends(lost, self.watched.birth, self.height)
        coins |= await self._spent_at({outpoint: [place] for outpoint, place in found.items()})
        return list(coins.values())

    async def _made(self, tried: Mapping[Outpoint, Sequence[Place]]) -> frozenset[Outpoint]:
        """Those that one of these transactions of this chain really makes, and that pay to the leg's script."""
        distinct = list(dict.fromkeys(place for ways in tried.values() for place in ways))
        known: dict[Place, Transaction] = {}
        for start in range(0, len(distinct), blocks.MOST_TRANSACTIONS):
            part = distinct[start : start + blocks.MOST_TRANSACTIONS]
            answers = await self.look.rpc.batch([Call("getrawtransaction", (p.txid, 0, p.block_hash)) for p in part])
            known |= {p: read(bytes.fromhex(a)) for p, a in zip(part, answers, strict=True) if not absent(a)}
        script = output_script(self.script)
        return frozenset(
            outpoint
            for outpoint, ways in tried.items()
            for place in ways
            if place in known and (outputs := known[place].outputs)[outpoint.vout : outpoint.vout + 1]
            if outputs[outpoint.vout].script == script
        )

    async def _spent_at(self, tried: Mapping[Outpoint, Sequence[Place]]) -> dict[Outpoint, Coin]:
        """The coins that one of these transactions really spends, each asked for once."""
        distinct = list(dict.fromkeys(place for ways in tried.values() for place in ways))
        answers = await self.look.rpc.batch([Call("getrawtransaction", (p.txid, 2, p.block_hash)) for p in distinct])
        known = {place: answer for place, answer in zip(distinct, answers, strict=True) if not absent(answer)}
        coins: dict[Outpoint, Coin] = {}
        for outpoint, ways in tried.items():
            spends = (self._spent_by(outpoint, known[place]) for place in ways if place in known)
            if coin := next((coin for coin in spends if coin), None):
                coins[outpoint] = coin
        return coins

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
        spend = CoinSpend(blocks.text(answer["txid"]), blocks.whole(answer["confirmations"]), self._preimage(witness))
        height = blocks.whole(before["height"])
        return Coin(outpoint, satoshi(before["value"]), height, self.height - height + 1, spend)

    def _preimage(self, witness: tuple[bytes, ...]) -> bytes | None:
        return preimage_in(witness, self.script, self.watched.leg.terms.hashlock)

    async def _in_order(self, coins: list[Coin]) -> list[Coin]:
        """By block, place in the block, and output. The place is asked for only where two that may be the leg share a
        block."""
        agreed = self.watched.leg.terms.amount
        heights = [coin.height for coin in coins if coin.height is not None and coin.amount == agreed]
        order: dict[str, int] = {}
        for height in {h for h in heights if heights.count(h) > 1}:
            block_hash = (await blocks.hashes(self.look.rpc, [height]))[0]
            listed = (await self.look.rpc.call("getblock", block_hash, 1))["tx"]
            order |= {txid: place for place, txid in enumerate(listed)}

        def key(coin: Coin) -> tuple[float, int, str, int]:
            height = float("inf") if coin.height is None else coin.height
            return (height, order.get(coin.outpoint.txid, 0), coin.outpoint.txid, coin.outpoint.vout)

        return sorted(coins, key=key)


def the_leg(coins: Sequence[Coin], amount: int) -> Coin | None:
    """The leg is the first output of exactly the agreed amount (rule S11); all others are strays."""
    return next((coin for coin in coins if coin.amount == amount), None)


def view_of(watched: WatchedLeg, coins: Sequence[Coin], least: int) -> LegView:
    """What these coins mean to the leg. A secret shown by the claim of a stray is as public as any (rule S6).

    least: satoshi; what is smaller does not pay for its own refund.
    """
    leg = the_leg(coins, watched.leg.terms.amount)
    others = [coin for coin in coins if coin is not leg and (coin.spend is None or coin.spend.depth == 0)]
    largest = sorted(others, key=lambda coin: -coin.amount)[:MOST_STRAYS]
    strays = tuple(_stray(watched, coin, least) for coin in largest)
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


def _stray(watched: WatchedLeg, coin: Coin, least: int) -> Stray:
    leg = watched.leg
    if leg.refund_by_swapd and coin.amount < least:
        way_back = f"none: below {least} satoshi it does not pay for its own refund"
    elif leg.refund_by_swapd:
        way_back = f"swapd sends it to {leg.refund_to} when the timelock {leg.terms.timelock} has passed"
    else:
        way_back = (
            f"spend {coin.outpoint} with the refund key {leg.terms.sender} once median-time-past is over the timelock: "
            f"nLockTime {leg.terms.timelock}, nSequence 0xfffffffd, witness [signature, refund key, empty, script], "
            f"script {htlc_script(leg.terms).hex()}"
        )
    refundable = leg.refund_by_swapd and coin.depth > 0 and coin.amount >= least
    why = stray_reason(coin.amount, leg.terms.amount)
    return Stray(str(coin.outpoint), coin.amount, why, way_back, refundable)
