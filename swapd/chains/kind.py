"""What there is to know of a chain before one talks to it. Each chain's folder says it in its `kind.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from swapd.chains.base import HtlcChain
from swapd.chains.settings import ChainSettings
from swapd.errors import Invalid
from swapd.vault import Network, Vault

_S = TypeVar("_S", bound=ChainSettings)


@dataclass(frozen=True)
class ChainKind(Generic[_S]):
    """settings: what its table of the configuration holds. make: the adapter, given the table's name, its settings and
    the vault. check: raises Invalid, naming the key within the table, for settings that do not fit the world in which
    the money lives; called for enabled chains only. watching: the same settings for one that sends what others signed,
    and has no wallet."""

    settings: type[_S]
    make: Callable[[str, _S, Vault], HtlcChain]
    check: Callable[[_S, Network], None]
    watching: Callable[[_S], _S] = lambda settings: settings


def require_confirmations(settings: ChainSettings, least: int) -> None:
    """Refuse (Invalid) an asset whose smallest amounts are taken for final earlier than this, on mainnet."""
    for symbol, asset in settings.assets.items():
        if asset.tiers[0].confirmations < least:
            raise Invalid(
                f"assets.{symbol}.tiers", f"{asset.tiers[0].confirmations} confirmations", f"{least} or more on mainnet"
            )
