"""The Internet Computer in the registry, and which of its settings fit which network."""

from __future__ import annotations

from swapd.chains.base import HtlcChain
from swapd.chains.icp.settings import IcpSettings
from swapd.chains.kind import ChainKind
from swapd.errors import Invalid
from swapd.vault import Network, Vault

ICP_LEDGER = "ryjl3-tyaaa-aaaaa-aaaba-cai"
"""The ledger of the ICP token on mainnet."""


def _make(name: str, settings: IcpSettings, vault: Vault) -> HtlcChain:
    from swapd.chains.icp.chain import IcpChain

    return IcpChain(name, settings, vault)


def _check(settings: IcpSettings, world: Network) -> None:
    wanted = "local" if world is Network.DEVNET else "mainnet"
    if settings.network != wanted:
        raise Invalid("network", settings.network, f"{wanted}, because daemon.network is {world.value}")
    if (settings.network == "local") != bool(settings.root_key):
        expected = "the replica's own" if settings.network == "local" else "none: that of mainnet is built in"
        raise Invalid("root_key", settings.root_key, expected)
    tokens = {symbol: asset.token for symbol, asset in settings.assets.items()}
    if world is Network.TESTNET and ICP_LEDGER in tokens.values():
        # there is no other public network: tests with play money run on mainnet, with a ledger of play money
        symbol = next(symbol for symbol, token in tokens.items() if token == ICP_LEDGER)
        raise Invalid(f"assets.{symbol}.token", ICP_LEDGER, "a test token's ledger, because daemon.network is testnet")
    if world is Network.MAINNET and settings.canister and not settings.module_hashes:
        raise Invalid(
            "module_hashes", [], "the hash of at least one build of the canister that you trust, as its build prints it"
        )


KIND = ChainKind(IcpSettings, _make, _check)
