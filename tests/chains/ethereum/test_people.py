"""Addresses, limits and instructions: no node is needed to say these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from pydantic import ValidationError

from swapd.chains.ethereum.abi import Abi
from swapd.chains.ethereum.address import ZERO_ADDRESS, checksummed
from swapd.chains.ethereum.chain import EthereumChain
from swapd.chains.ethereum.htlc import HtlcTerms, artifact
from swapd.chains.ethereum.settings import EthereumSettings
from swapd.chains.words import in_units, moment
from swapd.errors import Invalid
from swapd.protocol.terms import Asset, Leg, LegTerms, Wallet
from swapd.vault.derivation import Network
from swapd.vault.secret import Secret
from swapd.vault.vault import Vault
from tests.chains.ethereum.world import SETTINGS, settings, watched

CONTRACT = to_checksum_address("0x" + "c0" * 20)
TOKEN = to_checksum_address("0x" + "7a" * 20)
BOB = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TOKENS = {"TOK": {**SETTINGS["assets"]["ETH"], "decimals": 6, "token": TOKEN}}
NOON = 1_800_000_000


@pytest.fixture
async def chain() -> AsyncIterator[EthereumChain]:
    vault = Vault(Secret(bytes(32)), Network.DEVNET)
    its = settings("http://127.0.0.1:1", contract=CONTRACT, assets={**SETTINGS["assets"], **TOKENS}, chain_id=11155111)
    made = EthereumChain("ethereum", its, vault)
    yield made
    await made.close()


async def own(chain: EthereumChain) -> str:
    return (await chain.party("sender", None, 0, sends=True)).identity


async def leg_of(chain: EthereumChain, asset: str = "ETH", **changes: Any) -> Leg:
    me = await own(chain)
    terms = LegTerms(chain.assets[asset], 1_500_000, b"\x01" * 32, me, BOB, NOON + 86_400, NOON)
    return watched(replace(terms, **changes), me).leg


# -- addresses ---------------------------------------------------------------------------------------------------------


async def test_a_party_is_its_address_and_swapd_can_spend_for_anybody(chain: EthereumChain) -> None:
    party = await chain.party("receiver", BOB.lower(), 7, sends=False)
    assert (party.identity, party.payout, party.by_swapd) == (BOB, BOB, True)
    assert (await chain.addresses()) == {"ETH": await own(chain)}


@pytest.mark.parametrize("text", [BOB, BOB.lower(), "0x" + BOB[2:].upper()])
def test_an_address_in_one_case_or_with_the_right_checksum_is_taken(text: str) -> None:
    assert checksummed("receiver", text) == BOB


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOB[:-1] + "9", "checksum"),
        (BOB.replace("C5", "c5"), "checksum"),
        (BOB[:-1], "40 hex digits"),
        (BOB + "0", "40 hex digits"),
        (BOB[2:], "40 hex digits"),
        ("0X" + BOB[2:], "40 hex digits"),
        (BOB.replace("7", "g", 1), "40 hex digits"),
        (f" {BOB}", "40 hex digits"),
        (f"{BOB}\n", "40 hex digits"),
        ("", "40 hex digits"),
        ("vitalik.eth", "40 hex digits"),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "40 hex digits"),
        (ZERO_ADDRESS, "not zero"),
        (CONTRACT, "contract"),
    ],
)
async def test_what_is_no_address_of_a_person_is_refused_with_field_value_and_what_was_expected(
    chain: EthereumChain, text: str, expected: str
) -> None:
    with pytest.raises(Invalid, match=expected) as caught:
        await chain.party("participant.receiver", text, 0, sends=False)
    assert (caught.value.field, caught.value.value) == ("participant.receiver", text)


# -- terms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asset", ["ETH", "TOK"])
async def test_fair_terms_are_taken(chain: EthereumChain, asset: str) -> None:
    chain.check_terms(await leg_of(chain, asset))


@pytest.mark.parametrize(
    ("field", "spoil"),
    [
        ("asset", lambda leg: terms(leg, asset=Asset("DAI", "ethereum", 18, BOB))),
        ("asset", lambda leg: terms(leg, asset=replace(leg.terms.asset, decimals=17))),
        ("asset", lambda leg: terms(leg, asset=replace(leg.terms.asset, token=BOB))),
        ("amount", lambda leg: terms(leg, amount=2**128)),
        ("receiver", lambda leg: both(leg, receiver=BOB.lower())),
        ("receiver", lambda leg: both(leg, receiver=ZERO_ADDRESS)),
        ("receiver", lambda leg: both(leg, receiver=CONTRACT)),
        ("receiver", lambda leg: both(leg, receiver=leg.terms.sender)),
        ("sender", lambda leg: both(leg, sender=CONTRACT)),
        ("pay_to", lambda leg: replace(leg, pay_to=TOKEN)),
        ("refund_to", lambda leg: replace(leg, refund_to=BOB)),
    ],
)
async def test_s11_terms_that_the_contract_can_not_keep_are_refused(
    chain: EthereumChain, field: str, spoil: Callable[[Leg], Leg]
) -> None:
    with pytest.raises(Invalid) as caught:
        chain.check_terms(spoil(await leg_of(chain)))
    assert caught.value.field == field


async def test_a_token_that_would_be_paid_to_itself_is_refused(chain: EthereumChain) -> None:
    with pytest.raises(Invalid, match="token"):
        chain.check_terms(both(await leg_of(chain, "TOK"), receiver=TOKEN))


async def test_a_leg_that_swapd_funds_must_come_from_swapds_own_address(chain: EthereumChain) -> None:
    leg = both(await leg_of(chain), sender=to_checksum_address("0x" + "55" * 20))
    with pytest.raises(Invalid, match="sender"):
        chain.check_terms(replace(leg, funded_by=Wallet.HOT))
    chain.check_terms(replace(leg, funded_by=Wallet.EXTERNAL))


def terms(leg: Leg, **changes: Any) -> Leg:
    return replace(leg, terms=replace(leg.terms, **changes))


def both(leg: Leg, **changes: Any) -> Leg:
    """Terms with their payouts moved along."""
    moved = terms(leg, **changes)
    return replace(
        moved, pay_to=moved.terms.receiver, refund_to=moved.terms.sender, funded_by=Wallet.EXTERNAL,
        claimed_by=Wallet.EXTERNAL,
    )  # fmt: skip


# -- instructions ------------------------------------------------------------------------------------------------------


async def test_instructions_for_ether_are_the_exact_call_in_every_form(chain: EthereumChain) -> None:
    leg = await leg_of(chain, amount=1_500_000_000_000_000_001, fund_by=NOON)
    on_chain = HtlcTerms.of(leg.terms)
    given = chain.instructions(leg)
    call = chain._htlc.lock(on_chain)
    assert given.fields["contract"] == CONTRACT
    assert given.fields["function"] == "lockEther"
    assert given.fields["calldata"] == "0x" + call.data.hex()
    assert artifact().abi.called(call.data) == ("lockEther", (on_chain.hashlock, on_chain.receiver_and_times))
    assert (given.fields["value_wei"], given.fields["value_eth"]) == ("1500000000000000001", "1.500000000000000001")
    assert given.fields["uri"] == (
        f"ethereum:{CONTRACT}@11155111/lockEther?bytes32=0x{'01' * 32}"
        f"&bytes32=0x{on_chain.receiver_and_times.hex()}&value=1500000000000000001"
    )
    assert given.fields["refund_calldata"] == "0x" + chain._htlc.refund(on_chain).data.hex()
    assert given.fields["timelock_utc"] in given.fields["way_back"]
    assert given.fields["fund_by_utc"] == "2027-01-15 08:00:00 UTC"
    assert given.fields["lock_id"] == chain.fingerprint(leg.terms)
    assert leg.terms.sender in given.summary
    assert not any("approve" in field for field in given.fields)


async def test_instructions_for_a_token_begin_with_an_approval_of_the_exact_amount(chain: EthereumChain) -> None:
    leg = await leg_of(chain, "TOK")
    given = chain.instructions(leg)
    amount = f"{leg.terms.amount:064x}"
    assert given.fields["amount"] == "1.5 TOK"
    assert given.fields["approve_calldata"] == "0x095ea7b3" + CONTRACT[2:].lower().zfill(64) + amount
    assert given.fields["approve_uri"] == f"ethereum:{TOKEN}@11155111/approve?address={CONTRACT}&uint256=1500000"
    assert (given.fields["function"], given.fields["value_wei"]) == ("lockErc20", "0")
    assert given.fields["uri"].startswith(
        f"ethereum:{CONTRACT}@11155111/lockErc20?bytes32=0x{'01' * 32}&address={TOKEN}&uint256=1500000&bytes32=0x"
    )


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [(1, 18, "0.000000000000000001"), (10**18, 18, "1"), (0, 18, "0"), (7, 0, "7"), (100, 0, "100"), (120, 2, "1.2")],
)
def test_amounts_are_shown_exactly(amount: int, decimals: int, text: str) -> None:
    assert in_units(amount, decimals) == text


def test_a_time_that_no_calendar_holds_is_still_shown() -> None:
    assert moment(2**48 - 1) == "second 281474976710655"


# -- ids and settings --------------------------------------------------------------------------------------------------


async def test_s13_a_lock_id_changes_with_every_term_and_with_chain_and_contract(chain: EthereumChain) -> None:
    leg = (await leg_of(chain)).terms
    others = [
        replace(leg, hashlock=b"\x02" * 32),
        replace(leg, asset=chain.assets["TOK"]),
        replace(leg, amount=leg.amount + 1),
        replace(leg, sender=BOB),
        replace(leg, receiver=TOKEN),
        replace(leg, timelock=leg.timelock + 1),
        replace(leg, fund_by=leg.fund_by + 1),
    ]
    ids = {chain.fingerprint(each) for each in (leg, *others)}
    on_chain = HtlcTerms.of(leg)
    ids |= {type(chain._htlc)(1, CONTRACT).id_of(on_chain), type(chain._htlc)(11155111, TOKEN).id_of(on_chain)}
    assert len(ids) == 10


def test_calldata_and_events_that_are_cut_short_or_too_odd_are_none_of_ours() -> None:
    abi: Abi = artifact().abi
    call = abi.call("batchClaim", [(bytes(32), BOB, 1, BOB, bytes(32))])
    assert abi.called(call) is not None
    for length in range(len(call) - 1):
        assert abi.called(call[:length]) is None
    assert abi.called(call[:4] + b"\xff" * 200) is None
    assert abi.event([], b"") is None
    assert abi.event([abi.topics["Claimed"]], b"") is None
    assert abi.event([b"\0" * 32], b"") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"bump_percent": 12},
        {"bump_percent": 12.5},
        {"fee_cap": 10, "priority_floor": 11},
        {"fee_cap": 10**12 + 1, "fee_cap_at_deadline": 10**12},
        {"contract": "0x12"},
        {"contract": BOB.replace("C5", "c5")},
        {"rpc_url": "ws://localhost"},
        {"more_rpc_urls": ("ws://localhost",)},
        {"more_rpc_urls": ("http://localhost",)},
        {"quorum": 0},
        {"quorum": 2},
        {"finalized_from": 1},
        {"log_range": 0},
        {"chain_id": 0},
        {"unheard_of": 1},
    ],
)
def test_settings_that_can_not_be_right_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EthereumSettings.model_validate({**SETTINGS, "rpc_url": "http://localhost", **changes})


def test_the_url_of_the_node_is_in_no_repr_of_the_settings() -> None:
    assert "secret-key" not in repr(settings("https://provider.example/secret-key"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"assets": TOKENS}, "assets"),
        ({"assets": {**SETTINGS["assets"], "TOK": {**TOKENS["TOK"], "token": TOKEN.lower()}}}, "assets.TOK.token"),
    ],
)
def test_a_chain_without_coin_or_exact_token_addresses_is_not_made(changes: Any, field: str) -> None:
    vault = Vault(Secret(bytes(32)), Network.DEVNET)
    with pytest.raises(Invalid, match=field):
        EthereumChain("ethereum", settings("http://localhost", **{"contract": CONTRACT, **changes}), vault)
