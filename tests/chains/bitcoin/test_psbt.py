"""PSBTs as bitcoind reads, joins and finishes them, and what is none."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.bitcoin.psbt import MAGIC, MOST_AT_ONCE, Psbt, PsbtInput, read_all
from swapd.chains.bitcoin.script import htlc_script
from swapd.chains.bitcoin.transaction import SEQUENCE, Outpoint, Spend, read, refund_items
from swapd.devnet.bitcoind import to_satoshi

from .conftest import AMOUNT, World
from .owners import ALICE, BOB, decoded, encoded, leg_of, pubkey, sign

SPEND = Spend(Outpoint("ab" * 32, 1), AMOUNT, b"\x51", b"\x00\x14" + bytes(20), 1_000, 1_800_000_000)
PSBT = Psbt(
    SPEND.unsigned(), (PsbtInput(AMOUNT, SPEND.script, {pubkey(BOB): b"\x30\x01"}, {b"\x01" * 32: b"\x02" * 32}),)
)


def test_what_is_written_is_read_again_one_or_many() -> None:
    final = replace(PSBT, inputs=(replace(PSBT.inputs[0], final=(b"one", b"", b"two")),))
    assert read_all(PSBT.encode()) == [PSBT]
    assert read_all(PSBT.encode() + final.encode()) == [PSBT, final]


async def test_bitcoind_reads_every_field_of_it(world: World) -> None:
    leg = await leg_of(world, sender=ALICE, receiver=BOB)
    given_ = await world.chain.refund_for_owner(leg)
    shown = await world.node.rpc("decodepsbt", given_.fields["psbt"])
    (item,), tx = shown["inputs"], shown["tx"]
    outpoint = Outpoint.parse(given_.fields["outpoint"])
    assert (tx["vin"][0]["txid"], tx["vin"][0]["vout"]) == outpoint
    assert (tx["version"], tx["locktime"], tx["vin"][0]["sequence"]) == (2, leg.leg.terms.timelock, SEQUENCE)
    assert [each["scriptPubKey"]["address"] for each in tx["vout"]] == [leg.leg.refund_to]
    assert to_satoshi(shown["fee"]) == int(given_.fields["fee_satoshi"])
    assert to_satoshi(item["witness_utxo"]["amount"]) == AMOUNT
    assert item["witness_utxo"]["scriptPubKey"]["address"] == world.chain.fingerprint(leg.leg.terms)
    assert item["witness_script"]["hex"] == htlc_script(leg.leg.terms).hex() == given_.fields["script"]
    (analysed,) = (await world.node.rpc("analyzepsbt", given_.fields["psbt"]))["inputs"]
    assert (analysed["has_utxo"], analysed["is_final"]) == (True, False)

    claim = await world.chain.claim_for_owner(leg, world.vault.preimage(leg.index))
    (item,) = (await world.node.rpc("decodepsbt", claim.fields["psbt"]))["inputs"]
    assert item["sha256_preimages"] == {leg.leg.terms.hashlock.hex(): world.vault.preimage(leg.index).hex()}


async def test_bitcoinds_own_tools_take_it_join_it_and_finish_it(world: World) -> None:
    """Its wallet has no key and no template for this script, and hands it back unharmed; nodes join what two people
    have signed, and take the whole transaction out of one that is finished."""
    leg = await leg_of(world, sender=ALICE, receiver=BOB)
    request = await world.chain.consent_wanted(leg)
    psbt = request.fields["psbt_1"]
    processed = await world.node.rpc("walletprocesspsbt", psbt, wallet=world.wallet)
    assert processed["complete"] is False
    assert decoded(processed["psbt"]).inputs[0].script == decoded(psbt).inputs[0].script

    by_bob, by_alice = await sign(world, psbt, BOB), await sign(world, processed["psbt"], ALICE)
    joined = decoded(await world.node.rpc("combinepsbt", [by_bob, by_alice]))
    assert set(joined.inputs[0].signatures) == {pubkey(BOB), pubkey(ALICE)}

    item = joined.inputs[0]
    signatures = [item.signatures[pubkey(each)][:-1] for each in (ALICE, BOB)]
    witness = (*refund_items(pubkey(ALICE), *signatures), item.script)
    finished = encoded(Psbt(joined.unsigned, (PsbtInput(item.amount, item.script, final=witness),)))
    extracted = await world.node.rpc("finalizepsbt", finished)
    assert extracted["complete"] is True
    raw = bytes.fromhex(extracted["hex"])
    assert await world.refused(raw) == ""
    submitted = await world.chain.check_signed(leg, base64.b64decode(finished))
    assert submitted.tx.raw == raw


async def test_what_bitcoinds_wallet_makes_is_read(world: World) -> None:
    address = await world.node.rpc("getnewaddress", wallet=world.wallet)
    made = await world.node.rpc(
        "walletcreatefundedpsbt", [], [{address: "0.001"}], 0, {"changePosition": 1}, wallet=world.wallet
    )
    psbt = decoded(made["psbt"])
    assert read(psbt.unsigned).outputs[0].amount == 100_000
    assert psbt.inputs[0].amount > 0
    signed = decoded((await world.node.rpc("walletprocesspsbt", made["psbt"], wallet=world.wallet))["psbt"])
    assert signed.inputs[0].final


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        ("nothing", b""),
        ("another magic", b"PSBT\xff" + PSBT.encode()[5:]),
        ("no transaction", MAGIC + b"\x00\x00\x00"),
        ("something behind", PSBT.encode() + b"\x00"),
        ("an input's map missing", PSBT.encode()[:-1]),
        ("a key twice", MAGIC + PSBT.encode()[5:].replace(b"\x01\x05", b"\x01\x05\x00\x01\x05", 1)),
        ("a signed transaction", Psbt(SPEND.with_witness(b"a"), PSBT.inputs).encode()),
        ("too many", PSBT.encode() * (MOST_AT_ONCE + 1)),
        ("a length without end", MAGIC + b"\xff" + b"\xff" * 8),
    ],
)
def test_what_is_no_psbt_is_refused(what: str, raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them: the caller says what was expected
        read_all(raw)


@given(st.binary(max_size=60), st.integers(0, len(PSBT.encode())), st.integers(0, 40))
def test_whatever_is_sent_is_read_or_refused(middle: bytes, start: int, length: int) -> None:
    whole = PSBT.encode()
    raw = whole[:start] + middle + whole[start + length :]
    try:
        read_all(raw)
    except ValueError:
        return
