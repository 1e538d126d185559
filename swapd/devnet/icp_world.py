"""The canisters of a devnet's Internet Computer: two ledgers of play money, and the swap canister."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from swapd.chains.icp import candid, interface
from swapd.chains.icp.agent import Agent
from swapd.chains.icp.candid import types as t
from swapd.chains.icp.principal import MANAGEMENT_CANISTER, Account, parse, parse_account, text
from swapd.devnet import canisters, ledger
from swapd.devnet.canisters import Canister
from swapd.devnet.icp import Icp
from swapd.devnet.icp_tokens import Tokens
from swapd.devnet.pocketic_node import PocketIcNode
from swapd.devnet.state import IcpState
from swapd.errors import Rejected
from swapd.protocol.terms import Asset
from swapd.vault import Network, Secret, Vault

SWAP_CANISTER = "atomic_swap"
LEDGER_CANISTER = "devnet_ledger"
CANISTERS = (LEDGER_CANISTER, SWAP_CANISTER)

_CYCLES = 10**15  # nothing here ever runs dry by itself
_TIMEOUT_SECONDS = 60.0  # a module is compiled before its installation is answered, on a busy machine
_CERTIFICATE_AGE_SECONDS = 60.0
_SECOND = 10**9


@dataclass(frozen=True)
class Token:
    """What a ledger says of itself (ICRC-1). fee: of every transfer and approval, smallest unit."""

    name: str
    decimals: int
    fee: int


TOKENS: Mapping[str, Token] = {"ICP": Token("Internet Computer", 8, 10_000), "TOK": Token("Devnet token", 6, 100)}
"""By symbol: ICP as on mainnet, and one that is different."""


@dataclass(frozen=True)
class Places:
    """Principals in text; ledgers by symbol. What a devnet remembers of itself."""

    canister: str
    ledgers: Mapping[str, str]

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """None if there is no such file."""
        try:
            return cls(**json.loads(file.read_text()))
        except FileNotFoundError:
            return None


class IcpWorld:
    """Everything installed on one node, and the purse that pays everybody.

    agent: speaks as the purse, which mints all tokens, controls all canisters and is the swap canister's arbiter.
    module_hash: of the swap canister, hex.
    """

    def __init__(self, api_url: str, root_key: bytes, places: Places, module_hash: str, agent: Agent) -> None:
        self.api_url = api_url
        self.root_key = root_key
        self.places = places
        self.module_hash = module_hash
        self.agent = agent

    @classmethod
    async def on(cls, node: Icp | PocketIcNode, file: Path) -> Self:
        """The world that `file` remembers, with canisters as they are compiled today; a new one where there is none.

        Raises `Rejected` if a canister can not be upgraded to what it is today: then remove the devnet's folder.
        """
        token, swap = [await asyncio.to_thread(canisters.built, name) for name in CANISTERS]
        root_key = await node.root_key()
        agent = _agent(node.url, root_key)
        places = Places.read(file)
        if places is None or not await _is_there(agent, places):
            places = await _install_all(node, agent, token, swap)
            places.write(file)
        else:
            for symbol, place in places.ledgers.items():
                await _upgrade(agent, place, token, _ledger_argument(symbol))
            await _upgrade(agent, places.canister, swap, _swap_argument(places.ledgers))
        await node.save()  # whatever ends the node, the next one has these canisters
        return cls(node.url, root_key, places, swap.hash, agent)

    def again(self, now_ns: Callable[[], int]) -> Self:
        """The same with a connection of its own, for another event loop. now_ns: the node's clock."""
        agent = _agent(self.api_url, self.root_key, now_ns)
        return type(self)(self.api_url, self.root_key, self.places, self.module_hash, agent)

    async def close(self) -> None:
        await self.agent.close()

    def token(self, symbol: str) -> Tokens:
        """To be counted."""
        asset = Asset(symbol, "icp", TOKENS[symbol].decimals, self.places.ledgers[symbol])
        return Tokens(self.agent, asset, self.places.canister)

    def variables(self) -> dict[str, str]:
        """The environment that points a swapd with `config/devnet.toml` at these canisters."""
        named = {
            "ENABLED": "true",
            "API_URL": self.api_url,
            "ROOT_KEY": self.root_key.hex(),
            "CANISTER": self.places.canister,
            "MODULE_HASHES": f'["{self.module_hash}"]',
            "ASSETS__ICP__TOKEN": self.places.ledgers["ICP"],
        }
        return {f"SWAPD__CHAINS__ICP__{name}": value for name, value in named.items()}

    def token_variables(self, symbol: str) -> dict[str, str]:
        """What lets a swapd trade another token here too."""
        token = TOKENS[symbol]
        named = {
            f"LEDGER_FEES__{symbol}": str(token.fee),
            f"ASSETS__{symbol}__TOKEN": self.places.ledgers[symbol],
            f"ASSETS__{symbol}__DECIMALS": str(token.decimals),
            f"ASSETS__{symbol}__MINIMUM": str(100 * token.fee),
            f"ASSETS__{symbol}__MAXIMUM": str(10**6 * 10**token.decimals),
            f"ASSETS__{symbol}__TIERS": "[{ confirmations = 1 }]",
        }
        return {f"SWAPD__CHAINS__ICP__{name}": value for name, value in named.items()}

    async def mint(self, symbol: str, to: str, amount: int) -> None:
        """New tokens for a principal or account in text, smallest unit."""
        args = {"to": ledger.account(parse_account("to", to)), "amount": amount}
        place = parse("ledger", self.places.ledgers[symbol])
        reply = await self.agent.call(place, "icrc1_transfer", candid.encode(ledger.TransferArgs, args))
        if "Ok" not in candid.decode(ledger.TransferResult, reply):
            raise Rejected(f"the ledger of {symbol} does not mint")


