"""Claims, or refunds, of several swaps in one transaction, where that costs each of them less and nobody time.

Whoever drafts at the same moment may go together. Each is given the same signed bytes, and stores and sends them as its
own. Nothing about a batch is remembered, here or on disk, and nothing has to be, because:

- Only who has time joins: the deadline is so far that no fee rises yet, and no secret is shown for the first time. What
  is lost by waiting for companions is the fraction of a second that it takes.
- Only the wallet's own payouts join. A stranger who is paid by a batch could hang so much on that output that replacing
  it becomes dear for all others (BIP 125, rule 3). Nobody else can spend from a batch that pays only us.
- The whole fee is at most what each member alone may pay while its deadline is far. So rule 3 keeps nobody from
  leaving: what becomes urgent outbids the batch by itself, within the cap of its own amount, which then even yields.
- No member pays more than it would alone at the same rate, so a batch is never dearer.
- If one coin is lost to somebody else the batch is invalid. Each other member sees its coin unspent and no batch in the
  mempool, and goes alone at once, or with new companions. A batch that is only too cheap is outbid by those who still
  go together, or by the first alone.
- If the process dies when some have stored the bytes and others have not, the others find their coin spent by their own
  claim or refund, paid out to their own address, and let it be; if it falls out of the mempool, they make a new one.
- A member that is not wanted any more, a moment later, is claimed or refunded all the same. For a claim the secret was
  public; for a refund with time nobody can know the secret, so nothing else can become right.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import structlog

from swapd.chains.base import SignedTx
from swapd.chains.bitcoin import fees
from swapd.chains.bitcoin.fees import Market
from swapd.chains.bitcoin.pool import simulate
from swapd.chains.bitcoin.rpc import Rpc
from swapd.chains.bitcoin.settings import FeeSettings
from swapd.chains.bitcoin.spending import Exit, Spending
from swapd.chains.bitcoin.transaction import Output, joint_vsize, read
from swapd.errors import SwapdError

log = structlog.get_logger()

MOST = 50
"""Members of one batch: some 6,500 vB, far from every limit of nodes."""


@dataclass(frozen=True)
class _Waiting:
    exit: Exit
    market: Market
    answer: asyncio.Future[SignedTx | None]

    @property
    def alike(self) -> Hashable:
        """What those who go together have in common: locktimes of one kind, a rate that is right for each, and what
        they replace."""
        return self.exit.claims, self.exit.wanted, self.exit.pending


class Batches:
    """settings.batch_seconds: for how long somebody who has time waits for others; 0: not at all."""

    def __init__(self, rpc: Rpc, settings: FeeSettings, spending: Spending) -> None:
        self._rpc = rpc
        self._settings = settings
        self._spending = spending
        self._waiting: list[_Waiting] = []
        self._closing: asyncio.Task[None] | None = None

    async def join(self, exit_: Exit, market: Market) -> SignedTx | None:
        """A transaction for this one and others, which the node would take. None: it goes alone."""
        if not (exit_.patient and exit_.own) or self._settings.batch_seconds == 0:
            return None
        waiting = _Waiting(exit_, market, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._closing is None:
            # a task of its own: whoever came first may be cancelled, and the others must not wait for ever
            self._closing = asyncio.create_task(self._close())
        return await waiting.answer

    async def end(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.gather(self._closing, return_exceptions=True)

    async def _close(self) -> None:
        try:
            await asyncio.sleep(self._settings.batch_seconds)
        finally:
            taken, self._waiting, self._closing = self._waiting, [], None
        groups: defaultdict[Hashable, list[_Waiting]] = defaultdict(list)
        for each in taken:
            groups[each.alike].append(each)
        try:
            for group in groups.values():
                await self._answer([each for each in group if not each.answer.done()][:MOST])
        finally:
            for each in taken:
                if not each.answer.done():
                    each.answer.set_result(None)

    async def _answer(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        market = Market(
            estimate=max(each.market.estimate for each in group),
            minimum=max(each.market.minimum for each in group),
            increment=max(each.market.increment for each in group),
        )
        together = Together.of(self._settings, market, [each.exit for each in group])
        if together is None:
            return
        try:
            signed = await self._signed(together)
        except SwapdError as error:
            log.info("batch.refused", members=len(together.exits), reason=str(error))  # each finds out alone
            return
        log.info("batch.signed", members=len(together.exits), txid=signed[0].txid, fee=together.fee)
        by_coin = {each.exit.coin.outpoint: each for each in group}
        for exit_, tx in zip(together.exits, signed, strict=True):
            answer = by_coin[exit_.coin.outpoint].answer
            if not answer.done():
                answer.set_result(tx)

    async def _signed(self, together: Together) -> list[SignedTx]:
        """The same transaction for each member, with its own part of the fee."""
        raw = self._spending.signed(together.exits, together.outputs)
        await simulate(self._rpc, raw)
        tx = read(raw)
        spends = tuple(str(item.outpoint) for item in tx.inputs)
        return [SignedTx(tx.txid, raw, share, together.fee // tx.vsize, spends=spends) for share in together.shares]


@dataclass(frozen=True)
class Together:
    """Who goes in one transaction, and what each pays: its part of the fee by what it would pay alone."""

    exits: tuple[Exit, ...]
    shares: tuple[int, ...]

    @property
    def fee(self) -> int:
        return sum(self.shares)

    @property
    def outputs(self) -> list[Output]:
        """One for each payout script, with exactly what its members are left with."""
        amounts: defaultdict[bytes, int] = defaultdict(int)
        for exit_, share in zip(self.exits, self.shares, strict=True):
            amounts[exit_.payout] += exit_.coin.amount - share
        return [Output(amount, script) for script, amount in amounts.items()]

    @classmethod
    def of(cls, settings: FeeSettings, market: Market, exits: Sequence[Exit]) -> Together | None:
        """As many of these as may go together; None if that is nobody, or only one."""
        members = list({each.coin.outpoint: each for each in exits}.values())
        members.sort(key=lambda each: each.coin.amount)
        while len(members) > 1:
            found = cls._all(market, members)
            if found._is_safe(settings, market):
                return found
            members.pop(0)  # the smallest has the lowest cap
        return None

    @classmethod
    def _all(cls, market: Market, exits: Sequence[Exit]) -> Together:
        vsize = joint_vsize([each.witness for each in exits], {each.payout for each in exits})
        rivals = [rival for each in exits for rival in each.rivals]
        fee = max(max(each.wanted for each in exits) * vsize, fees.least_fee(market, vsize, rivals))
        alone = [each.purse.vsize for each in exits]
        return cls(tuple(exits), tuple(-(-fee * each // sum(alone)) for each in alone))

    def _is_safe(self, settings: FeeSettings, market: Market) -> bool:
        """Whether each pays no more than alone, and can leave whenever it likes."""
        vsize = joint_vsize([each.witness for each in self.exits], {each.payout for each in self.exits})
        return all(
            share <= each.fee
            and fees.leaving_fee(market, each.purse.vsize, self.fee, vsize)
            <= fees.ceiling(settings, market, each.purse, settings.rush_seconds)
            for each, share in zip(self.exits, self.shares, strict=True)
        )
