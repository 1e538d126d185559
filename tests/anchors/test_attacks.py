"""Every attack of the list and its answer, played against real parts. `items.py` lists the attacks."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as KeyPair
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3.exceptions import ContractLogicError

from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.script import htlc_script
from swapd.chains.bitcoin.transaction import HtlcInput, Joint, Outpoint, Output, refund_items
from swapd.chains.ethereum.abi import Abi
from swapd.chains.ethereum.erc20 import balance_of, number
from swapd.chains.ethereum.htlc import Htlc, HtlcTerms
from swapd.chains.ethereum.transactions import Call
from swapd.chains.icp import interface
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.escrow import Escrow
from swapd.coordinator import agree
from swapd.coordinator.limits import TooManyOpen
from swapd.devnet.anvil import CHAIN_ID
from swapd.devnet.bitcoind import to_btc, to_satoshi
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.store import AuditBroken
from swapd.store.codec import decode, encode
from swapd.vault import KeyPurpose, Vault
from tests.anchors.weather import NOTHING, miners_take, one_way
from tests.canister.rig import ALICE, AMOUNT, BOB, CAROL, Account, kind
from tests.canister.rig import Rig as Canister
from tests.chains.bitcoin.conftest import World as BitcoinWorld
from tests.chains.bitcoin.conftest import _world as bitcoin_world
from tests.chains.bitcoin.test_script_on_node import Output as BitcoinOutput
from tests.chains.ethereum import proxy
from tests.chains.ethereum.test_act import REFUSER, burner
from tests.chains.ethereum.test_nodes import several
from tests.chains.ethereum.world import PREIMAGE, SETTINGS
from tests.chains.ethereum.world import World as EthereumWorld
from tests.chains.icp.proxy import changed
from tests.chains.icp.world import ALICE as ICP_ALICE
from tests.chains.icp.world import World as IcpWorld
from tests.contract.operations import Operations
from tests.contract.rig import Artifacts, Chain, Terms, compiled, error_selector, htlc_artifact
from tests.scenarios.chains import Chains
from tests.scenarios.reorgs import take_back
from tests.scenarios.rig import AMOUNTS, DIRECTIONS, Rig
from tests.scenarios.side import TIMING
from tests.scenarios.test_external import People

BTC_TO_ETH, ETH_TO_BTC = DIRECTIONS
gives_bitcoin = pytest.mark.parametrize("direction", [BTC_TO_ETH], indirect=True, ids=str)
gives_ether = pytest.mark.parametrize("direction", [ETH_TO_BTC], indirect=True, ids=str)

FULL = pytest.mark.full
LOCK, CLAIM, REFUND = EffectKind.LOCK, EffectKind.CLAIM, EffectKind.REFUND
HOUR = 3_600
OUTAGE = int(str(TIMING["OUTAGE"]))


async def opens_a_bitcoin_leg(world: BitcoinWorld, hashlock: bytes, preimage: bytes) -> bool:
    """Whether the node takes a claim with this preimage, well signed, of a leg with this hashlock: by policy, or in a
    block by consensus alone."""
    leg = await world.leg()
    leg = replace(leg, leg=replace(leg.leg, terms=replace(leg.leg.terms, hashlock=hashlock)))
    outpoint = Outpoint.parse(await world.pay(leg))
    assert outpoint is not None
    output = BitcoinOutput(world, leg, outpoint)
    signature = output.signed_by(KeyPurpose.CLAIM)
    return not await output.refused(preimage, signature) or await output.in_a_block(preimage, signature)


@pytest.fixture
async def bitcoin(chains: Chains) -> Any:
    made = await bitcoin_world(chains.bitcoind, await chains.bitcoind.create_wallet(f"anchor-{secrets.token_hex(4)}"))
    yield made
    await made.chain.close()


# -- 1 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [31, 33, pytest.param(64, marks=FULL)])
async def test_preimage_of_another_length_claims_on_one_chain_only(
    bitcoin: BitcoinWorld, do: Operations, terms: Terms, canister: Canister, length: int
) -> None:
    """Exactly 32 bytes, everywhere: the hash is right, and no chain takes it."""
    odd = bytes(range(1, length + 1))
    hashlock = hashlib.sha256(odd).digest()

    assert not await opens_a_bitcoin_leg(bitcoin, hashlock, odd)

    held = do.chain.balance(do.htlc.address)
    do.chain.send(do.htlc.functions.lockEther(hashlock, terms.receiver_and_times), terms.sender, terms.amount)
    for cut_or_padded in (odd[:32].ljust(32, b"\0"), odd[-32:].rjust(32, b"\0")):
        with do.refuses("NotLocked"):
            do.claim(replace(terms, preimage=cut_or_padded))
    assert do.chain.balance(do.htlc.address) == held + terms.amount
    swap_id = canister.locked(hashlock=hashlock)
    assert kind(canister.complete(swap_id, odd)) == "InvalidArgument"
    assert canister.phase(swap_id) == "Locked"
    assert canister.balance(BOB) == 0


# -- 2 -----------------------------------------------------------------------------------------------------------------


HASHES: dict[str, Callable[[bytes], bytes]] = {
    "keccak256": keccak,
    "double_sha256": lambda secret: hashlib.sha256(hashlib.sha256(secret).digest()).digest(),
    "blake2s": lambda secret: hashlib.blake2s(secret).digest(),
    "sha3": lambda secret: hashlib.sha3_256(secret).digest(),
}
OTHERS = [name for name in HASHES if name != "keccak256"]


@pytest.mark.parametrize("name", ["sha256", "keccak256", *(pytest.param(name, marks=FULL) for name in OTHERS)])
async def test_different_hash_functions_per_chain(
    bitcoin: BitcoinWorld, do: Operations, terms: Terms, canister: Canister, name: str
) -> None:
    """SHA-256 everywhere: what opens a leg on one chain opens it on all, and nothing else does on any."""
    secret = secrets.token_bytes(32)
    fits = name == "sha256"
    hashlock = hashlib.sha256(secret).digest() if fits else HASHES[name](secret)

    assert await opens_a_bitcoin_leg(bitcoin, hashlock, secret) is fits

    had = do.chain.balance(terms.receiver)
    do.chain.send(do.htlc.functions.lockEther(hashlock, terms.receiver_and_times), terms.sender, terms.amount)
    if fits:
        do.claim(replace(terms, preimage=secret))
    else:
        with do.refuses("NotLocked"):
            do.claim(replace(terms, preimage=secret))
    assert do.chain.balance(terms.receiver) == had + fits * terms.amount
    swap_id = canister.locked(hashlock=hashlock)
    canister.complete(swap_id, secret)
    assert canister.balance(BOB) == fits * AMOUNT


@gives_bitcoin
async def test_different_hash_functions_per_chain_are_refused_in_an_offer(rig: Rig) -> None:
    """Refuse others: one hashlock, on both legs."""
    terms, index = await rig.offer(rig.other, rig.house)
    offer = json.loads(json.dumps(encode(terms)))
    offer["participant"]["terms"]["hashlock"] = keccak(rig.other.house.secrets.preimage(terms.index)).hex()

    with pytest.raises(Invalid, match="hashlock"):
        await agree.accept(rig.house.house, decode(SwapTerms, offer), index, "operator")

    rig.other.asleep = True
    await rig.block()
    assert await rig.accounts_balance(locks=0) == rig.nothing


# -- 3 -----------------------------------------------------------------------------------------------------------------


@one_way(ETH_TO_BTC)
async def test_claim_so_late_that_the_other_side_has_no_time(rig: Rig) -> None:
    """Windows by quantile: the initiator claims in the last minute, and the house is away for as long as it may be
    after that."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block(2)
    rig.house.asleep = True
    await rig.chains.time_is(terms.participant.terms.timelock - 60)
    claim = await rig.other.act(CLAIM, terms, Role.PARTICIPANT, rig.other.house.secrets.preimage(terms.index))
    rig.books.payers[claim.txid] = rig.other.name
    await rig.chains.blocks()
    await rig.chains.time_is(rig.chains.now + OUTAGE)
    rig.house.asleep = rig.other.asleep = False

    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert rig.chains.now < terms.initiator.terms.timelock, "and there was time left"
    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


