"""What every command needs: the configuration, and the rooms it opens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click
import uvloop

from swapd.chains.registry import REGISTRY
from swapd.coordinator.house import House, Market
from swapd.coordinator.limits import Limits
from swapd.errors import Invalid, Rejected, SwapdError
from swapd.settings import Settings, load, timing_profile
from swapd.store import Store
from swapd.telemetry.telemetry import Telemetry
from swapd.vault import Vault
from swapd.vault.passphrase import read_passphrase

P = ParamSpec("P")

CONFIG_VARIABLE = "SWAPD_CONFIG"


class NoKey:
    """For what is done with a database without opening anything that is sealed: it needs no passphrase, and can run
    from a timer."""

    def seal(self, content: bytes) -> bytes:
        raise Rejected("nothing is sealed without the seed")

    def open(self, sealed: bytes) -> bytes:
        raise Rejected("nothing is opened without the seed")


@dataclass(frozen=True)
class Context:
    """config: the file given by --config, None for the defaults alone."""

    config: Path | None

    def settings(self) -> Settings:
        return load(self.config, os.environ)


def command(function: Callable[Concatenate[Context, P], Coroutine[Any, Any, int | None]]) -> Callable[P, None]:
    """Run an asynchronous command. An error of ours is one line on standard error and exit code 1."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        context = click.get_current_context().find_object(Context)
        assert context is not None  # noqa: S101 - made by the group that every command hangs on
        try:
            code = uvloop.run(function(context, *args, **kwargs))
        except SwapdError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        raise SystemExit(code or 0)

    return run


async def open_vault(settings: Settings) -> Vault:
    """Unlock the key file; slow on purpose, so in a thread. The caller closes it."""
    passphrase = read_passphrase(settings.vault.passphrase_file)
    return await asyncio.to_thread(Vault.unlock, settings.vault.key_file, passphrase, settings.daemon.network)


@asynccontextmanager
async def open_house(
    settings: Settings, vault: Vault | None = None, telemetry: Telemetry | None = None
) -> AsyncIterator[House]:
    """Vault, store and chains, opened and closed together. Chains are made but not connected: `start` them to act.

    vault: one that is open already, whose passphrase need not be asked for again; it is closed too. telemetry: whoever
    watches it; the caller closes it.
    """
    vault = vault or await open_vault(settings)
    try:
        store = await Store.open(settings.database.url, vault)
        try:
            await require_bound(store, settings, vault)
            house = make_house(settings, vault, store, telemetry)
            try:
                yield house
            finally:
                for market in house.markets.values():
                    await market.chain.close()
        finally:
            await store.close()
    finally:
        vault.close()


async def require_bound(store: Store, settings: Settings, vault: Vault) -> None:
    """A database belongs to one seed and one network: with another, keys and swaps would not fit together."""
    async with store.read() as reading:
        for key, value in (("seed", vault.fingerprint), ("network", settings.daemon.network.value)):
            if (bound := await reading.meta(key)) != value:
                raise Invalid(key, value, f"{bound}, to which this database belongs (`swapd init` binds a new one)")


def make_house(settings: Settings, vault: Vault, store: Store, telemetry: Telemetry | None = None) -> House:
    markets = {
        name: Market(
            chain=REGISTRY[name].make(name, chain, vault),
            profile=timing_profile(name, chain.timing),
            assets=chain.assets,
            poll_seconds=chain.poll_seconds,
        )
        for name, chain in settings.enabled_chains().items()
    }
    entry = settings.entry
    limits = Limits(
        open_swaps=entry.open_swaps_max,
        tenant_open_swaps=entry.tenant_open_swaps_max,
        party_open_swaps=entry.party_open_swaps_max,
        approvals=entry.approvals,
        approval_seconds=entry.approval_seconds,
    )
    return House(markets, store, vault, limits, entry.clock_slack_seconds, telemetry=telemetry or Telemetry())


async def start_chains(house: House) -> None:
    """Connect to every node; the first one that is away ends the command."""
    await asyncio.gather(*(market.chain.start() for market in house.markets.values()))
