"""The chains that swapd trades on, and its own wallets there."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends

from swapd.api.access import Caller, allows, anyone
from swapd.api.forms import Moment, Told, ToldAmount, moment_or_none
from swapd.api.service import Service, Serving
from swapd.coordinator.house import House
from swapd.coordinator.limits import exposure
from swapd.errors import SwapdError
from swapd.store import KeyRole
from swapd.store.reading import promised

router = APIRouter(tags=["chains"])

Insider = Annotated[Caller, Depends(allows(KeyRole.OPERATOR, KeyRole.AUDITOR))]


class AssetTold(Told):
    """Amounts in smallest units. token: the contract or ledger, "" for the chain's own coin."""

    symbol: str
    token: str
    decimals: int
    minimum: ToldAmount
    maximum: ToldAmount


class ChainTold(Told):
    """open: whether swapd begins new swaps there at this moment. clock: the latest timelock that the next block would
    refund; null while the node does not answer. trouble: why it is not open; for those of the house alone."""

    name: str
    open: bool
    height: int | None
    block: str | None
    clock: Moment | None
    assets: list[AssetTold]
    trouble: str


class ChainsTold(Told):
    """open: whether swapd begins anything new at all."""

    open: bool
    closed_because: str
    chains: list[ChainTold]


class BalanceTold(Told):
    """Of one asset, in smallest units. spendable: null while the node does not answer. promised: of it, to swaps that
    are not funded yet. exposed: in swaps that have not ended, promised or locked."""

    asset: str
    spendable: ToldAmount | None
    promised: ToldAmount
    exposed: ToldAmount


class WalletTold(Told):
    """addresses: where to send money so that swapd has it, by label."""

    chain: str
    addresses: dict[str, str]
    balances: list[BalanceTold]
    trouble: str


class WalletsTold(Told):
    wallets: list[WalletTold]


@router.get("/v1/chains")
async def list_chains(service: Serving, caller: Annotated[Caller, Depends(anyone())]) -> ChainsTold:
    """What is traded, and whether it is at this moment."""
    closed = service.daemon.gate.closed if service.daemon else ""
    names = [name for name in service.house.markets if not caller.networks or name in caller.networks]
    told = await asyncio.gather(*(_chain(service, name, caller) for name in names))
    return ChainsTold(open=not closed, closed_because=closed if caller.of_the_house else "", chains=list(told))


@router.get("/v1/wallets")
async def list_wallets(service: Serving, _: Insider) -> WalletsTold:
    """What swapd's own wallets hold."""
    async with service.house.store.read() as reading:
        at_stake = (await reading.at_stake()).whole()
    due, exposed = promised(at_stake, service.house.clock()), exposure(at_stake)
    wallets = await asyncio.gather(*(_wallet(service.house, name, due, exposed) for name in service.house.markets))
    return WalletsTold(wallets=list(wallets))


async def _chain(service: Service, name: str, caller: Caller) -> ChainTold:
    market = service.house.markets[name]
    trouble = service.daemon.gate.for_chains([name]) if service.daemon else ""
    clock = None
    try:
        clock = await market.chain.clock()
    except SwapdError as error:
        trouble = trouble or str(error)
    return ChainTold(
        name=name,
        open=not trouble,
        height=clock.tip.height if clock else None,
        block=clock.tip.hash if clock else None,
        clock=moment_or_none(clock.time if clock else None),
        assets=[
            AssetTold(
                symbol=symbol,
                token=asset.token,
                decimals=asset.decimals,
                minimum=market.assets[symbol].minimum,
                maximum=market.assets[symbol].maximum,
            )
            for symbol, asset in market.chain.assets.items()
        ],
        trouble=trouble if caller.of_the_house else "",
    )


async def _wallet(house: House, name: str, due: dict[str, int], exposed: dict[str, int]) -> WalletTold:
    market = house.markets[name]
    balances: dict[str, int] = {}
    addresses: dict[str, str] = {}
    trouble = ""
    try:
        balances, addresses = dict(await market.chain.balances()), dict(await market.chain.addresses())
    except SwapdError as error:
        trouble = str(error)
    return WalletTold(
        chain=name,
        addresses=addresses,
        balances=[
            BalanceTold(
                asset=symbol,
                spendable=balances.get(symbol),
                promised=due.get(symbol, 0),
                exposed=exposed.get(symbol, 0),
            )
            for symbol in market.assets
        ],
        trouble=trouble,
    )