@gives_bitcoin
async def test_claim_so_late_finds_a_leg_that_anyone_refunded_the_moment_it_was_due(rig: Rig) -> None:
    """Refund by anyone the moment it is due: a passer-by sends it while the house is away."""
    passer_by = await rig.person("passer-by")
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block(2)
    rig.house.asleep = True
    leg = terms.participant.terms
    await rig.chains.time_is(leg.timelock)
    call = Htlc(CHAIN_ID, rig.chains.contract).refund(HtlcTerms.of(leg))
    await rig.call(passer_by, call.to, 0, "0x" + call.data.hex())
    await rig.chains.blocks()

    with pytest.raises(Rejected, match="NotLocked"):
        await rig.other.act(CLAIM, terms, Role.PARTICIPANT, rig.other.house.secrets.preimage(terms.index))

    rig.house.asleep = rig.other.asleep = False
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == rig.nothing


# -- 4 -----------------------------------------------------------------------------------------------------------------


@gives_bitcoin
async def test_mempool_leak_and_front_running_on_ethereum(rig: Rig) -> None:
    """Fixed payee: whoever copies a claim out of the mempool and is mined first has paid the receiver's gas."""
    mallory = await rig.person("mallory")
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.chains.blocks()
    rig.other.asleep = True
    await rig.house.look()
    (claim,) = (await rig.house.effects(terms.swap_id))["claim:participant"].attempts
    seen = await rig.chains.anvil.rpc("eth_getTransactionByHash", claim.tx.txid)
    assert seen["blockNumber"] is None
    await rig.chains.anvil.rpc("anvil_impersonateAccount", mallory.at["ethereum"])
    copy = {"from": mallory.at["ethereum"], "to": seen["to"], "data": seen["input"], "gas": seen["gas"]}
    dear = {"maxFeePerGas": hex(10**12), "maxPriorityFeePerGas": hex(5 * 10**11)}
    copied = await rig.chains.anvil.rpc("eth_sendTransaction", copy | dear)
    await rig.block()

    receipts = [await rig.chains.anvil.rpc("eth_getTransactionReceipt", txid) for txid in (copied, claim.tx.txid)]
    assert [receipt["status"] for receipt in receipts] == ["0x1", "0x0"], "mallory was first"
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == {**rig.nothing, **rig.traded(rig.house, rig.other)}


