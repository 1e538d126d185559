"""Addresses, keys and terms that people give, and what they are told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from swapd.chains.base import Party
from swapd.chains.bitcoin import BitcoinChain, people
from swapd.chains.bitcoin.address import output_script, witness_address
from swapd.chains.bitcoin.script import (
    LATEST_TIMELOCK,
    SCRIPT_BYTES,
    htlc_address,
    htlc_script,
    parse_pubkey,
)
from swapd.chains.bitcoin.settings import Network
from swapd.chains.bitcoin.transaction import Outpoint, read
from swapd.errors import Invalid
from swapd.protocol.effects import EffectKind
from swapd.protocol.terms import LegTerms, Wallet
from swapd.vault.derivation import KeyPurpose

from .conftest import AMOUNT, BTC, World, settings_for

KEY = PrivateKey(b"\x01" * 32).public_key.format()
OTHER = PrivateKey(b"\x02" * 32).public_key.format()

# From BIP 173, BIP 350, BIP 13 and Bitcoin Core's own tests.
ADDRESSES: list[tuple[str, set[Network]]] = [
    ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", {"main"}),
    ("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", {"main"}),
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", {"main"}),
    ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", {"test", "testnet4", "signet"}),
    ("tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", {"test", "testnet4", "signet"}),
    ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", {"main"}),
    ("3P14159f73E4gFr7JterCCQh9QjiTjiZrG", {"main"}),
    ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", {"test", "testnet4", "signet", "regtest"}),
    ("2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", {"test", "testnet4", "signet", "regtest"}),
]
NETWORKS: list[Network] = ["main", "test", "testnet4", "signet", "regtest"]

NO_ADDRESSES = [
    "",
    "rubbish",
    "bc1",
    "BC1QW508d6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",  # mixed case
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",  # checksum
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",  # taproot with the checksum of BIP 173
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",  # version 0 with the checksum of BIP 350
    "bc1pfeessrawgf",  # pay to anchor: anyone's
    "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",  # version 1 of 40 bytes
    "BC1SW50QGDZ25J",  # version 16
    "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",  # version 2
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",  # checksum
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN0",  # not base58
    "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",  # a private key
    "LTC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KGMN4N9",
    "lnbc1qqqq",
    "bitcoin:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("text", "networks"), ADDRESSES)
def test_an_address_is_taken_on_its_own_network_and_refused_on_every_other(
    text: str, networks: set[Network], network: Network
) -> None:
    if network in networks:
        assert len(output_script(text, network, "payout")) in (22, 23, 25, 34)
    else:
        with pytest.raises(Invalid, match=f"an address for {network}; this one is for") as caught:
            output_script(text, network, "payout")
        assert (caught.value.field, caught.value.value) == ("payout", text)


@pytest.mark.parametrize("text", NO_ADDRESSES)
@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_no_address_in_use_is_refused_with_what_was_expected(text: str, network: Network) -> None:
    with pytest.raises(Invalid, match=f"an address for {network}") as caught:
        output_script(text, network, "receiver")
    assert caught.value.field == "receiver"


@given(st.text(max_size=100))
def test_no_text_breaks_the_reading_of_addresses_and_identities(text: str) -> None:
    for read_text in (
        lambda: output_script(text, "regtest", "x"),
        lambda: parse_pubkey(text, "x"),
        lambda: people.party("x", text, KEY, "regtest"),
    ):
        with pytest.raises(Invalid):
            read_text()
    assert Outpoint.parse(text) is None


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_transactions(raw: bytes) -> None:
    try:
        read(raw)
    except ValueError:
        return


@given(st.sampled_from([20, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)), st.sampled_from(NETWORKS))
def test_a_witness_address_stands_for_its_program(program: bytes, network: Network) -> None:
    script = output_script(witness_address(program, network), network, "x")
    assert script == bytes([0, len(program)]) + program


@pytest.mark.parametrize("kind", ["legacy", "p2sh-segwit", "bech32", "bech32m"])
async def test_every_kind_of_address_is_the_script_that_the_node_says(world: World, kind: str) -> None:
    address = await world.node.rpc("getnewaddress", "", kind, wallet=world.wallet)
    said = (await world.node.rpc("validateaddress", address))["scriptPubKey"]
    assert output_script(address, "regtest", "x").hex() == said


async def test_the_legs_address_is_the_one_that_the_node_derives_from_the_script(world: World) -> None:
    leg = await world.leg()
    decoded = await world.node.rpc("decodescript", htlc_script(leg.leg.terms).hex())
    assert decoded["segwit"]["address"] == world.chain.fingerprint(leg.leg.terms)
    words = decoded["asm"].split()
    assert words[1:3] == ["OP_CHECKSIG", "OP_SWAP"]
    assert words[-1] == "OP_ENDIF"


def _terms(**changed: Any) -> LegTerms:
    values: dict[str, Any] = {
        "asset": BTC,
        "amount": AMOUNT,
        "hashlock": b"\x07" * 32,
        "sender": KEY.hex(),
        "receiver": OTHER.hex(),
        "timelock": 1_800_000_000,
        "fund_by": 1_700_000_000,
    }
    return LegTerms(**(values | changed))


SECRET_KEYS = st.integers(1, 2**128).map(lambda n: PrivateKey.from_int(n).public_key.format().hex())


@given(SECRET_KEYS, SECRET_KEYS, st.binary(min_size=32, max_size=32), st.integers(500_000_000, LATEST_TIMELOCK))
def test_the_script_has_always_the_same_length_and_holds_every_term(
    sender: str, receiver: str, hashlock: bytes, timelock: int
) -> None:
    terms = _terms(sender=sender, receiver=receiver, hashlock=hashlock, timelock=timelock, fund_by=1)
    script = htlc_script(terms)
    assert len(script) == SCRIPT_BYTES
    for part in (bytes.fromhex(receiver), hashlock, timelock.to_bytes(4, "little")):
        assert part in script
    digest = hashlib.new("sha256", bytes.fromhex(sender)).digest()
    assert digest not in script, "hash160, not sha256"


def test_s11_any_other_term_gives_another_address() -> None:
    base = htlc_address(_terms(), "regtest")
    third = PrivateKey(b"\x03" * 32).public_key.format().hex()
    others = [
        _terms(hashlock=b"\x08" * 32),
        _terms(sender=third),
        _terms(receiver=third),
        _terms(timelock=1_800_000_001),
        _terms(sender=OTHER.hex(), receiver=KEY.hex()),
    ]
    assert len({base, *(htlc_address(terms, "regtest") for terms in others)}) == 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02" + "zz" * 32,
        "04" + KEY.hex()[2:],
        "02" + "00" * 32,  # no such point
        "02" + "ff" * 32,  # beyond the field
        KEY.hex()[:-2],
        KEY.hex() + "00",
        " " + KEY.hex()[1:],
        PrivateKey(b"\x01" * 32).public_key.format(compressed=False).hex(),
    ],
)
def test_what_is_no_compressed_key_on_the_curve_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="66 hex digits") as caught:
        parse_pubkey(text, "sender")
    assert caught.value.field == "sender"


async def test_nobody_named_is_swapds_own_wallet(world: World) -> None:
    mine = await world.chain.party("sender", None, 7, sends=True)
    theirs = await world.chain.party("receiver", None, 7, sends=False)
    assert mine.by_swapd
    assert theirs.by_swapd
    assert mine.identity != theirs.identity
    for payout in (mine.payout, theirs.payout):
        assert (await world.node.rpc("getaddressinfo", payout, wallet=world.wallet))["ismine"]
    assert await world.chain.party("sender", mine.payout, 7, sends=True) == mine, "the same key for the same swap"


async def test_an_address_is_paid_by_swapds_key_and_a_key_signs_for_itself(world: World) -> None:
    address = await world.node.rpc("getnewaddress", "", "bech32m", wallet="miner")
    own = world.vault.bitcoin_pubkey(3, KeyPurpose.CLAIM).hex()
    assert await world.chain.party("receiver", address, 3, sends=False) == Party(own, address, True)
    by_key = await world.chain.party("receiver", KEY.hex(), 3, sends=False)
    assert (by_key.identity, by_key.by_swapd) == (KEY.hex(), False)
    p2wpkh = f"wpkh({KEY.hex()})"
    checksummed = (await world.node.rpc("getdescriptorinfo", p2wpkh))["descriptor"]
    assert [by_key.payout] == await world.node.rpc("deriveaddresses", checksummed)
    both = await world.chain.party("receiver", f"{KEY.hex()}:{address}", 3, sends=False)
    assert both == Party(KEY.hex(), address, False)
    for wrong in (f"{KEY.hex()}:", f"{KEY.hex()}:{KEY.hex()}", f"{address}:{KEY.hex()}", "02" + "00" * 32):
        with pytest.raises(Invalid) as caught:
            await world.chain.party("receiver", wrong, 3, sends=False)
        assert caught.value.field == "receiver"


async def test_terms_that_bitcoin_can_not_hold_are_refused_with_the_field(world: World) -> None:
    good = (await world.leg()).leg
    world.chain.check_terms(good)
    t = good.terms
    wrong: dict[str, Any] = {
        "amount": replace(good, terms=replace(t, amount=300)),
        "timelock": replace(good, terms=replace(t, timelock=2**31)),
        "receiver": replace(good, terms=replace(t, receiver=t.sender)),
        "sender": replace(good, terms=replace(t, sender="02" + "00" * 32)),
        "pay_to": replace(good, pay_to="1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"),
        "refund_to": replace(good, refund_to=""),
        "asset": replace(good, terms=replace(t, asset=replace(BTC, token="x"))),
    }
    for field, leg in wrong.items():
        with pytest.raises(Invalid) as caught:
            world.chain.check_terms(leg)
        assert caught.value.field == field
    early = replace(good, lock_by=1, terms=replace(t, timelock=499_999_999, fund_by=1))
    with pytest.raises(Invalid, match="timelock"):
        world.chain.check_terms(early)
    with pytest.raises(Invalid, match="lower case"):
        world.chain.check_terms(replace(good, terms=replace(t, sender=t.sender.upper())))


async def test_instructions_say_exactly_what_to_pay_and_when_it_comes_back(world: World) -> None:
    leg = (await world.leg(amount=100_000)).leg
    told = world.chain.instructions(leg)
    address = world.chain.fingerprint(leg.terms)
    assert told.fields["address"] == address
    assert told.fields["amount"] == "0.00100000"
    assert told.fields["uri"].startswith(f"bitcoin:{address}?amount=0.001&label=swap-")
    assert told.fields["refund_from_about"] > told.fields["timelock"]
    for words in ("exactly 0.00100000 BTC", address, "median time", leg.refund_to):
        assert words in told.summary
    foreign = world.chain.instructions(replace(leg, refund_by_swapd=False, funded_by=Wallet.EXTERNAL))
    assert f"nLockTime {leg.terms.timelock}" in foreign.fields["way_back"]
    assert (
        world.chain.instructions(replace(leg, terms=replace(leg.terms, amount=2 * 10**8)))
        .fields["uri"]
        .count("amount=2&")
    )


async def test_doctor_finds_a_good_node_good(world: World) -> None:
    assert [h for h in await world.chain.examine() if not h.ok] == []


async def test_a_node_of_another_network_is_refused_at_start(world: World) -> None:
    chain = BitcoinChain(settings_for(world.node, world.wallet, network="main"), world.vault)
    with pytest.raises(Invalid, match="regtest"):
        await chain.start()
    assert not next(h for h in await chain.examine() if h.name == "node").ok
    await chain.close()


async def test_s8_a_missing_wallet_keeps_no_exit_waiting_and_is_named_with_the_way_to_make_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    leg = await world.locked()
    chain = BitcoinChain(settings_for(world.node, "nobody"), world.vault)
    await chain.start()
    await chain.resume([])
    said = capsys.readouterr().out
    assert said.count("wallet.not_ready") == 1
    assert "createwallet nobody" in said
    assert await replace(world, chain=chain).send(EffectKind.CLAIM, leg)
    assert "createwallet nobody" in next(h for h in await chain.examine() if h.name == "wallet").mend
    await chain.close()


async def test_a_wallet_that_is_not_loaded_is_loaded_at_start(world: World) -> None:
    await world.node.rpc("unloadwallet", world.wallet)
    chain = BitcoinChain(settings_for(world.node, world.wallet), world.vault)
    await chain.start()
    assert (await chain.balances())["BTC"] > 0
    await chain.close()


async def test_doctor_reports_a_dead_node_instead_of_failing(world: World) -> None:
    chain = BitcoinChain(settings_for(world.node, world.wallet, rpc_url="http://127.0.0.1:9"), world.vault)
    found = await chain.examine()
    assert {h.name for h in found if not h.ok} == {"node", "mempool", "fees", "wallet", "reserved coins"}
    assert all("cannot connect" in h.says for h in found if not h.ok)
    await chain.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"rpc_cookie_file": None},
        {"rpc_user": "x"},
        {"rpc_user": "x", "rpc_password_file": Path("y")},
        {"rpc_url": "http://user:pw@127.0.0.1:1"},
        {"rpc_url": "127.0.0.1:8332"},
        {"network": "mainnet"},
        {"wallet": ""},
        {"surprise": 1},
    ],
)
async def test_contradictory_settings_are_refused(world: World, changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings_for(world.node, world.wallet, **changed)


async def test_a_password_file_is_as_good_as_a_cookie_and_empty_means_none(world: World, tmp_path: Path) -> None:
    user, password = world.node.auth
    (tmp_path / "password").write_text(password + "\n")
    by_cookie = settings_for(world.node, world.wallet, rpc_user="", rpc_password_file="")
    by_password = settings_for(
        world.node, world.wallet, rpc_cookie_file="", rpc_user=user, rpc_password_file=str(tmp_path / "password")
    )
    assert by_cookie.rpc_password_file is by_password.rpc_cookie_file is None
    for settings in (by_cookie, by_password):
        chain = BitcoinChain(settings, world.vault)
        await chain.start()
        await chain.close()
    home = settings_for(world.node, world.wallet, rpc_cookie_file="~/cookie")
    assert home.rpc_cookie_file == Path.home() / "cookie"