def purse() -> Vault:
    """The same on every devnet; its owner is everybody, as with anvil's mnemonic."""
    return Vault(Secret(hashlib.sha256(b"swapd devnet purse").digest()), Network.DEVNET)


def swap_config(arbiter: bytes, ledgers: list[bytes]) -> dict[str, Any]:
    """The swap canister's `Config`: timelocks of seconds, and limits that nobody on one machine comes near.

    The canister's own sweep is rare, so that one sees swapd refund what is due.
    """
    return {
        "arbiter": arbiter,
        "ledgers": ledgers,
        "min_timelock": _SECOND,
        "max_timelock": 365 * 86_400 * _SECOND,
        "marketplaces": [],
        "coordinators": [],
        "limits": {"open_swaps_per_caller": 1_000, "initiates_per_minute": 1_000, "requests_per_minute": 1_000},
        "min_cycles": 10**12,
        "sweep_seconds": 3_600,
    }


async def log_length(state: IcpState) -> int:
    """How many blocks the swap canister's log has, without a proof."""
    agent = _agent(state.api_url, bytes.fromhex(state.root_key))
    try:
        asked = candid.encode(interface.Ranges, [{"start": 0, "length": 0}])
        reply = await agent.query(parse("canister", state.canister), "icrc3_get_blocks", asked)
        length: int = candid.decode(interface.BlocksReply, reply)["log_length"]
        return length
    finally:
        await agent.close()


def _agent(url: str, root_key: bytes, now_ns: Callable[[], int] = time.time_ns) -> Agent:
    return Agent(
        url,
        purse(),
        root_key=root_key,
        timeout=_TIMEOUT_SECONDS,
        max_age=_CERTIFICATE_AGE_SECONDS,
        now_ns=now_ns,
    )


async def _is_there(agent: Agent, places: Places) -> bool:
    """Whether all canisters are: a node that was killed early has forgotten them."""
    wanted = [places.canister, *places.ledgers.values()]
    hashes = await asyncio.gather(*(agent.module_hash(parse("canister", each)) for each in wanted))
    return None not in hashes


async def _install_all(node: Icp | PocketIcNode, agent: Agent, token: Canister, swap: Canister) -> Places:
    ledgers = {}
    for symbol in TOKENS:
        ledgers[symbol] = await _create(node, agent)
        await _install(agent, ledgers[symbol], token, _ledger_argument(symbol), {"install": None})
    canister = await _create(node, agent)
    await _install(agent, canister, swap, _swap_argument(ledgers), {"install": None})
    return Places(canister, ledgers)


def _ledger_argument(symbol: str) -> bytes:
    return ledger.install_arg(symbol=symbol, **asdict(TOKENS[symbol]), minting=Account(purse().icp_principal))


def _swap_argument(ledgers: Mapping[str, str]) -> bytes:
    allowed = [parse("ledger", place) for place in ledgers.values()]
    return candid.encode(SwapConfig, swap_config(purse().icp_principal, allowed))


async def _create(node: Icp | PocketIcNode, agent: Agent) -> str:
    if isinstance(node, PocketIcNode):
        return text(await node.create_canister(purse().icp_principal))
    arg = candid.encode(_CreateArgs, {"amount": _CYCLES, "settings": None, "specified_id": None})
    reply = await agent.call(MANAGEMENT_CANISTER, "provisional_create_canister_with_cycles", arg)
    return text(candid.decode(_CreateResult, reply)["canister_id"])


async def _install(agent: Agent, canister: str, module: Canister, arg: bytes, mode: dict[str, Any]) -> None:
    place = parse("canister", canister)
    args = {"mode": mode, "canister_id": place, "wasm_module": module.wasm, "arg": arg}
    await agent.call(MANAGEMENT_CANISTER, "install_code", candid.encode(_InstallArgs, args), effective=place)


async def _upgrade(agent: Agent, canister: str, module: Canister, arg: bytes) -> None:
    """To this module, with all memory kept; nothing if it runs already."""
    if await agent.module_hash(parse("canister", canister)) != bytes.fromhex(module.hash):
        mode = {"upgrade": {"skip_pre_upgrade": None, "wasm_memory_persistence": {"keep": None}}}
        await _install(agent, canister, module, arg, mode)


# -- Candid: the management canister (IC interface specification), the swap canister ---------------------------------

_CreateArgs = t.Record({"amount": t.Opt(t.Nat), "settings": t.Opt(t.Record({})), "specified_id": t.Opt(t.Principal)})
_CreateResult = t.Record({"canister_id": t.Principal})
_UpgradeFlags = t.Record(
    {
        "skip_pre_upgrade": t.Opt(t.Bool),
        "wasm_memory_persistence": t.Opt(t.Variant({"keep": t.Null, "replace": t.Null})),
    }
)
_InstallArgs = t.Record(
    {
        "mode": t.Variant({"install": t.Null, "reinstall": t.Null, "upgrade": t.Opt(_UpgradeFlags)}),
        "canister_id": t.Principal,
        "wasm_module": t.Blob,
        "arg": t.Blob,
    }
)
SwapConfig = t.Record(
    {
        "arbiter": t.Principal,
        "ledgers": t.Vec(t.Principal),
        "min_timelock": t.Nat64,
        "max_timelock": t.Nat64,
        "marketplaces": t.Vec(t.Principal),
        "coordinators": t.Vec(t.Principal),
        "limits": t.Record(
            {"open_swaps_per_caller": t.Nat, "initiates_per_minute": t.Nat, "requests_per_minute": t.Nat}
        ),
        "min_cycles": t.Nat,
        "sweep_seconds": t.Nat64,
    }
)