@gives_ether
async def test_mempool_leak_and_front_running_on_bitcoin(rig: Rig) -> None:
    """A relay pays nobody else: with the secret and the signature of a pending claim its money goes where it says."""
    mallory = await rig.person("mallory")
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    with miners_take(rig, NOTHING):
        await rig.block()
        (txid,) = await rig.chains.bitcoind.rpc("getrawmempool")
        raw = await rig.chains.bitcoind.rpc("getrawtransaction", txid)
        (paid,) = (await rig.chains.bitcoind.rpc("decoderawtransaction", raw))["vout"]
        target = await rig.chains.bitcoind.rpc("getnewaddress", "", "bech32", wallet=mallory.at["bitcoin"])
        stolen = (await rig.chains.bitcoind.rpc("getaddressinfo", target, wallet=mallory.at["bitcoin"]))["scriptPubKey"]
        forged = raw.replace(paid["scriptPubKey"]["hex"], stolen)
        assert forged != raw
        (verdict,) = await rig.chains.bitcoind.rpc("testmempoolaccept", [forged])
        assert not verdict["allowed"]
        with pytest.raises(Rejected):
            await rig.chains.bitcoind.rpc("generateblock", target, [forged])  # not by a miner either
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == {**rig.nothing, **rig.traded(rig.house, rig.other)}


def test_mempool_leak_and_front_running_on_the_internet_computer(canister: Canister) -> None:
    """There is no mempool, and a caller with the secret pays the recipient all the same."""
    swap_id = canister.locked()
    assert "Ok" in canister.complete(swap_id, sender=CAROL)
    assert (canister.balance(CAROL), canister.balance(BOB), canister.held(swap_id)) == (0, AMOUNT, 0)


# -- 5 -----------------------------------------------------------------------------------------------------------------


@one_way(BTC_TO_ETH)
async def test_reorg_after_reveal(rig: Rig) -> None:
    """Reveal only past finality, so that no reorg takes away what it was shown for; and own claims are sent again."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    chain = terms.participant.terms.chain
    rig.other.asleep = True
    await take_back(rig, chain, 1)
    await rig.house.look()
    assert not (await rig.house.row(terms.swap_id)).reveal_sent, "a lock of one block is none"
    rig.other.asleep = False
    while not (await rig.house.row(terms.swap_id)).reveal_sent:
        await rig.block()
    rig.other.asleep = True
    await rig.block()
    view = (await rig.house.row(terms.swap_id)).legs[Role.PARTICIPANT].view
    assert (view.state, view.depth) == (LegState.CLAIMED, 1)

    await take_back(rig, chain, 1)
    await rig.house.look()

    assert await rig.house.status(terms.swap_id) is Status.REDEEMING, "the secret is out, whatever the chain says now"
    await rig.house.restart()
    await rig.block()
    view = (await rig.house.row(terms.swap_id)).legs[Role.PARTICIPANT].view
    assert (view.state, view.depth) == (LegState.CLAIMED, 1), "it is there again"
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


# -- 6 -----------------------------------------------------------------------------------------------------------------


@gives_ether
async def test_duplicate_id_griefing(rig: Rig) -> None:
    """The id is the hash of all terms with the sender: somebody who locks like terms first, for next to nothing, is in
    nobody's way, and is taken for nobody's leg."""
    mallory = await rig.person("mallory")
    rig.house.asleep = True
    terms = await rig.agreed(rig.house, rig.other)
    contract = Htlc(CHAIN_ID, rig.chains.contract)
    copies = [HtlcTerms.of(replace(terms.initiator.terms, sender=mallory.at["ethereum"], **cheap)) for cheap in CHEAP]
    for copy in copies:
        call = contract.lock(copy)
        await rig.call(mallory, call.to, call.value, "0x" + call.data.hex())
    await rig.block(3)
    view = (await rig.other.row(terms.swap_id)).legs[Role.INITIATOR].view
    assert (view.state, len(view.strays)) == (LegState.ABSENT, len(copies))
    assert "lock:participant" not in await rig.other.effects(terms.swap_id), "adopted only after a full check"

    rig.house.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    await rig.time_is(terms.initiator.terms.timelock + 1)
    for copy in copies:
        call = contract.refund(copy)
        await rig.call(mallory, call.to, 0, "0x" + call.data.hex())
    await rig.block()
    assert await rig.accounts_balance() == {**rig.nothing, **rig.traded(rig.house, rig.other)}


CHEAP: list[dict[str, Any]] = [{"amount": 1}, {}]
"""The second one is exact but for who sent it."""


def test_duplicate_id_griefing_on_the_internet_computer(canister: Canister) -> None:
    """With the same nonce and the same terms another caller gets another id."""
    args = canister.terms()
    canister.token.transfer(ALICE, Account(CAROL), 10 * AMOUNT)
    griefer = canister.approve(args, CAROL)
    assert "Ok" in canister.initiate(args, CAROL)
    mine = canister.approve(args)
    assert "Ok" in canister.initiate(args)
    assert griefer != mine
    assert (canister.phase(griefer), canister.phase(mine)) == ("Locked", "Locked")
    assert "Ok" in canister.complete(mine)
    assert (canister.balance(BOB), canister.phase(griefer)) == (AMOUNT, "Locked")


# -- 7 -----------------------------------------------------------------------------------------------------------------


HERE = Path(__file__).parent
TOKENS = HERE.parent / "contract" / "tokens"


@pytest.fixture(scope="module")
def strange_tokens() -> Artifacts:
    return compiled(*sorted(TOKENS.glob("*.sol")), *sorted((HERE / "tokens").glob("*.sol")))


class Token:
    """A strange token on a chain, and swapd with it in its allow-list."""

    def __init__(self, world: EthereumWorld, artifact: dict[str, Any], address: str) -> None:
        self.world = world
        self.address = address
        self._abi = Abi([entry for entry in artifact["abi"] if entry["type"] == "function"])

    @classmethod
    @asynccontextmanager
    async def made(cls, world: EthereumWorld, artifact: dict[str, Any]) -> AsyncIterator[Token]:
        request = {"from": world.alice, "data": artifact["bytecode"], "gas": hex(5_000_000)}
        creation = await world.node.rpc("eth_sendTransaction", request)
        await world.node.mine()
        receipt = await world.node.rpc("eth_getTransactionReceipt", creation)
        token = cls(world, artifact, to_checksum_address(receipt["contractAddress"]))
        await token.do("mint", world.own, OURS)
        assets = {**SETTINGS["assets"], "TOK": {**SETTINGS["assets"]["ETH"], "token": token.address}}
        known = type(world.settings).model_validate({**world.settings.model_dump(), "assets": assets})
        async with world.another_chain(assets=known.assets) as chain:
            token.world = replace(world, chain=chain)
            yield token

    async def do(self, function: str, *arguments: Any) -> None:
        """By its issuer, in a block."""
        await self.world.call(self.world.alice, Call(self.address, 0, self._abi.call(function, *arguments)))
        await self.world.node.mine()

    def leg(self) -> WatchedLeg:
        return self.world.leg(asset="TOK", amount=1_000)

    async def lock(self, leg: WatchedLeg) -> None:
        """Approval and lock, each in its block, as swapd sends them."""
        sent: list[SignedTx] = []
        for _ in range(2):
            sent.append(await self.world.send(LOCK, leg, sent))
            await self.world.node.mine()

    async def balances(self) -> tuple[int, int, int]:
        """Ours, Bob's, and what lies in the contract."""
        world = self.world
        owners = (world.own, world.bob, world.htlc.address)
        ours, bobs, held = [number(await world.chain._node.returned(balance_of(self.address, o))) for o in owners]
        return ours, bobs, held


