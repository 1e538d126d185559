"""One node, with all that needs no more than a node. The first has the wallet besides, the others are witnesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from swapd.chains.alarm import Alarms
from swapd.chains.base import SignedTx, TxState
from swapd.chains.bitcoin import watch
from swapd.chains.bitcoin.ahead import Ahead
from swapd.chains.bitcoin.batch import Batches
from swapd.chains.bitcoin.fate import fate_of
from swapd.chains.bitcoin.look import Look
from swapd.chains.bitcoin.market import Markets
from swapd.chains.bitcoin.rpc import ALREADY_IN_CHAIN, Rpc, RpcError, credentials, credentials_in
from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.bitcoin.spending import Keys, Spending


@dataclass(frozen=True)
class Peer:
    rpc: Rpc
    look: Look
    mempool: watch.Mempool
    markets: Markets
    spending: Spending
    batches: Batches
    ahead: Ahead

    @classmethod
    def by(cls, rpc: Rpc, settings: BitcoinSettings, keys: Keys, alarms: Alarms) -> Peer:
        network, fee = settings.network, settings.fee
        spending = Spending(rpc, network, fee, keys, alarms)
        return cls(
            rpc,
            Look.by(rpc),
            watch.Mempool(rpc, settings.mempool_batch),
            Markets(rpc, fee, settings.timing.block_seconds, alarms),
            spending,
            Batches(rpc, fee, spending),
            Ahead(rpc, network, fee, keys),
        )

    async def hand_over(self, tx: SignedTx) -> None:
        """See `HtlcChain.broadcast`."""
        try:
            # no limit by the node on the fee rate: our own schedule has set it
            await self.rpc.deed("sendrawtransaction", tx.raw.hex(), 0)
        except RpcError as error:
            known = (TxState.PENDING, TxState.MINED)
            if error.code != ALREADY_IN_CHAIN and (await fate_of(self.rpc, tx)).state not in known:
                raise


def peers(settings: BitcoinSettings, keys: Keys, alarms: Alarms) -> list[tuple[str, Peer]]:
    """By the names of their settings, the one with the wallet first."""

    def peer(url: str, wallet: str, way_in: Callable[[], tuple[str, str]]) -> Peer:
        return Peer.by(Rpc(url, wallet, way_in, settings.timeout_seconds), settings, keys, alarms)

    found = [("rpc_url", peer(settings.rpc_url, settings.wallet, lambda: credentials(settings)))]
    witnesses = zip(settings.more_rpc_urls, settings.more_rpc_cookie_files, strict=True)
    for number, (url, file) in enumerate(witnesses, 1):
        found.append((f"more_rpc_urls {number}", peer(url, "", partial(credentials_in, file))))
    return found
