"""What is right and wrong with the node and the wallet, for `swapd doctor` and for the start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from swapd.chains.base import Health
from swapd.chains.bitcoin.blocks import btc, satoshi, whole
from swapd.chains.bitcoin.market import estimated, least
from swapd.chains.bitcoin.rpc import WALLET_NOT_FOUND, Call, Rpc, RpcError
from swapd.chains.bitcoin.settings import BitcoinSettings
from swapd.chains.words import quoted
from swapd.errors import Invalid, Rejected, SwapdError

NEAR_BLOCKS = 6
"""For which the estimate is shown: what a transaction bids that has to be in a block within the hour."""

_LOOK = "look at the node at chains.bitcoin.rpc_url"
"""By the setting: a URL's path may hold a key."""

OLDEST_NODE = 25_00_00
"""getrawtransaction with what an input spent (verbosity 2) came with 25.0, gettxspendingprevout with 24.0."""


async def check_network(rpc: Rpc, settings: BitcoinSettings) -> None:
    """Refuse (Invalid) a node of another network, and (Rejected) one that is too old."""
    chain = (await rpc.call("getblockchaininfo"))["chain"]
    if chain != settings.network:
        raise Invalid("chains.bitcoin.network", settings.network, f"the node's network, {quoted(str(chain))}")
    version = whole((await rpc.call("getnetworkinfo"))["version"])
    if version < OLDEST_NODE:
        raise Rejected(f"the bitcoin node's version {version} is too old: 25.0 or later is needed")


async def open_wallet(rpc: Rpc, settings: BitcoinSettings) -> None:
    """Have the node load the wallet, now and at its own starts, if it has it and has not loaded it yet."""
    try:
        await rpc.wallet("getwalletinfo")
    except RpcError as error:
        if error.code == WALLET_NOT_FOUND:
            raise Rejected(_no_wallet(settings)) from error
        raise


async def examine(rpc: Rpc, settings: BitcoinSettings, now: int) -> list[Health]:
    """Each check on its own: one that cannot be made is reported, and does not hide the others."""
    checks: list[tuple[str, Callable[[Rpc, BitcoinSettings], Awaitable[Health]]]] = [
        ("node", _node),
        ("clock", partial(_clock, now)),
        ("mempool", _mempool),
        ("fees", _fees),
    ]
    if settings.wallet:
        checks += [("wallet", _wallet), ("reserved coins", _reserved)]
    found = []
    for name, check in checks:
        try:
            found.append(await check(rpc, settings))
        except SwapdError as error:
            found.append(Health(name, False, str(error), _LOOK))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            found.append(Health(name, False, f"the node's answer makes no sense ({type(error).__name__})", _LOOK))
    return found


async def _node(rpc: Rpc, settings: BitcoinSettings) -> Health:
    await check_network(rpc, settings)
    info = await rpc.call("getblockchaininfo")
    peers = (await rpc.call("getnetworkinfo"))["connections"]
    says = f"{info['chain']}, height {info['blocks']}, {peers} peers" + (", pruned" if info["pruned"] else "")
    regtest = settings.network == "regtest"
    if info["initialblockdownload"] and not regtest:
        return Health("node", False, f"{says}, still synchronising", "wait until it has caught up")
    if peers == 0 and not regtest:
        return Health("node", False, f"{says}: it hears nothing", "check the node's connection to the internet")
    if info["pruned"] and info["pruneheight"] > info["blocks"] - 1000:
        return Health("node", False, f"{says} to the last week", "raise `prune` in bitcoin.conf to 10000 or more")
    return Health("node", True, says)


async def _clock(now: int, rpc: Rpc, settings: BitcoinSettings) -> Health:
    if settings.network == "regtest":
        return Health("clock", True, "regtest has the time it is given")
    # the node's uptime and start are not told, but a mined block is never two hours ahead of its peers' clocks
    tip = await rpc.call("getblockchaininfo")
    ahead = int(tip["time"]) - now
    if ahead > settings.clock_alarm_seconds:
        return Health("clock", False, f"the last block is {ahead} s ahead of this machine", "set up NTP")
    offset = int((await rpc.call("getnetworkinfo"))["timeoffset"])
    if abs(offset) > settings.clock_alarm_seconds:
        return Health("clock", False, f"the node's peers are {offset} s off its clock", "set up NTP")
    return Health("clock", True, f"the node's peers are {offset} s off its clock")


async def _mempool(rpc: Rpc, settings: BitcoinSettings) -> Health:
    info = await rpc.call("getmempoolinfo")
    minimum = least(info)
    if minimum is None:
        return Health("mempool", False, "the node does not say what it asks at the least", "look at the node")
    if not info.get("loaded", True):
        return Health("mempool", False, "not loaded yet", "wait a minute")
    if minimum > settings.fee.cap_rate:
        return Health("mempool", False, f"asks {minimum} sat/vB, above cap_rate", "raise chains.bitcoin.fee.cap_rate")
    return Health("mempool", True, f"{info['size']} transactions, asks at least {minimum} sat/vB")


async def _fees(rpc: Rpc, settings: BitcoinSettings) -> Health:
    (answer,) = await rpc.batch([Call("estimatesmartfee", (NEAR_BLOCKS, "conservative"))])
    rate, fee = estimated(answer), settings.fee
    if rate is None:
        says = f"the node has no estimate: {fee.fallback_rate} sat/vB is bid instead"
        mend = "it takes a node some hours to learn; if it lasts, set chains.bitcoin.fee.fallback_rate by hand"
        return Health("fees", settings.network == "regtest", says, "" if settings.network == "regtest" else mend)
    says = f"the node's estimate for {NEAR_BLOCKS} blocks is {rate} sat/vB"
    if rate > fee.cap_rate:
        mend = "if that is so, raise chains.bitcoin.fee.cap_rate: exits bid no more; if it is absurd, look at the node"
        return Health("fees", False, f"{says}, above cap_rate: {fee.cap_rate} is bid", mend)
    return Health("fees", True, says)


async def _wallet(rpc: Rpc, settings: BitcoinSettings) -> Health:
    if settings.wallet not in await rpc.call("listwallets"):
        return Health("wallet", False, f"{settings.wallet} is not loaded", _no_wallet(settings))
    info: Any = await rpc.wallet("getwalletinfo")
    if not info["private_keys_enabled"] or not info.get("descriptors", False):
        return Health("wallet", False, f"{settings.wallet} is no descriptor wallet with keys", _no_wallet(settings))
    if info.get("unlocked_until") == 0:
        return Health("wallet", False, f"{settings.wallet} is locked", "bitcoin-cli walletpassphrase")
    trusted = satoshi((await rpc.wallet("getbalances"))["mine"]["trusted"])
    return Health("wallet", True, f"{settings.wallet}, {btc(trusted)} BTC")


async def _reserved(rpc: Rpc, settings: BitcoinSettings) -> Health:
    count = len(await rpc.wallet("listlockunspent"))
    return Health("reserved coins", True, f"{count} locked for transactions under way")


def _no_wallet(settings: BitcoinSettings) -> str:
    name = settings.wallet
    return f"the node has no wallet {name!r} ready: bitcoin-cli createwallet {name}, or loadwallet"