OURS = 1_000_000
UNTOUCHED = (OURS, 0, 0)
KEEPS_AND_SAYS_TRUE = 3


@pytest.mark.parametrize("name", ["FeeToken", "MoodyToken"])
async def test_fee_on_transfer_rebasing_blacklisting_non_standard_erc20_that_bring_less_are_not_locked(
    ethereum: EthereumWorld, strange_tokens: Artifacts, name: str
) -> None:
    """Balance delta, and simulated before sending: nothing is even signed."""
    async with Token.made(ethereum, strange_tokens[name]) as token:
        if name == "MoodyToken":
            await token.do("be", KEEPS_AND_SAYS_TRUE)
        leg = token.leg()
        approval = await token.world.send(LOCK, leg)
        await token.world.node.mine()
        with pytest.raises(Rejected, match="WrongAmountReceived"):
            await token.world.draft(LOCK, leg, [approval])
        assert await token.balances() == UNTOUCHED


async def test_fee_on_transfer_rebasing_blacklisting_non_standard_erc20_without_a_return_value_is_swapped(
    ethereum: EthereumWorld, strange_tokens: Artifacts
) -> None:
    """Safe transfer: as USDT is on mainnet."""
    async with Token.made(ethereum, strange_tokens["SilentToken"]) as token:
        leg = token.leg()
        await token.lock(leg)
        await token.world.send(CLAIM, leg, secret=PREIMAGE)
        await token.world.node.mine()
        assert await token.balances() == (OURS - 1_000, 1_000, 0)


@pytest.mark.parametrize("name", ["BlacklistToken", "RebasingToken"])
async def test_fee_on_transfer_rebasing_blacklisting_non_standard_erc20_that_will_not_pay_can_be_tried_again(
    ethereum: EthereumWorld, strange_tokens: Artifacts, name: str
) -> None:
    """The issuer bars the receiver, or makes everybody poorer, after the lock: no claim is sent in vain, nothing is
    marked done, and when the token pays again so does the contract; or the leg goes back when it is due."""
    async with Token.made(ethereum, strange_tokens[name]) as token:
        world, leg = token.world, token.leg()
        changes: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
            "BlacklistToken": (("bar", world.bob, True), ("bar", world.bob, False)),
            "RebasingToken": (("rebase", 50), ("rebase", 100)),
        }
        stops, pays = changes[name]
        await token.lock(leg)
        await token.do(*stops)
        with pytest.raises(Rejected, match="TransferFailed"):
            await world.draft(CLAIM, leg, secret=PREIMAGE)
        assert (await world.view(leg)).state is LegState.LOCKED
        await token.do(*pays)
        await world.send(CLAIM, leg, secret=PREIMAGE)
        await world.node.mine()
        assert await token.balances() == (OURS - 1_000, 1_000, 0)


