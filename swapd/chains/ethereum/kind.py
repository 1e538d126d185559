"""Ethereum in the registry, and which of its settings fit which network."""

from __future__ import annotations

from swapd.chains.base import HtlcChain
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.kind import ChainKind, require_confirmations
from swapd.errors import Invalid
from swapd.vault import Network, Vault

_MAINNET = 1
_DEVNET_CHAIN_IDS = (31337, 1337)
_TESTNET_CHAIN_IDS = (11155111, 560048, 17000)
"""Sepolia, Hoodi, Holesky."""

_LEAST_CONFIRMATIONS = 4
"""Reorgs of two blocks happen; one of seven did, in May 2022 on the beacon chain."""


def _make(name: str, settings: EthereumSettings, vault: Vault) -> HtlcChain:
    from swapd.chains.ethereum.chain import EthereumChain

    return EthereumChain(name, settings, vault)


def _check(settings: EthereumSettings, world: Network) -> None:
    chain_id = settings.chain_id
    because = f"because daemon.network is {world.value}"
    if world is Network.DEVNET and chain_id not in _DEVNET_CHAIN_IDS:
        raise Invalid("chain_id", chain_id, f"{' or '.join(map(str, _DEVNET_CHAIN_IDS))}, {because}")
    if world is Network.TESTNET and chain_id in (_MAINNET, *_DEVNET_CHAIN_IDS):
        raise Invalid("chain_id", chain_id, f"that of a test network, {because}: Sepolia is {_TESTNET_CHAIN_IDS[0]}")
    if world is Network.MAINNET and chain_id in (*_TESTNET_CHAIN_IDS, *_DEVNET_CHAIN_IDS):
        raise Invalid("chain_id", chain_id, f"that of a network with real money, {because}")
    if chain_id != _MAINNET:
        return
    if (settings.timing.arrival, settings.timing.block_seconds) != ("slots", 12):
        raise Invalid("timing.block_seconds", settings.timing.block_seconds, "arrival 'slots' of 12 s on chain 1")
    require_confirmations(settings, _LEAST_CONFIRMATIONS)
    for symbol, asset in settings.assets.items():
        largest = asset.tiers[-1].confirmations
        if largest < settings.finalized_from:
            raise Invalid(
                f"assets.{symbol}.tiers",
                f"{largest} confirmations for the largest amounts",
                f"at least finalized_from, {settings.finalized_from}: high value waits for finality",
            )


KIND = ChainKind(EthereumSettings, _make, _check)
