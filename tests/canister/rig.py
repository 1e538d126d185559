"""The swap canister and a ledger on a replica in this process, and everybody who speaks to them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swapd.chains.icp import candid, certificate, hashtree, log
from swapd.chains.icp.escrow import Escrow
from swapd.chains.icp.interface import BlocksReply, InitiateArgs, Note, Ranges, Swap, TipReply
from swapd.chains.icp.principal import ANONYMOUS, Account
from swapd.devnet.canisters import built
from swapd.devnet.replica import ManualClock, Replica
from tests.canister.words import HEALTH, QUERIES, UPDATES, Config
from tests.canisters.token import ALICE, BOB, FEE, HELD, MINTER, Token

CONTROLLER, ARBITER, CAROL = b"\x04control\x01", b"\x05arbiter\x01", b"\x06carol\x01"
MARKET, COORDINATOR = b"\x07market\x01", b"\x08coordinator\x01"
SECOND = 10**9
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
AMOUNT = 1_000_000
SECRET = bytes(range(32))

__all__ = ["ALICE", "ANONYMOUS", "BOB", "FEE", "HELD", "MINTER", "Account"]  # what tests of the canister need besides


@dataclass
class Terms:
    """What ALICE begins a swap with: BOB's for the secret, hers again after two hours."""

    ledger: bytes
    now: int
    nonce: bytes = bytes(32)
    amount: int = AMOUNT
    fee: int = FEE
    from_subaccount: bytes | None = None
    recipient: Account = field(default_factory=lambda: Account(BOB))
    refund_to: Account = field(default_factory=lambda: Account(ALICE))
    hashlock: bytes = field(default_factory=lambda: hashlib.sha256(SECRET).digest())
    fund_by: int | None = None
    deadline: int | None = None

    def args(self) -> dict[str, Any]:
        return {
            "nonce": self.nonce,
            "ledger": self.ledger,
            "amount": self.amount,
            "fee": self.fee,
            "from_subaccount": self.from_subaccount,
            "recipient": vars(self.recipient),
            "refund_to": vars(self.refund_to),
            "hashlock": self.hashlock,
            "fund_by": self.now + 10 * MINUTE if self.fund_by is None else self.fund_by,
            "deadline": self.now + 2 * HOUR if self.deadline is None else self.deadline,
        }


