"""The swap canister: what it shows, believed only with a certificate, and the arguments of its calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from swapd.chains.icp import candid, hashtree, interface
from swapd.chains.icp.agent import Agent
from swapd.chains.icp.candid.types import Blob
from swapd.chains.icp.certificate import Certificate
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import Escrow, EscrowTerms, Phase, Swap
from swapd.chains.icp.ledger import candid_account
from swapd.chains.icp.principal import Account

INITIATE, COMPLETE, REFUND, RESUME = "initiateSwap", "completeSwap", "refundSwap", "resumeSwap"
ACKNOWLEDGE = "acknowledgeSwap"


@dataclass(frozen=True)
class LogTip:
    """The certified end of the log. length: blocks; hash: of the last one, empty if there is none. time_ns: of the
    certificate, since 1970."""

    length: int
    hash: bytes
    time_ns: int


@dataclass(frozen=True)
class ProvenSwap:
    """certificate, witness: the bytes from which alone anybody reads the same, with the network's root key."""

    swap: Swap
    certificate: bytes = field(repr=False)
    witness: bytes = field(repr=False)


@dataclass(frozen=True)
class SwapCanister:
    agent: Agent
    escrow: Escrow

    @property
    def principal(self) -> bytes:
        return self.escrow.canister

    # -- looking ---------------------------------------------------------------------------------------------------

    async def swap(self, swap_id: bytes) -> Swap | None:
        """The lock of this id as certified state shows it; None if it is certain that there is none."""
        proven = await self.proven(swap_id)
        return proven.swap if proven else None

    async def proven(self, swap_id: bytes) -> ProvenSwap | None:
        """The same, with what proves it."""
        with self.agent.doubting():
            return await self._proven(swap_id)

    async def _proven(self, swap_id: bytes) -> ProvenSwap | None:
        reply = await self._query("getSwap", Blob, swap_id, interface.GetSwapReply)
        if reply["certificate"] is None:
            raise Untrusted("the canister's answer about a swap has no certificate")
        _, tree = self._certified(reply["certificate"], reply["witness"])
        state = hashtree.find_swap(tree, swap_id)
        if state is None:
            return None
        swap = swap_of(candid.decode(interface.Swap, state))
        if swap.id != swap_id or self.escrow.id(swap.initiator, swap.nonce) != swap_id:
            raise Untrusted(f"the canister shows another swap under the id {swap_id.hex()}")
        return ProvenSwap(swap, reply["certificate"], reply["witness"])

    async def tip(self) -> LogTip:
        """The end of the log (ICRC-3, `icrc3_get_tip_certificate`)."""
        with self.agent.doubting():
            return await self._tip()

    async def _tip(self) -> LogTip:
        reply = candid.decode(
            interface.TipReply, await self.agent.query(self.principal, "icrc3_get_tip_certificate", candid.NO_ARGUMENTS)
        )
        if reply is None:
            raise Untrusted("the canister gives no certificate for its log")
        certificate, tree = self._certified(reply["certificate"], reply["hash_tree"])
        index = hashtree.leaf(tree, [b"last_block_index"])
        last = hashtree.leaf(tree, [b"last_block_hash"])
        if index is None or last is None:
            return LogTip(0, b"", certificate.time_ns)
        return LogTip(_leb128(index) + 1, last, certificate.time_ns)

    async def blocks(self, start: int, length: int) -> list[tuple[int, Any]]:
        """Blocks of the log from this index on, fewer than asked for if that is what the canister gives: (index,
        value). Not certified: their hashes have to lead to the tip."""
        asked = [{"start": start, "length": length}]
        reply = await self._query("icrc3_get_blocks", interface.Ranges, asked, interface.BlocksReply)
        return [(int(block["id"]), block["block"]) for block in reply["blocks"]]

    async def _query(self, method: str, given: Any, value: object, wanted: Any) -> Any:
        return candid.decode(wanted, await self.agent.query(self.principal, method, candid.encode(given, value)))

    def _certified(self, certificate: bytes, witness: bytes) -> tuple[Certificate, hashtree.Tree]:
        """The hash tree that the canister certified. Raises Untrusted."""
        verified = self.agent.verify(certificate, self.principal)
        tree = hashtree.decode(witness)
        if hashtree.digest(tree) != verified.certified_data(self.principal):
            raise Untrusted("the canister's answer does not have the hash that its certificate names")
        return verified, tree

    # -- acting ----------------------------------------------------------------------------------------------------

    def initiate(self, terms: EscrowTerms, fee: int, note: bytes = b"") -> bytes:
        """note: at most 64 bytes, which the canister keeps in its log."""
        args = self.initiate_args(terms, fee)
        return candid.encode_all((interface.InitiateArgs, args), (interface.Note, note or None))

    def initiate_args(self, terms: EscrowTerms, fee: int) -> dict[str, Any]:
        return {
            "nonce": terms.nonce,
            "ledger": terms.ledger,
            "amount": terms.amount,
            "fee": fee,
            "from_subaccount": terms.sender.subaccount,
            "recipient": candid_account(terms.receiver),
            "refund_to": candid_account(terms.sender),
            "hashlock": terms.hashlock,
            "fund_by": terms.fund_by,
            "deadline": terms.timelock,
        }

    def approve_args(self, terms: EscrowTerms, fee: int, now_ns: int) -> dict[str, Any]:
        """ICRC-2: leave for the canister to take the amount, the payout's fee and the fee of taking it. The spender has
        the lock's own subaccount, so that no two locks share an allowance."""
        swap_id = self.escrow.id_of(terms)
        return {
            "from_subaccount": terms.sender.subaccount,
            "spender": candid_account(self.escrow.account_of(swap_id)),
            "amount": terms.amount + 2 * fee,
            "expected_allowance": None,
            "expires_at": terms.fund_by,
            "fee": fee,
            "memo": swap_id,
            "created_at_time": now_ns,
        }

    def by_id(self, swap_id: bytes) -> bytes:
        """The argument of refundSwap and resumeSwap."""
        return candid.encode(Blob, swap_id)

    def complete(self, swap_id: bytes, preimage: bytes) -> bytes:
        return candid.encode(interface.CompleteArgs, {"id": swap_id, "secret": preimage})


def swap_of(state: Any) -> Swap:
    """From the decoded Candid record."""
    args = state["args"]
    (phase, intent) = next(iter(state["phase"].items()))
    return Swap(
        id=state["id"],
        terms=EscrowTerms(
            ledger=args["ledger"],
            amount=args["amount"],
            sender=_account(args["refund_to"]),
            receiver=_account(args["recipient"]),
            hashlock=args["hashlock"],
            fund_by=args["fund_by"],
            timelock=args["deadline"],
        ),
        nonce=args["nonce"],
        initiator=state["initiator"],
        fee=args["fee"],
        phase=Phase(phase),
        intent=Phase(next(iter(intent))) if intent else None,
        secret=state["secret"],
        lock_block=state["lock_block"],
        payout_block=state["payout_block"],
    )


def _account(value: Any) -> Account:
    return Account(value["owner"], value["subaccount"])


def _leb128(raw: bytes) -> int:
    """Unsigned, as ICRC-3 writes the index of the last block."""
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(raw))
