"""What swapd's account holds, and what its part in a leg may cost."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.chains.ethereum.erc20 import balance_of, number
from swapd.chains.ethereum.fees import FeePolicy
from swapd.chains.ethereum.nodes import Nodes
from swapd.errors import Invalid
from swapd.protocol.terms import Asset, Leg, Wallet

_APPROVE_GAS = 60_000  # OpenZeppelin's ERC-20 takes 46,000, USDT 49,000
_LOCK_GAS = 60_000  # measured 47,000
_LOCK_TOKEN_GAS = 120_000  # measured 63,000 with OpenZeppelin's; proxied tokens like USDC take 30,000 more
_SPEND_GAS = 80_000  # a claim or refund, measured 32,000; payees that are contracts do what they like
_SPEND_TOKEN_GAS = 120_000  # measured 42,000


def coin(assets: Mapping[str, Asset]) -> Asset:
    """The asset that gas is paid in: the one without a token."""
    coins = [asset for asset in assets.values() if not asset.token]
    if len(coins) != 1:
        raise Invalid("assets", [asset.symbol for asset in coins], "exactly one asset without a token: the coin itself")
    return coins[0]


async def balances(node: Nodes, own: str, assets: Mapping[str, Asset]) -> dict[str, int]:
    """See `HtlcChain.balances`. The smaller of now and after what is pending: the rest is promised or not here yet."""
    found = {}
    for symbol, asset in assets.items():
        if asset.token:
            question = balance_of(asset.token, own)
            held = [number(await node.returned(question, block)) for block in ("latest", "pending")]
        else:
            held = [await node.balance(own, block) for block in ("latest", "pending")]
        found[symbol] = min(held)
    return found


async def costs(node: Nodes, policy: FeePolicy, assets: Mapping[str, Asset], leg: Leg) -> dict[str, int]:
    """See `HtlcChain.costs`: every transaction at today's prices, bid as if its deadline were now."""
    price = policy.first(await node.market(), left=0).max_fee
    is_token = bool(leg.terms.asset.token)
    gas = _SPEND_TOKEN_GAS if is_token else _SPEND_GAS  # claim or refund: one of them is sent, whoever it pays
    if leg.funded_by is Wallet.HOT:
        gas += _APPROVE_GAS + _LOCK_TOKEN_GAS if is_token else _LOCK_GAS
    needed = {coin(assets).symbol: gas * price}
    if leg.funded_by is Wallet.HOT:
        needed[leg.terms.asset.symbol] = needed.get(leg.terms.asset.symbol, 0) + leg.terms.amount
    return needed