async def test_fee_on_transfer_rebasing_blacklisting_non_standard_erc20_not_on_the_allow_list_is_refused(
    ethereum: EthereumWorld, strange_tokens: Artifacts
) -> None:
    async with Token.made(ethereum, strange_tokens["PlainToken"]) as token:
        leg = token.leg().leg
        token.world.chain.check_terms(leg)
        with pytest.raises(Invalid, match="asset"):
            ethereum.chain.check_terms(leg)
        assert await token.balances() == UNTOUCHED


# -- 8 -----------------------------------------------------------------------------------------------------------------


MUCH_GAS = burner(60_000)
"""Code of a recipient that takes money and does something about it, for far more than 2300 gas."""


@gives_bitcoin
async def test_recipient_contract_refuses_eth_or_needs_more_than_2300_gas(rig: Rig) -> None:
    """`call`, and a payout that is refused reverts and can be tried again: nothing is marked done. Alice receives at a
    contract that takes nothing at first."""
    people = await People.met(rig)
    await rig.chains.anvil.rpc("anvil_setCode", people.alice.at["ethereum"], REFUSER)
    terms = await people.brokered()
    await people.fund(people.alice, terms, Role.INITIATOR)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.block(2)
    await people.fund(people.bob, terms, Role.PARTICIPANT)
    await rig.block(4)
    row = await rig.house.row(terms.swap_id)
    assert row.legs[Role.PARTICIPANT].view.state is LegState.LOCKED
    effect = (await rig.house.effects(terms.swap_id))["claim:participant"]
    assert not effect.attempts, "simulated before sending: no gas is spent on it"
    assert "reverted" in effect.error

    await rig.chains.anvil.rpc("anvil_setCode", people.alice.at["ethereum"], MUCH_GAS)
    await rig.until_over(terms.swap_id, Status.COMPLETED, sides=(rig.house,))

    gains = people.with_fees(await rig.accounts_balance(), people.bob)
    assert gains == {
        **rig.nothing,
        "alice": {"BTC": -AMOUNTS["BTC"], "ETH": AMOUNTS["ETH"]},
        "bob": {"BTC": AMOUNTS["BTC"], "ETH": -AMOUNTS["ETH"]},
    }


# -- 9 -----------------------------------------------------------------------------------------------------------------


def test_replay_across_chains_or_contracts_of_a_signature_or_a_lock(do: Operations, chain: Chain, terms: Terms) -> None:
    """Chain id and contract address are in id and signatures: the receiver's word for one contract on one chain is good
    for no other."""
    receiver = KeyPair.create()
    terms = replace(terms, receiver=receiver.address)
    elsewhere = Operations(chain, chain.deploy(htlc_artifact()))
    word = terms.signed(receiver.key, do.htlc, chain.id)
    had = chain.balance(terms.sender)
    fees = [_cost(each.lock(terms)) for each in (do, elsewhere)]
    assert terms.lock_id(do.htlc, chain.id) != terms.lock_id(elsewhere.htlc, chain.id)
    with elsewhere.refuses("NotSignedByReceiver"):
        elsewhere.cooperative_refund(terms, word)
    chain.rpc("anvil_setChainId", chain.id + 1)  # as after a split of the chain, with all that was on it
    try:
        assert _refusal(do, terms, word) == error_selector("NotSignedByReceiver")
    finally:
        chain.rpc("anvil_setChainId", chain.id)
    assert _refusal(do, terms, word) == b""

    do.cooperative_refund(terms, word)
    elsewhere.refund(terms, at=terms.timelock)

    assert chain.balance(terms.sender) == had - sum(fees)
    assert chain.balance(elsewhere.htlc.address) == 0


def _refusal(do: Operations, terms: Terms, word: bytes) -> bytes:
    """With which error a cooperative refund would end now, empty if with none."""
    try:
        do.htlc.functions.cooperativeRefund(terms.words, word).call({"from": do.chain.other})
    except ContractLogicError as error:
        return bytes.fromhex(str(error.data)[2:10])
    return b""


def _cost(receipt: Any) -> int:
    return int(receipt["gasUsed"] * receipt["effectiveGasPrice"])


async def test_replay_across_chains_or_contracts_of_a_transaction(ethereum: EthereumWorld) -> None:
    """Swapd's lock for one chain is no transaction on another one where the account has money too."""
    draft = await ethereum.draft(LOCK, ethereum.leg())
    assert draft is not None
    lock = draft.sign(draft.floor)
    had = await ethereum.balance(ethereum.own)
    await ethereum.node.rpc("anvil_setChainId", CHAIN_ID + 1)
    with pytest.raises(Rejected):
        await ethereum.node.rpc("eth_sendRawTransaction", "0x" + lock.raw.hex())
    await ethereum.node.mine()
    assert await ethereum.balance(ethereum.own) == had


def test_replay_across_chains_or_contracts_on_the_internet_computer(canister: Canister) -> None:
    """The canister is in the id: the same swap in another one is another swap."""
    args = canister.terms()
    elsewhere = Escrow(CAROL).id(ALICE, args["nonce"])
    mine = canister.approve(args)
    assert "Ok" in canister.initiate(args)
    assert elsewhere != mine
    assert kind(canister.complete(elsewhere)) == "NotFound"
    assert canister.phase(mine) == "Locked"