class Rig:
    """ALICE holds all tokens there are. Time stands still until `advance`."""

    def __init__(self, **config: Any) -> None:
        self.replica = Replica(clock=ManualClock())
        self.token = Token(self.replica)
        self.id = self.replica.create_canister(CONTROLLER)
        self.config = {**self.usual(), **config}
        self.wasm = built("atomic_swap").wasm
        self.replica.install(self.id, self.wasm, candid.encode(Config, self.config), CONTROLLER)
        self.escrow = Escrow(self.id)
        self.holders = {ALICE, BOB, CAROL, self.id}
        self._nonces = 0
        self._disk: Path | None = None

    def usual(self) -> dict[str, Any]:
        return {
            "arbiter": ARBITER,
            "ledgers": [self.token.id],
            "min_timelock": 10 * MINUTE,
            "max_timelock": 240 * HOUR,
            "marketplaces": [MARKET],
            "coordinators": [COORDINATOR],
            "limits": {"open_swaps_per_caller": 100, "initiates_per_minute": 100, "requests_per_minute": 10},
            "min_cycles": 10**12,
            "sweep_seconds": 60,
        }

    # -- calls

    def call(self, method: str, value: object, sender: bytes) -> Any:
        """The answer, as Candid has it."""
        if self._disk is not None:
            self.restart(self._disk)
        given, reply = UPDATES[method]
        return candid.decode(reply, self.replica.update(self.id, method, candid.encode(given, value), sender))

    def submit(self, method: str, value: object, sender: bytes) -> bytes:
        return self.replica.submit(self.id, method, candid.encode(UPDATES[method][0], value), sender)

    def answer(self, method: str, request_id: bytes) -> Any:
        """The answer to a submitted call. Raises `RejectError`."""
        outcome = self.replica.outcome(request_id)
        assert outcome is not None, "the call is still under way"
        return candid.decode(UPDATES[method][1], outcome.unwrap())

    def ask(self, method: str, value: object, sender: bytes = CAROL) -> Any:
        given, reply = QUERIES[method]
        return candid.decode(reply, self.replica.query(self.id, method, candid.encode(given, value), sender))

    def approve(self, args: dict[str, Any], owner: bytes = ALICE) -> bytes:
        """Allow the canister to pull for this swap, and for nothing else. The swap's id."""
        swap_id = self.escrow.id(owner, args["nonce"])
        allowance = args["amount"] + 2 * args["fee"]
        done = self.token.approve(owner, Account(self.id, swap_id), allowance, from_subaccount=args["from_subaccount"])
        assert "Ok" in done, done
        return swap_id

    def terms(self, **changes: Any) -> dict[str, Any]:
        """Good terms, with a nonce of their own, but for the changes."""
        self._nonces += 1
        changes.setdefault("nonce", self._nonces.to_bytes(32))
        return Terms(self.token.id, self.replica.now_ns, **changes).args()

    def initiate(self, args: dict[str, Any], sender: bytes = ALICE, *, note: bytes | None = None) -> Any:
        """Without a note as callers did before there were any: with one argument."""
        if note is None:
            return self.call("initiateSwap", args, sender)
        both = candid.encode_all((InitiateArgs, args), (Note, note))
        return candid.decode(UPDATES["initiateSwap"][1], self.replica.update(self.id, "initiateSwap", both, sender))

    def locked(self, **changes: Any) -> bytes:
        """The id of a swap of ALICE's that holds its money."""
        args = self.terms(**changes)
        swap_id = self.approve(args)
        done = self.initiate(args)
        assert done["Ok"]["phase"] == {"Locked": None}, done
        return swap_id

    def complete(self, swap_id: bytes, secret: bytes = SECRET, sender: bytes = CAROL) -> Any:
        return self.call("completeSwap", {"id": swap_id, "secret": secret}, sender)

    def refund(self, swap_id: bytes, sender: bytes = CAROL) -> Any:
        return self.call("refundSwap", swap_id, sender)

    def resume(self, swap_id: bytes, sender: bytes = CAROL) -> Any:
        return self.call("resumeSwap", swap_id, sender)

    def resolve(self, swap_id: bytes, block: int | None, sender: bytes = ARBITER) -> Any:
        return self.call("resolveQuarantined", {"id": swap_id, "paid_in_block": block}, sender)

    def listed(self, party: bytes | None = None, phases: list[str] | None = None, limit: int = 100) -> list[Any]:
        """All swaps that fit, page by page."""
        cases = None if phases is None else [{phase: None} for phase in phases]
        start, found = None, []
        while True:
            page = self.ask("listSwaps", {"start": start, "limit": limit, "filter": {"party": party, "phases": cases}})
            assert len(page["swaps"]) <= limit
            found += page["swaps"]
            start = page["next"]
            if start is None:
                return found

    def health(self, sender: bytes = CONTROLLER) -> Any:
        return candid.decode(HEALTH, self.replica.query(self.id, "health", candid.NO_ARGUMENTS, sender))

    # -- what is so

    def swap(self, swap_id: bytes) -> Any:
        """The swap as it is certified, None if there provably is none."""
        shown = self.ask("getSwap", swap_id)
        tree = hashtree.decode(shown["witness"])
        assert hashtree.digest(tree) == self.certified(shown["certificate"])
        leaf = hashtree.find_swap(tree, swap_id)
        swap = candid.decode(Swap, leaf) if leaf is not None else None
        assert swap == shown["swap"]
        return swap

    def phase(self, swap_id: bytes) -> str:
        (phase,) = self.swap(swap_id)["phase"]
        return str(phase)

    def certified(self, raw: bytes) -> bytes:
        verified = certificate.verify(
            raw,
            root_key=self.replica.root_key,
            canister_id=self.id,
            now_ns=self.replica.now_ns,
            max_age_ns=0,
            max_ahead_ns=0,
        )
        return verified.certified_data(self.id)

    def log(self) -> list[tuple[str, dict[str, Any]]]:
        """All events, as (btype, tx): the chain of hashes is verified from block 0 to the certified tip."""
        tip = candid.decode(
            TipReply, self.replica.query(self.id, "icrc3_get_tip_certificate", candid.NO_ARGUMENTS, CAROL)
        )
        tree = hashtree.decode(tip["hash_tree"])
        assert hashtree.digest(tree) == self.certified(tip["certificate"])
        last = certificate.natural(hashtree.leaf(tree, [b"last_block_index"]) or b"")
        events: list[tuple[str, dict[str, Any]]] = []
        before = None
        while len(events) <= last:
            page = self.blocks(len(events), 1_000)
            assert page["log_length"] == last + 1
            for each in page["blocks"]:
                assert each["id"] == len(events)
                fields = dict(each["block"]["Map"])
                assert fields.get("phash", {}).get("Blob") == before
                before = log.value_hash(each["block"])
                events.append((fields["btype"]["Text"], log.plain(fields["tx"])))
        assert before == hashtree.leaf(tree, [b"last_block_hash"])
        return events

    def blocks(self, start: int, length: int) -> Any:
        arg = candid.encode(Ranges, [{"start": start, "length": length}])
        return candid.decode(BlocksReply, self.replica.query(self.id, "icrc3_get_blocks", arg, CAROL))

    def story(self, swap_id: bytes) -> list[str]:
        """What happened to a swap, without the "swap_"."""
        return [kind.removeprefix("swap_") for kind, tx in self.log() if tx.get("id") == swap_id]

    def events(self, swap_id: bytes) -> list[dict[str, Any]]:
        """All that the log says of a swap."""
        return [tx for _, tx in self.log() if tx.get("id") == swap_id]

    def balance(self, owner: bytes, subaccount: bytes | None = None) -> int:
        return self.token.balance(Account(owner, subaccount))

    def held(self, swap_id: bytes) -> int:
        """What lies in a swap's escrow."""
        return self.balance(self.id, swap_id)

    def conserved(self) -> None:
        """Every token is with somebody known, or was burned as a fee that the ledger's blocks tell of."""
        blocks = self.token.blocks()
        burned = sum(block["fee"] for block in blocks)
        accounts = {Account(**block[end]) for block in blocks for end in ("from", "to")} - {Account(MINTER)}
        known = self.holders | {MINTER}
        assert {account.owner for account in accounts} <= known
        assert sum(self.token.balance(account) for account in accounts) == self.token.supply() == HELD - burned

    def sound(self) -> None:
        """What must be so at the end of every test."""
        self.conserved()
        swaps = {tx["id"] for kind, tx in self.log() if kind == "swap_funding"}
        for swap_id in swaps:
            self.swap(swap_id)

    # -- time, disk, upgrades

    def advance(self, seconds: float) -> None:
        self.replica.advance(seconds)

    def upgrade(self) -> None:
        self.replica.install(self.id, self.wasm, candid.encode(Config, self.config), CONTROLLER, mode="upgrade")

    def restart(self, folder: Path) -> None:
        """The replica goes to disk, and comes back as another one."""
        self.replica.save(folder)
        self.replica = self.token.replica = Replica.load(folder)

    def restart_before_calls(self, folder: Path) -> None:
        """From now on a restart comes before each `call`."""
        self._disk = folder


def kind(answer: Any) -> str:
    """The error's name, of whichever of the three kinds."""
    ((_, error),) = answer["Err"]["kind"].items()
    (name,) = error
    return str(name)
