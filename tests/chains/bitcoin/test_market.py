"""An estimator that is silent or absurd: exits go on, within the caps, and people hear of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from swapd.chains.bitcoin.market import Markets, estimated, least
from swapd.chains.bitcoin.rpc import Call, Rpc, RpcError
from swapd.errors import Unavailable
from swapd.protocol.effects import EffectKind

from .conftest import AMOUNT, FAR, World

REFUSED = RpcError("estimatesmartfee", -32603, "Fee estimation disabled")


def says(world: World, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    """From now on the node answers these methods so."""
    ask = Rpc.batch

    async def batch(self: Rpc, calls: Sequence[Call], *, wallet: bool = False) -> list[Any]:
        found = await ask(self, calls, wallet=wallet)
        return [answers.get(call.method, answer) for call, answer in zip(calls, found, strict=True)]

    monkeypatch.setattr(Rpc, "batch", batch)


@pytest.mark.parametrize(
    "answer",
    [
        {"errors": ["Insufficient data or no feerate found"], "blocks": 2},
        {"feerate": 0},
        {"feerate": Decimal("-0.1")},
        {"feerate": Decimal("NaN")},
        {"feerate": Decimal("Infinity")},
        {"feerate": "a lot"},
        {"feerate": True},
        {},
        [],
        None,
        REFUSED,
    ],
    ids=repr,
)
def test_what_is_no_estimate_is_none(answer: Any) -> None:
    assert estimated(answer) is None


def test_an_estimate_is_rounded_up_to_whole_satoshi() -> None:
    assert estimated({"feerate": Decimal("0.00001001")}) == 2
    assert estimated({"feerate": Decimal("0.00000001")}) == 1
    assert estimated({"feerate": 1}) == 100_000


def test_the_higher_of_the_two_minima_counts_and_one_will_do() -> None:
    assert least({"mempoolminfee": Decimal("0.00002"), "minrelaytxfee": Decimal("0.00001")}) == 2
    assert least({"minrelaytxfee": Decimal("0.00003")}) == 3
    assert least({}) is None


@pytest.mark.parametrize("answer", [{}, {"feerate": 0}, REFUSED], ids=repr)
async def test_without_an_estimate_the_fallback_is_bid_and_said_once(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: Any
) -> None:
    leg = await world.locked()
    says(world, monkeypatch, estimatesmartfee=answer)
    claim = await world.send(EffectKind.CLAIM, leg)
    assert claim.rate == world.chain._settings.fee.fallback_rate
    assert await world.draft(EffectKind.CLAIM, leg, claim) is None
    assert capsys.readouterr().out.count("fee.no_estimate") <= 1


async def test_an_absurd_estimate_is_capped_said_in_the_log_and_by_the_doctor(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leg = await world.locked(amount=5 * AMOUNT)
    says(world, monkeypatch, estimatesmartfee={"feerate": Decimal(20)})
    claim = await world.draft(EffectKind.CLAIM, leg)
    assert claim is not None
    assert claim.rate == world.chain._settings.fee.cap_rate
    await world.draft(EffectKind.CLAIM, leg)
    assert capsys.readouterr().out.count("fee.estimate_above_cap") == 1
    (line,) = [each for each in await world.chain.examine() if each.name == "fees"]
    assert not line.ok
    assert "above cap_rate" in line.says
    says(world, monkeypatch, estimatesmartfee={"feerate": Decimal("0.0001")})
    await world.draft(EffectKind.CLAIM, leg)
    assert "fee.estimate_above_cap.over" in capsys.readouterr().out
    (line,) = [each for each in await world.chain.examine() if each.name == "fees"]
    assert (line.ok, line.mend) == (True, "")


async def test_a_node_that_does_not_say_what_it_takes_is_no_market(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(world, monkeypatch, getmempoolinfo={})
    markets = world.chain._endpoints.nodes[0].markets
    assert isinstance(markets, Markets)
    with pytest.raises(Unavailable, match="at the least"):
        await markets.now(FAR)


async def test_the_cap_holds_while_there_is_time_and_yields_near_the_deadline_and_both_are_said(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leg = await world.leg(amount=20_000, timelock=int(time.time()) + FAR)
    await world.pay(leg)
    leg = await world.seen(leg)
    says(world, monkeypatch, estimatesmartfee={"feerate": Decimal("0.0005")})
    patient = await world.send(EffectKind.CLAIM, leg)
    assert patient.fee == 20_000 * 5 // 100
    said = capsys.readouterr().out
    assert said.count("fee.held_back_by_cap") == 1
    assert "fee.cap_yields" not in said
    urgent = await world.send(EffectKind.CLAIM, leg, patient, left=600)
    assert urgent.fee > 20_000 * 5 // 100
    said = capsys.readouterr().out
    assert said.count("fee.cap_yields") == 1
    await world.node.mine(1)