# -- 10 ----------------------------------------------------------------------------------------------------------------


@one_way(ETH_TO_BTC)
async def test_free_option_and_griefing_by_an_initiator_who_never_claims(rig: Rig) -> None:
    """Short windows: whoever locks first and then waits for a better price has his own money locked for longer than
    the house has, and the house has its own back the moment it is due."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    locked_at, due = rig.chains.now, terms.participant.terms.timelock
    await rig.time_is(due + 1)
    await rig.block(2)
    views = {role: leg.view for role, leg in (await rig.house.row(terms.swap_id)).legs.items()}
    assert views[Role.PARTICIPANT].state is LegState.REFUNDED
    assert views[Role.INITIATOR].state is LegState.LOCKED, "and the griefer waits on"
    assert rig.chains.now - locked_at < terms.initiator.terms.timelock - locked_at
    rig.other.asleep = False
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == rig.nothing


@gives_bitcoin
async def test_free_option_and_griefing_by_offers_that_are_never_funded(rig: Rig) -> None:
    """The second party locks second, and no more swaps than a cap are open at once: offers cost the house nothing."""
    rig.house.more["SWAPD__ENTRY__OPEN_SWAPS_MAX"] = "2"
    await rig.house.restart()
    rig.other.asleep = True
    offers = [await rig.agreed(rig.other, rig.house) for _ in range(2)]
    with pytest.raises(TooManyOpen, match="open_swaps_max is 2"):
        await rig.agreed(rig.other, rig.house)
    await rig.block(3)
    for terms in offers:
        assert not await rig.house.effects(terms.swap_id)
    await rig.time_is(offers[-1].initiator.terms.fund_by + 1)
    for terms in offers:
        await rig.until(rig.house, terms.swap_id, Status.EXPIRED)

    await rig.agreed(rig.other, rig.house)  # there is room again

    assert await rig.accounts_balance(locks=0) == rig.nothing


def test_free_option_and_griefing_of_the_canister() -> None:
    """Rate limits and caps per party: one caller reaches his, and another does not notice."""
    canister = Canister(limits={"open_swaps_per_caller": 3, "initiates_per_minute": 2, "requests_per_minute": 1})
    canister.token.transfer(ALICE, Account(CAROL), 10 * AMOUNT)
    for _ in range(2):
        canister.locked()
    assert _initiated(canister, ALICE) == "RateLimited"
    assert _initiated(canister, CAROL) == "Ok"
    canister.advance(60)
    assert _initiated(canister, ALICE) == "Ok"
    assert _initiated(canister, ALICE) == "TooManyOpen"
    assert _initiated(canister, CAROL) == "Ok"
    canister.sound()


def _initiated(canister: Canister, caller: bytes) -> str:
    args = canister.terms()
    canister.approve(args, caller)
    answer = canister.initiate(args, caller)
    return "Ok" if "Ok" in answer else kind(answer)


# -- 11 ----------------------------------------------------------------------------------------------------------------


PIN_FEE, CYCLE_FEE = 30_000, 60_000


@gives_bitcoin
async def test_rbf_pinning_and_replacement_cycling(rig: Rig) -> None:
    """Keep watching until deep, rising fees: past the timelock the initiator outbids our claim by its refund, takes
    that back by a double spend of another input, so that neither is in any mempool, and outbids us once more."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block()  # the other claims, and our claim follows into the mempool
    rig.other.asleep = True
    coins = [coin for coin in await _unspent(rig) if coin["amount"] * 10**8 > 2 * CYCLE_FEE]
    with miners_take(rig, NOTHING):
        await rig.block()
        claim = (await rig.house.effects(terms.swap_id))["claim:initiator"].attempts[-1].tx
        await rig.time_is(terms.initiator.terms.timelock + 1)

        pinned = await _refund_with(rig, terms, coins[0])
        assert claim.txid not in await rig.chains.bitcoind.rpc("getrawmempool"), "outbid"
        await _spend_back(rig, coins[0])
        assert pinned not in await rig.chains.bitcoind.rpc("getrawmempool"), "and cycled"
        await rig.block()
        again = (await rig.house.effects(terms.swap_id))["claim:initiator"].attempts[-1].tx
        assert again.txid in await rig.chains.bitcoind.rpc("getrawmempool"), "the claim is back"

        pinned = await _refund_with(rig, terms, coins[1])
        assert again.txid not in await rig.chains.bitcoind.rpc("getrawmempool"), "outbid"
        await rig.block()
        better = (await rig.house.effects(terms.swap_id))["claim:initiator"].attempts[-1].tx
        assert better.fee > PIN_FEE
        assert pinned not in await rig.chains.bitcoind.rpc("getrawmempool"), "and it is the pin that had to go"
    await rig.until_over(terms.swap_id, Status.COMPLETED, sides=(rig.house,))
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


async def _unspent(rig: Rig) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await rig.chains.bitcoind.rpc("listunspent", 1, wallet=rig.other.wallet)
    return found


