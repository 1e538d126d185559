"""Bitcoin in the registry, and which of its settings fit which network."""

from __future__ import annotations

from swapd.chains.base import HtlcChain
from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.kind import ChainKind, require_confirmations
from swapd.errors import Invalid
from swapd.protocol.timelock import QUANTILE, gamma_quantile
from swapd.vault import Network, Vault

_WORLDS = {
    "main": Network.MAINNET,
    "test": Network.TESTNET,
    "testnet4": Network.TESTNET,
    "signet": Network.TESTNET,
    "regtest": Network.DEVNET,
}

_MEDIAN_LAG_BLOCKS = 6
"""The median of the last 11 timestamps (BIP 113) is that of the sixth newest block."""

_LEAST_CONFIRMATIONS = 2
"""Every few weeks two miners find a block at once, and one of the two is taken back by nothing but bad luck."""


def _make(name: str, settings: BitcoinSettings, vault: Vault) -> HtlcChain:
    from swapd.chains.bitcoin.chain import BitcoinChain

    return BitcoinChain(settings, vault, name)


def _check(settings: BitcoinSettings, world: Network) -> None:
    fitting = [network for network, its_world in _WORLDS.items() if its_world is world]
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
    require_confirmations(settings, _LEAST_CONFIRMATIONS)


def _watching(settings: BitcoinSettings) -> BitcoinSettings:
    return settings.model_copy(update={"wallet": ""})


KIND = ChainKind(BitcoinSettings, _make, _check, _watching)
