"""Every chain that swapd knows. A new chain is one folder and one entry here; nothing else names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swapd.chains.bitcoin.kind import KIND as BITCOIN
from swapd.chains.ethereum.kind import KIND as ETHEREUM
from swapd.chains.icp.kind import KIND as ICP
from swapd.chains.kind import ChainKind

REGISTRY: Mapping[str, ChainKind[Any]] = {
    "bitcoin": BITCOIN,
    "ethereum": ETHEREUM,
    "icp": ICP,
}
"""By the name of the table: `[chains.bitcoin]`."""