async def _refund_with(rig: Rig, terms: SwapTerms, coin: dict[str, Any]) -> str:
    """The initiator's refund, with another coin of its own in the same transaction. Its txid."""
    leg, node = await rig.other.watched(terms, Role.INITIATOR), rig.chains.bitcoind
    spent = Outpoint.parse(next(each.ref for each in leg.sightings))
    assert spent is not None
    script, amount = htlc_script(leg.leg.terms), leg.leg.terms.amount
    extra = HtlcInput(Outpoint(coin["txid"], coin["vout"]), to_satoshi(coin["amount"]), b"")
    target = output_script(leg.leg.refund_to, "regtest", "refund_to")
    paid = Output(amount + extra.amount - PIN_FEE, target)
    joint = Joint((HtlcInput(spent, amount, script), extra), (paid,), leg.leg.terms.timelock)
    vault = rig.other.house.secrets
    assert isinstance(vault, Vault)
    signature = vault.sign_bitcoin(terms.index, KeyPurpose.REFUND, joint.sighash(0))
    key = vault.bitcoin_pubkey(terms.index, KeyPurpose.REFUND)
    half = joint.with_witnesses(refund_items(key, signature), ())
    whole = await node.rpc("signrawtransactionwithwallet", half.hex(), wallet=rig.other.wallet)
    txid: str = await node.rpc("sendrawtransaction", whole["hex"], 0)
    return txid


async def _spend_back(rig: Rig, coin: dict[str, Any]) -> None:
    node, wallet = rig.chains.bitcoind, rig.other.wallet
    target = await node.rpc("getnewaddress", "", "bech32", wallet=wallet)
    left = to_btc(to_satoshi(coin["amount"]) - CYCLE_FEE)
    inputs = [{"txid": coin["txid"], "vout": coin["vout"]}]
    raw = await node.rpc("createrawtransaction", inputs, [{target: left}])
    signed = await node.rpc("signrawtransactionwithwallet", raw, wallet=wallet)
    txid = await node.rpc("sendrawtransaction", signed["hex"], 0)
    rig.books.payers[txid] = rig.other.name


# -- 12 ----------------------------------------------------------------------------------------------------------------


AHEAD = 2 * HOUR - 60
"""As far as nodes let a block's timestamp be."""


async def _stamped_ahead(rig: Rig, blocks: int) -> None:
    """Bitcoin blocks whose miners lie about the time."""
    for _ in range(blocks):
        await rig.chains.bitcoind.set_time(rig.chains.now + AHEAD)
        await rig.chains.bitcoind.mine()
    await rig.chains.bitcoind.set_time(rig.chains.now)


@gives_ether
async def test_block_timestamp_games_of_few_miners_move_no_clock(rig: Rig) -> None:
    """MTP on Bitcoin: five of eleven timestamps two hours ahead make no refund possible and hold no swap up."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    rig.house.asleep = True
    await rig.time_is(terms.reveal_by - 600)
    chain = rig.house.house.chain("bitcoin")
    before = (await chain.clock()).time
    await _stamped_ahead(rig, 5)
    assert (await chain.clock()).time - before < 60
    with pytest.raises(Rejected, match="non-final"):
        await rig.other.act(REFUND, terms, Role.PARTICIPANT)
    rig.house.asleep = False

    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@gives_ether
async def test_block_timestamp_games_of_most_miners_get_no_secret(rig: Rig) -> None:
    """Margins include skew, and the furthest of all clocks counts: when Bitcoin's says that it is too late to claim
    there, the secret is not shown, whatever the time really is."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    rig.house.asleep = True
    await rig.time_is(terms.reveal_by - 600)
    await _stamped_ahead(rig, 7)
    clock = (await rig.house.house.chain("bitcoin").clock()).time
    assert rig.chains.now < terms.reveal_by < clock
    rig.house.asleep = False

    await rig.block(3)

    assert not (await rig.house.row(terms.swap_id)).reveal_sent
    await rig.time_is(max(clock, terms.participant.terms.timelock) + 1)
    await rig.block(3)
    await rig.time_is(max(rig.chains.now, terms.initiator.terms.timelock + 1))
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == rig.nothing


# -- 13 ----------------------------------------------------------------------------------------------------------------


async def test_malicious_boundary_node_or_rpc_invents_no_lock_and_hides_none_on_the_internet_computer(
    internet_computer: IcpWorld,
) -> None:
    """Verified certificates: of another swap's true answer nothing is believed, nor of a changed one."""
    world = internet_computer
    there, absent = world.leg(sender=ICP_ALICE.text), world.leg(sender=ICP_ALICE.text, amount=5_000_000)
    had = world.balance(ICP_ALICE)
    world.lock_by(ICP_ALICE, there.leg.terms)
    answers: list[bytes] = []

    def told(_: dict[str, Any], raw: bytes) -> tuple[int, bytes]:
        answers.append(raw)
        return 200, raw

    world.proxy.instead["getSwap"] = told
    assert (await world.view(there)).state is LegState.LOCKED
    assert (await world.view(absent)).state is LegState.ABSENT
    true_lock, true_absence = answers
    for leg, lie in ((absent, true_lock), (there, true_absence)):
        world.proxy.instead["getSwap"] = lambda _, __, lie=lie: (200, lie)  # type: ignore[misc]
        with pytest.raises(Untrusted):
            await world.view(leg)
    world.proxy.instead["getSwap"] = changed(
        interface.GetSwapReply, lambda answer: answer | {"swap": None, "witness": b""}
    )
    with pytest.raises(Untrusted):
        await world.view(there)
    world.proxy.instead.clear()
    assert (await world.view(there)).state is LegState.LOCKED
    world.replica.advance(86_400)
    assert "Ok" in world.refund_by(ICP_ALICE, world.swap_id(there))
    assert world.balance(ICP_ALICE) > had - 100_000, "back, but for the ledger's fees"


