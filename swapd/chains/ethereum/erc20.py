"""The four calls of an ERC-20 token that swapd needs (EIP-20)."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from swapd.chains.ethereum.transactions import Call
from swapd.errors import Unavailable


def approve(token: str, spender: str, amount: int) -> Call:
    """Let `spender` take exactly this much, and no more of what it was allowed before."""
    return _call(token, "approve(address,uint256)", spender, amount)


def allowance(token: str, owner: str, spender: str) -> Call:
    return _call(token, "allowance(address,address)", owner, spender)


def balance_of(token: str, owner: str) -> Call:
    return _call(token, "balanceOf(address)", owner)


def decimals(token: str) -> Call:
    return _call(token, "decimals()")


def number(returned: bytes) -> int:
    """What the last three return. Nothing at all comes from an address without code."""
    if len(returned) != 32:
        raise Unavailable(f"a token contract returned {len(returned)} bytes instead of a number")
    return int.from_bytes(returned)


def _call(token: str, signature: str, *arguments: object) -> Call:
    types = [each for each in signature[signature.index("(") + 1 : -1].split(",") if each]
    return Call(token, 0, keccak(text=signature)[:4] + encode(types, arguments))
