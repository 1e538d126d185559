"""What the node says about fees, as the schedule can use it. Its estimator may be silent, or absurd: the schedule falls
back or caps, a person is told (log, and a line of `swapd doctor`), and exits go on."""

from __future__ import annotations

from decimal import Decimal
from math import ceil
from typing import Any

from swapd.chains.alarm import Alarms
from swapd.chains.bitcoin import fees
from swapd.chains.bitcoin.blocks import SATOSHI_PER_BTC
from swapd.chains.bitcoin.fees import Market
from swapd.chains.bitcoin.rpc import Call, Rpc, RpcError
from swapd.chains.bitcoin.settings import FeeSettings
from swapd.errors import Unavailable


class Markets:
    """block_seconds: mean time between blocks."""

    def __init__(self, rpc: Rpc, settings: FeeSettings, block_seconds: float, alarms: Alarms) -> None:
        self._rpc = rpc
        self._settings = settings
        self._block_seconds = block_seconds
        self._alarms = alarms

    async def now(self, seconds_left: int, *, acting: bool = True) -> Market:
        """Raises Unavailable if the node does not say what its mempool takes: without that nothing can be sent.
        acting: somebody is about to pay by it, and not only asking what it would cost."""
        blocks_left = fees.target(seconds_left, self._block_seconds)
        estimate, pool = await self._rpc.batch(
            [Call("estimatesmartfee", (blocks_left, "conservative")), Call("getmempoolinfo")]
        )
        if isinstance(pool, RpcError):
            raise pool
        minimum = least(pool)
        if minimum is None:
            raise Unavailable("bitcoin node: it does not say what its mempool asks at the least")
        rate = estimated(estimate)
        if acting:
            self._tell(rate)
        best = self._settings.fallback_rate if rate is None else rate
        return Market(best, minimum, _per_vbyte(_field(pool, "incrementalrelayfee")) or 1)

    def _tell(self, rate: int | None) -> None:
        settings, node = self._settings, str(id(self))  # each node has an estimator of its own
        self._alarms.ring("fee.no_estimate", rate is None, node, fallback_rate=settings.fallback_rate)
        absurd = rate is not None and rate > settings.cap_rate
        self._alarms.ring("fee.estimate_above_cap", absurd, node, estimate=rate, cap_rate=settings.cap_rate)


def estimated(answer: Any) -> int | None:
    """sat/vB of an answer to `estimatesmartfee`; None where it says nothing, or nothing that can be true."""
    return _per_vbyte(_field(answer, "feerate"))


def least(pool: Any) -> int | None:
    """sat/vB that the mempool asks at the least, of an answer to `getmempoolinfo`."""
    rates = [_per_vbyte(_field(pool, name)) for name in ("mempoolminfee", "minrelaytxfee")]
    return max((rate for rate in rates if rate is not None), default=None)


def _field(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, dict) else None


def _per_vbyte(per_kilobyte: Any) -> int | None:
    """The node counts in BTC by 1000 vB. Rounded up, because a fraction less is refused."""
    if isinstance(per_kilobyte, bool) or not isinstance(per_kilobyte, int | Decimal):
        return None
    rate = Decimal(per_kilobyte)
    if not rate.is_finite() or rate <= 0:
        return None
    return max(1, ceil(rate * SATOSHI_PER_BTC / 1000))