READS = (
    "eth_getLogs",
    "eth_getStorageAt",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getTransactionReceipt",
)


async def test_malicious_boundary_node_or_rpc_that_invents_a_lock_is_outvoted_on_ethereum(
    ethereum: EthereumWorld,
) -> None:
    """Quorum reads: one of three nodes goes on telling of a lock, with its block, that is in no chain any more."""
    leg = ethereum.leg(sender=ethereum.alice)
    async with several(ethereum, 3, 2) as three:
        world, liar = three.world, three.nodes[0]
        before = await ethereum.node.snapshot()
        await ethereum.lock_by(ethereum.alice, leg.leg.terms)
        told: dict[str, Any] = {}
        liar.instead = {method: _recorded(told, method) for method in READS}
        assert (await world.view(leg)).state is LegState.LOCKED
        await ethereum.node.revert(before)
        liar.instead = {method: proxy.result(answer) for method, answer in told.items()}
        assert {"eth_getLogs", "eth_getStorageAt"} <= told.keys()
        async with ethereum.another_chain() as believer:  # asks the liar alone
            assert (await believer.view(leg)).state is LegState.LOCKED, "a good lie"

        assert (await world.view(leg)).state is LegState.ABSENT

    assert await ethereum.balance(ethereum.htlc.address) == 0


def _recorded(told: dict[str, Any], method: str) -> proxy.Answer:
    def answer(_: list[Any], given: dict[str, Any]) -> dict[str, Any]:
        told[method] = given["result"]
        return given

    return answer


async def test_malicious_boundary_node_or_rpc_that_hides_a_lock_is_outvoted_on_ethereum(
    ethereum: EthereumWorld,
) -> None:
    """And one of three that denies a lock keeps nobody from its money."""
    leg, had = ethereum.leg(sender=ethereum.alice, receiver=ethereum.own), await ethereum.balance(ethereum.own)
    await ethereum.lock_by(ethereum.alice, leg.leg.terms)
    async with several(ethereum, 3, 2) as three:
        three.nodes[0].instead |= {
            "eth_getLogs": proxy.result([]),
            "eth_getStorageAt": proxy.result("0x" + "00" * 32),
        }
        assert (await three.world.view(leg)).state is LegState.LOCKED
        claim = await three.world.send(CLAIM, leg, secret=PREIMAGE)
        await ethereum.node.mine()
        fee = (await three.world.chain.fate(claim)).fee
    assert fee is not None
    assert await ethereum.balance(ethereum.own) == had + leg.leg.terms.amount - fee


# -- 14 ----------------------------------------------------------------------------------------------------------------


@one_way(ETH_TO_BTC)
async def test_poisoned_database_or_queue_does_nothing(rig: Rig) -> None:
    """Decisions re-read the chain: a queue full of wanted effects, over legs said to be final, shows no secret, and
    locks and refunds nothing."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.house.stop()
    now = rig.chains.now
    with closing(sqlite3.connect(rig.house.database)) as database:
        database.execute("update legs set state = 'locked', depth = 99, locked_once = 1")
        database.execute("update swaps set status = 'participant_locked', next_due_at = 0")
        for kind_, role in (("claim", "participant"), ("refund", "initiator"), ("lock", "participant")):
            database.execute(
                "insert into effects (swap_id, key, kind, role, deadline, reveals, wanted, state, error, created_at,"
                " updated_at) values (?, ?, ?, ?, ?, ?, 1, 'wanted', '', ?, ?)",
                (terms.swap_id, f"{kind_}:{role}", kind_, role, now, kind_ == "claim", now, now),
            )
        database.commit()
    await rig.house.start()

    await rig.block(3)

    row = await rig.house.row(terms.swap_id)
    assert (row.status, row.reveal_sent) == (Status.INITIATOR_LOCKED, False)
    planted = await rig.house.effects(terms.swap_id)
    assert [key for key, effect in planted.items() if effect.attempts] == ["lock:initiator"]
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@one_way(BTC_TO_ETH)
async def test_poisoned_database_or_queue_is_found_by_the_audit_chain(rig: Rig) -> None:
    """Audit chain verified: whoever rewrites the past of a swap is found, and the money goes where it has to."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    true = _rewritten(rig, "{}")
    async with rig.house.house.store.read() as reading:
        with pytest.raises(AuditBroken, match="entry 2 was changed"):
            await reading.verify_audit()

    await rig.until_over(terms.swap_id, Status.COMPLETED)

    _rewritten(rig, true)  # for the books, which read every chain to its end
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


def _rewritten(rig: Rig, data: str) -> str:
    """What an entry of the house's audit log said, before it says this. Somebody with the file needs no trigger."""
    with closing(sqlite3.connect(rig.house.database, timeout=10)) as database:
        triggers = database.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
        for name, _ in triggers:
            database.execute(f"drop trigger {name}")
        (before,) = database.execute("select data from audit where seq = 2").fetchone()
        database.execute("update audit set data = ? where seq = 2", (data,))
        for _, sql in triggers:
            database.execute(sql)
        database.commit()
    return str(before)
