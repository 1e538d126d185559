"""What the contract's tests and its gas bench stand on: a chain mined block by block, and terms encoded by hand.

Encodings are written here a second time, from the contract's documentation, so that a mistake in the contract cannot
hide in code that shares it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from web3 import HTTPProvider, Web3
from web3.contract import Contract

from swapd.devnet.npm_packages import node_modules

CONTRACT = Path(__file__).parents[2] / "swapd/chains/ethereum/contract"
ETH = "0x" + "00" * 20
GAS_LIMIT = 5_000_000

Artifacts = dict[str, dict[str, Any]]


def build(*arguments: str | Path, folder: Path = CONTRACT) -> subprocess.CompletedProcess[str]:
    """Runs build.js with the compiler of the devnet's npm packages."""
    words = ["node", str(folder / "build.js"), "--node-modules", str(node_modules()), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def compiled(*files: Path) -> Artifacts:
    """Contracts of these Solidity files, by name."""
    done = build("--print", *files)
    assert done.returncode == 0, done.stderr
    artifacts: Artifacts = json.loads(done.stdout)
    return artifacts


def htlc_artifact() -> dict[str, Any]:
    """The committed build of Htlc.sol."""
    artifact: dict[str, Any] = json.loads((CONTRACT / "Htlc.json").read_text())
    return artifact


class Reverted(Exception):
    """A transaction was mined and undone. name, arguments: the contract's error; name is empty if it gave none."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name = name
        self.arguments = arguments
        super().__init__(f"{name}{arguments}")


@dataclass(frozen=True)
class Terms:
    """A lock's terms. amount: wei or the token's smallest unit. fund_by, timelock: Unix seconds."""

    preimage: bytes
    token: str
    amount: int
    sender: str
    receiver: str
    fund_by: int
    timelock: int

    @property
    def hashlock(self) -> bytes:
        return sha256(self.preimage).digest()

    @property
    def receiver_and_times(self) -> bytes:
        return self.fund_by.to_bytes(6) + self.timelock.to_bytes(6) + bytes.fromhex(self.receiver[2:])

    @property
    def words(self) -> tuple[bytes, str, int, str, bytes]:
        """As `refund` takes them."""
        return (self.hashlock, self.token, self.amount, self.sender, self.receiver_and_times)

    @property
    def claim_words(self) -> tuple[bytes, str, int, str, bytes]:
        """As `claim` takes them."""
        return (self.preimage, *self.words[1:])

    def lock_id(self, htlc: Contract, chain_id: int) -> bytes:
        types = ("uint256", "address", "bytes32", "address", "uint256", "address", "bytes32")
        return keccak(encode(types, (chain_id, htlc.address, *self.words)))

    def signed(self, key: bytes, htlc: Contract, chain_id: int) -> bytes:
        """The receiver's consent to a cooperative refund (EIP-712), as r, s, v."""
        domain = {"name": "swapd HTLC", "version": "1", "chainId": chain_id, "verifyingContract": htlc.address}
        fields = {
            "hashlock": ("bytes32", self.hashlock),
            "token": ("address", self.token),
            "amount": ("uint256", self.amount),
            "sender": ("address", self.sender),
            "receiver": ("address", self.receiver),
            "fundBy": ("uint256", self.fund_by),
            "timelock": ("uint256", self.timelock),
        }
        kinds = {"CooperativeRefund": [{"name": name, "type": kind} for name, (kind, _) in fields.items()]}
        message = encode_typed_data(domain, kinds, {name: value for name, (_, value) in fields.items()})
        return bytes(Account.sign_message(message, key).signature)


class Chain:
    """An anvil that mines when told; its first accounts are rich and sign inside the node."""

    def __init__(self, url: str) -> None:
        self.w3 = Web3(HTTPProvider(url))
        self.id: int = self.w3.eth.chain_id
        accounts: tuple[str, ...] = tuple(self.w3.eth.accounts)
        self.sender, self.receiver, self.other, self.deployer = accounts[:4]

    def rpc(self, method: str, *arguments: object) -> Any:
        answer = self.w3.provider.make_request(method, list(arguments))  # type: ignore[arg-type]
        assert "error" not in answer, answer
        return answer["result"]

    @property
    def now(self) -> int:
        """The last block's time."""
        return int(self.w3.eth.get_block("latest")["timestamp"])

    def balance(self, address: str, token: Contract | None = None) -> int:
        return int(
            token.functions.balanceOf(address).call()
            if token
            else self.w3.eth.get_balance(Web3.to_checksum_address(address))
        )

    def deploy(self, artifact: dict[str, Any], *arguments: object) -> Contract:
        factory = self.w3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
        receipt = self.mine([self.submit(factory.constructor(*arguments), self.deployer)])[0]
        deployed: Contract = self.w3.eth.contract(address=receipt["contractAddress"], abi=artifact["abi"])
        return deployed

    def submit(self, function: Any, by: str, value: int = 0) -> bytes:
        """Into the mempool. Gas is given, so that what reverts is mined too, by the block's own time."""
        txid: bytes = function.transact({"from": by, "value": value, "gas": GAS_LIMIT})
        return txid

    def mine(self, txids: Sequence[bytes], at: int | None = None) -> list[Any]:
        """One block, with this time if one is given; the receipts of `txids`."""
        if at is not None:
            self.rpc("evm_setNextBlockTimestamp", at)
        self.rpc("evm_mine")
        return [self.w3.eth.get_transaction_receipt(txid) for txid in txids]  # type: ignore[arg-type]

    def send(self, function: Any, by: str, value: int = 0, at: int | None = None) -> Any:
        """The receipt of a transaction mined in a block of its own. Raises `Reverted`."""
        receipt = self.mine([self.submit(function, by, value)], at)[0]
        if receipt["status"] != 1:
            raise self.reverted(receipt)
        return receipt

    def reverted(self, receipt: Any) -> Reverted:
        """Why a mined transaction was undone, in the words of the HTLC contract."""
        trace = self.rpc("debug_traceTransaction", receipt["transactionHash"].to_0x_hex(), {"tracer": "callTracer"})
        data = bytes.fromhex(trace.get("output", "0x")[2:])
        return Reverted(*_read_error(data))


@cache
def _errors() -> dict[str, tuple[bytes, list[str]]]:
    """Selector and argument types of the contract's errors, by name."""
    errors = {}
    for entry in htlc_artifact()["abi"]:
        if entry["type"] == "error":
            kinds = [each["type"] for each in entry["inputs"]]
            errors[entry["name"]] = (keccak(text=f"{entry['name']}({','.join(kinds)})")[:4], kinds)
    return errors


def error_selector(name: str) -> bytes:
    return _errors()[name][0]


def _read_error(data: bytes) -> tuple[str, tuple[Any, ...]]:
    for name, (selector, kinds) in _errors().items():
        if data[:4] == selector:
            return name, decode(kinds, data[4:])
    return "", ()
