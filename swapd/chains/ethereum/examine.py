"""What `doctor` looks at: node, clock, contract, tokens, money."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from swapd.chains.base import Health
from swapd.chains.ethereum.erc20 import decimals, number
from swapd.chains.ethereum.htlc import Htlc, artifact
from swapd.chains.ethereum.node import Node
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.ethereum.wallet import coin
from swapd.chains.words import in_units
from swapd.errors import SwapdError
from swapd.protocol.terms import Asset

_OLD_TIP_BLOCKS = 10  # two minutes on mainnet: ten slots without a block do not happen on a healthy chain


class Examiner:
    def __init__(
        self, name: str, node: Node, htlc: Htlc, own: str, settings: EthereumSettings, assets: Mapping[str, Asset]
    ) -> None:
        self._name = name
        self._node = node
        self._htlc = htlc
        self._own = own
        self._settings = settings
        self._assets = assets

    async def examine(self, now: int) -> Sequence[Health]:
        """See `HtlcChain.examine`. Stops at the first thing that does not answer: the rest would say the same."""
        found: list[Health] = []
        try:
            async for health in self._all(now):
                found.append(health)
        except SwapdError as error:
            found.append(Health("node", False, str(error), f"start the node, or mend chains.{self._name}.rpc_url"))
        return found

    async def _all(self, now: int) -> AsyncIterator[Health]:
        yield await self._chain()
        yield await self._synced()
        yield await self._clock(now)
        yield await self._contract()
        for asset in self._assets.values():
            if asset.token:
                yield await self._token(asset)
        yield await self._money()

    async def _chain(self) -> Health:
        actual, wanted = await self._node.chain_id(), self._settings.chain_id
        mend = f"point chains.{self._name}.rpc_url at a node of chain {wanted}"
        return self._health("network", actual == wanted, f"the node is on chain {actual}, wanted {wanted}", mend)

    async def _synced(self) -> Health:
        syncing = await self._node.syncing()
        says = "the node is still syncing" if syncing else "the node is synced"
        return self._health("sync", not syncing, says, "wait until the node has caught up")

    async def _clock(self, now: int) -> Health:
        tip, block_seconds = await self._node.tip(), self._settings.timing.block_seconds
        age = now - tip.time
        mend = "look at the node's peers, and at this machine's clock"
        ok = abs(age) <= max(_OLD_TIP_BLOCKS * block_seconds, self._settings.timing.clock_ahead)
        return self._health("clock", ok, f"block {tip.height} is {age} s old by this machine's clock", mend)

    async def _contract(self) -> Health:
        code = await self._node.code(self._htlc.address)
        ok = code == artifact().deployed
        says = f"{self._htlc.address} holds " + (
            "swapd's HTLC contract" if ok else f"{len(code)} bytes of other code" if code else "no code"
        )
        return self._health("contract", ok, says, f"deploy it and set chains.{self._name}.contract")

    async def _token(self, asset: Asset) -> Health:
        actual = number(await self._node.returned(decimals(asset.token)))
        says = f"token {asset.token} has {actual} decimals, configured {asset.decimals}"
        mend = f"correct chains.{self._name}.assets.{asset.symbol}"
        return self._health(asset.symbol, actual == asset.decimals, says, mend)

    async def _money(self) -> Health:
        balance = await self._node.balance(self._own)
        says = f"{self._own} has {in_units(balance, 18)} {coin(self._assets).symbol} for gas and locks"
        return self._health("balance", balance > 0, says, f"send some coin to {self._own}: claims and refunds need gas")

    @staticmethod
    def _health(what: str, ok: bool, says: str, mend: str) -> Health:
        return Health(what, ok, says, "" if ok else mend)
