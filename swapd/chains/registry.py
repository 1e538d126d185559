"""Every chain that swapd knows. A new chain is one folder and one entry here; nothing else names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from swapd.chains.base import HtlcChain
from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.settings import ChainSettings
from swapd.errors import Invalid
from swapd.protocol.timelock import QUANTILE, gamma_quantile
from swapd.vault import Network, Vault

_S = TypeVar("_S", bound=ChainSettings)


@dataclass(frozen=True)
class ChainKind(Generic[_S]):
    """What there is to know of a chain before one talks to it.

    settings: what its table of the configuration holds. make: the adapter, given the table's name, its settings and the
    vault. check: raises Invalid, naming the key within the table, for settings that do not fit the world in which the
    money lives; called for enabled chains only.
    """

    settings: type[_S]
    make: Callable[[str, _S, Vault], HtlcChain]
    check: Callable[[_S, Network], None]


# -- Bitcoin -----------------------------------------------------------------------------------------------------------

_BITCOIN_WORLDS = {
    "main": Network.MAINNET,
    "test": Network.TESTNET,
    "testnet4": Network.TESTNET,
    "signet": Network.TESTNET,
    "regtest": Network.DEVNET,
}

_MEDIAN_LAG_BLOCKS = 6
"""The median of the last 11 timestamps (BIP 113) is that of the sixth newest block."""

_BITCOIN_LEAST_CONFIRMATIONS = 2
"""Every few weeks two miners find a block at once, and one of the two is taken back by nothing but bad luck."""


def _make_bitcoin(name: str, settings: BitcoinSettings, vault: Vault) -> HtlcChain:
    from swapd.chains.bitcoin.chain import BitcoinChain

    return BitcoinChain(settings, vault, name)


def _check_bitcoin(settings: BitcoinSettings, world: Network) -> None:
    fitting = [network for network, its_world in _BITCOIN_WORLDS.items() if its_world is world]
    if settings.network not in fitting:
        raise Invalid("network", settings.network, f"{' or '.join(fitting)}, because daemon.network is {world.value}")
    if world is not Network.MAINNET:
        return
    timing = settings.timing
    if timing.arrival != "poisson":
        raise Invalid("timing.arrival", timing.arrival, "'poisson' on mainnet: proof of work knows no pace")
    if not 540 <= timing.block_seconds <= 720:
        raise Invalid("timing.block_seconds", timing.block_seconds, "540 to 720 on mainnet, where the aim is 600")
    lag = int(timing.block_seconds * gamma_quantile(_MEDIAN_LAG_BLOCKS, QUANTILE))
    if timing.clock_behind < lag:
        raise Invalid(
            "timing.clock_behind", timing.clock_behind, f"at least {lag} on mainnet: that is how far MTP may lag"
        )
    _confirmations_on_mainnet(settings, _BITCOIN_LEAST_CONFIRMATIONS)


# -- Ethereum ----------------------------------------------------------------------------------------------------------

_ETHEREUM_MAINNET = 1
_DEVNET_CHAIN_IDS = (31337, 1337)
_TESTNET_CHAIN_IDS = (11155111, 560048, 17000)
"""Sepolia, Hoodi, Holesky."""

_ETHEREUM_LEAST_CONFIRMATIONS = 4
"""Reorgs of two blocks happen; one of seven did, in May 2022 on the beacon chain."""


def _make_ethereum(name: str, settings: EthereumSettings, vault: Vault) -> HtlcChain:
    from swapd.chains.ethereum.chain import EthereumChain

    return EthereumChain(name, settings, vault)


def _check_ethereum(settings: EthereumSettings, world: Network) -> None:
    chain_id = settings.chain_id
    because = f"because daemon.network is {world.value}"
    if world is Network.DEVNET and chain_id not in _DEVNET_CHAIN_IDS:
        raise Invalid("chain_id", chain_id, f"{' or '.join(map(str, _DEVNET_CHAIN_IDS))}, {because}")
    if world is Network.TESTNET and chain_id in (_ETHEREUM_MAINNET, *_DEVNET_CHAIN_IDS):
        raise Invalid("chain_id", chain_id, f"that of a test network, {because}: Sepolia is {_TESTNET_CHAIN_IDS[0]}")
    if world is Network.MAINNET and chain_id in (*_TESTNET_CHAIN_IDS, *_DEVNET_CHAIN_IDS):
        raise Invalid("chain_id", chain_id, f"that of a network with real money, {because}")
    if chain_id != _ETHEREUM_MAINNET:
        return
    if (settings.timing.arrival, settings.timing.block_seconds) != ("slots", 12):
        raise Invalid("timing.block_seconds", settings.timing.block_seconds, "arrival 'slots' of 12 s on chain 1")
    _confirmations_on_mainnet(settings, _ETHEREUM_LEAST_CONFIRMATIONS)
    for symbol, asset in settings.assets.items():
        largest = asset.tiers[-1].confirmations
        if largest < settings.finalized_from:
            raise Invalid(
                f"assets.{symbol}.tiers",
                f"{largest} confirmations for the largest amounts",
                f"at least finalized_from, {settings.finalized_from}: high value waits for finality",
            )


def _confirmations_on_mainnet(settings: ChainSettings, least: int) -> None:
    for symbol, asset in settings.assets.items():
        if asset.tiers[0].confirmations < least:
            raise Invalid(
                f"assets.{symbol}.tiers", f"{asset.tiers[0].confirmations} confirmations", f"{least} or more on mainnet"
            )


REGISTRY: Mapping[str, ChainKind[Any]] = {
    "bitcoin": ChainKind(BitcoinSettings, _make_bitcoin, _check_bitcoin),
    "ethereum": ChainKind(EthereumSettings, _make_ethereum, _check_ethereum),
}
"""By the name of the table: `[chains.bitcoin]`."""
