"""What `doctor` looks at: certificates, the canister's program and masters, ledgers, money."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from swapd.chains.base import Health
from swapd.chains.icp.agent import Agent
from swapd.chains.icp.canister import SwapCanister
from swapd.chains.icp.escrow import NANOSECONDS
from swapd.chains.icp.ledger import Ledger
from swapd.chains.icp.principal import Account, parse, text
from swapd.chains.icp.settings import IcpSettings
from swapd.chains.words import in_units
from swapd.errors import SwapdError
from swapd.protocol.terms import Asset


class Examiner:
    def __init__(
        self,
        name: str,
        agent: Agent,
        canister: SwapCanister,
        own: Account,
        settings: IcpSettings,
        assets: Mapping[str, Asset],
    ) -> None:
        self._name = name
        self._agent = agent
        self._canister = canister
        self._own = own
        self._settings = settings
        self._assets = assets

    async def examine(self, now_ns: int) -> Sequence[Health]:
        """See `HtlcChain.examine`. Stops at the first thing that does not answer: the rest would say the same."""
        found: list[Health] = []
        try:
            async for health in self._all(now_ns):
                found.append(health)
        except SwapdError as error:
            found.append(Health("replica", False, str(error), f"look at chains.{self._name}.api_url, or wait"))
        return found

    async def _all(self, now_ns: int) -> AsyncIterator[Health]:
        yield await self._log(now_ns)
        yield await self._module()
        yield await self._masters()
        for asset in self._assets.values():
            yield await self._ledger(asset)
            yield await self._money(asset)

    async def _log(self, now_ns: int) -> Health:
        tip = await self._canister.tip()
        age = (now_ns - tip.time_ns) / NANOSECONDS
        says = f"{tip.length} blocks in the log, certified {age:.0f} s ago by this machine's clock"
        ok = abs(age) <= self._settings.certificate_age
        return _health("log", ok, says, "set this machine's clock, or ask another boundary node")

    async def _module(self) -> Health:
        running = await self._agent.module_hash(self._canister.principal)
        shown = running.hex() if running else "none"
        trusted = self._settings.module_hashes
        if not trusted:
            return _health("module", running is not None, f"{shown}; any is trusted", "install the canister")
        mend = f"compare it with what its build prints, then add it to chains.{self._name}.module_hashes"
        return _health("module", shown in trusted, f"{shown}", mend)

    async def _masters(self) -> Health:
        masters = await self._agent.controllers(self._canister.principal)
        says = ", ".join(map(text, masters)) or "nobody"
        return _health("controllers", True, f"can replace the swap canister's program: {says}", "")

    async def _ledger(self, asset: Asset) -> Health:
        ledger, configured = Ledger(self._agent, parse("token", asset.token)), self._settings.ledger_fees[asset.symbol]
        fee, decimals = await ledger.fee(), await ledger.decimals()
        ok = (fee, decimals) == (configured, asset.decimals)
        says = f"{asset.token}: fee {fee} and {decimals} decimals, configured {configured} and {asset.decimals}"
        return _health(
            asset.symbol, ok, says, f"correct chains.{self._name}.ledger_fees and .assets: locks fail with a wrong fee"
        )

    async def _money(self, asset: Asset) -> Health:
        balance = await Ledger(self._agent, parse("token", asset.token)).balance(self._own)
        says = f"{self._own.text} has {in_units(balance, asset.decimals)} {asset.symbol}"
        return Health(f"{asset.symbol} balance", True, f"{says}; claims and refunds need none")


def _health(what: str, ok: bool, says: str, mend: str) -> Health:
    return Health(what, ok, says, "" if ok else mend)
