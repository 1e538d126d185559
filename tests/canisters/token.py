"""The devnet ledger on a replica in this process, spoken to in Candid."""

from __future__ import annotations

from typing import Any

from swapd.chains.icp import candid, interface
from swapd.chains.icp.candid.types import Nat, Type
from swapd.chains.icp.principal import Account
from swapd.devnet import ledger
from swapd.devnet.canisters import built
from swapd.devnet.replica import Replica

MINTER, ALICE, BOB = b"\x01minter\x01", b"\x02alice\x01", b"\x03bob\x01"
FEE = 10_000
HELD = 10**9  # what ALICE begins with


class Token:
    """One ledger; `tests/canisters` speaks to it as any holder or canister would.

    Answers are the variant as Candid has it: `{"Ok": block}` or `{"Err": {...}}`.
    """

    def __init__(self, replica: Replica, held: dict[bytes, int] | None = None) -> None:
        self.replica = replica
        self.id = replica.create_canister(MINTER)
        initial = [(Account(owner), amount) for owner, amount in ({ALICE: HELD} if held is None else held).items()]
        arg = ledger.install_arg(
            symbol="DEV", name="Devnet token", decimals=8, fee=FEE, minting=Account(MINTER), initial=initial
        )
        replica.install(self.id, built("devnet_ledger").wasm, arg, MINTER)

    # -- standard methods

    def transfer(self, caller: bytes, to: Account, amount: int, **more: Any) -> Any:
        return self._call(caller, "icrc1_transfer", ledger.TransferArgs, transfer_args(to, amount, **more))

    def transfer_from(self, caller: bytes, source: Account, to: Account, amount: int, **more: Any) -> Any:
        args = {"from": ledger.account(source), **transfer_args(to, amount, **more)}
        return self._call(caller, "icrc2_transfer_from", ledger.TransferFromArgs, args)

    def approve(self, caller: bytes, spender: Account, amount: int, **more: Any) -> Any:
        args = {"spender": ledger.account(spender), "amount": amount, **more}
        return self._call(caller, "icrc2_approve", interface.ApproveArgs, args)

    def balance(self, account: Account) -> int:
        return int(self.query("icrc1_balance_of", interface.Account, ledger.account(account), Nat))

    def allowance(self, owner: Account, spender: Account) -> tuple[int, int | None]:
        asked = {"account": ledger.account(owner), "spender": ledger.account(spender)}
        found = self.query("icrc2_allowance", interface.AllowanceArgs, asked, interface.Allowance)
        return found["allowance"], found["expires_at"]

    def supply(self) -> int:
        return int(self.ask("icrc1_total_supply", Nat))

    # -- the ledger's own

    def blocks(self, start: int = 0, length: int = 1000) -> list[Any]:
        return list(
            self.query("blocks", ledger.BlocksArgs, {"start": start, "length": length}, ledger.BlocksReply)["blocks"]
        )

    def misbehave(self, method: str, *faults: str | dict[str, object], of: Account | None = None) -> None:
        self.replica.update(self.id, "misbehave", ledger.misbehave_arg(method, *faults, of=of), MINTER)

    def release(self) -> None:
        self.replica.update(self.id, "release", candid.NO_ARGUMENTS, MINTER)

    def set_fee(self, fee: int) -> None:
        self.replica.update(self.id, "set_fee", candid.encode(Nat, fee), MINTER)

    def mumble(self) -> None:
        """From now on the answer to a transfer, which is made, cannot be decoded."""
        self._upgrade(_mumbling(built("devnet_ledger").wasm))

    def speak(self) -> None:
        """The end of `mumble`."""
        self._upgrade(built("devnet_ledger").wasm)

    # -- how

    def _upgrade(self, wasm: bytes) -> None:
        arg = ledger.install_arg(symbol="", name="", decimals=0, fee=0, minting=Account(MINTER))  # not looked at
        self.replica.install(self.id, wasm, arg, MINTER, mode="upgrade")

    def ask(self, method: str, reply: Type) -> Any:
        return candid.decode(reply, self.replica.query(self.id, method, candid.NO_ARGUMENTS, ALICE))

    def query(self, method: str, given: Type, value: object, reply: Type) -> Any:
        return candid.decode(reply, self.replica.query(self.id, method, candid.encode(given, value), ALICE))

    def _call(self, caller: bytes, method: str, given: Type, value: object) -> Any:
        return candid.decode(RESULTS[method], self.replica.update(self.id, method, candid.encode(given, value), caller))


def _mumbling(wasm: bytes) -> bytes:
    """The module with the names of the standard's methods and their mumbling twins swapped: they are of one length."""
    for method, twin in ((b"icrc1_transfer", b"icrc1_mumbling"), (b"icrc2_transfer_from", b"icrc2_mumbling_from")):
        method, twin, aside = (b"canister_update " + name for name in (method, twin, b"\0" * len(method)))
        assert wasm.count(bytes([len(method)]) + method) == wasm.count(bytes([len(twin)]) + twin) == 1
        wasm = wasm.replace(method, aside).replace(twin, method).replace(aside, twin)
    return wasm


RESULTS: dict[str, Type] = {
    "icrc1_transfer": ledger.TransferResult,
    "icrc2_transfer_from": ledger.TransferFromResult,
    "icrc2_approve": interface.ApproveResult,
}


def transfer_args(to: Account, amount: int, **more: Any) -> dict[str, Any]:
    return {"to": ledger.account(to), "amount": amount, **more}
