"""Looking at swaps and steering them: shapes for machines, words for people, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from swapd.devnet.anvil import Anvil
from swapd.devnet.bitcoind import Bitcoind
from tests.cli.conftest import deployed
from tests.cli.desk import CONFIG, HOT_TO_PERSON, PERSON_BTC, PERSON_ETH, PERSON_TO_HOT, Desk

SWAP = {
    *("id", "status", "next", "trouble", "secret_holder", "hashlock", "preimage", "created_at", "cancelled_at"),
    *("reveal_by", "deadlines", "legs", "effects", "owner", "frozen_at", "forced_at", "approvals"),
}
LEG = {
    *("chain", "asset", "amount", "sender", "receiver", "pay_to", "refund_to", "funded_by", "claimed_by", "fund_by"),
    *("timelock", "contract", "state", "depth", "confirmations", "lock_txid", "spend_txid", "strays"),
}
EFFECT = {"key", "state", "trouble", "attempts"}
ATTEMPT = {"txid", "fee_at_most", "sent_at", "state", "fee_paid"}

BITCOIN_FIELDS = {
    *("address", "amount", "amount_satoshi", "uri", "fund_by", "timelock", "refund_from_about", "way_back", "script"),
}
ETHEREUM_FIELDS = {
    *("chain_id", "from", "contract", "lock_id", "amount", "function", "calldata", "value_wei", "value_eth", "uri"),
    *("fund_by", "fund_by_utc", "timelock", "timelock_utc", "refund_calldata", "way_back"),
}


def lock_bitcoin(desk: Desk, swap: dict[str, Any], bitcoind: Bitcoind) -> str:
    """Fund the leg by its instructions, two blocks deep; returns the txid."""
    fields = swap["instructions"][0]["fields"]
    txid = asyncio.run(bitcoind.fund(fields["address"], int(fields["amount_satoshi"])))
    asyncio.run(bitcoind.mine(1))
    desk.let_the_daemon_look()
    return txid


# -- shapes --------------------------------------------------------------------------------------------------------


def test_a_created_swap_is_told_in_the_same_shape_by_create_show_list_and_watch(desk: Desk) -> None:
    created = desk.create(HOT_TO_PERSON)
    assert created.keys() == SWAP | {"instructions", "request"}
    assert created["legs"].keys() == {"initiator", "participant"}
    assert all(leg.keys() == LEG for leg in created["legs"].values())
    assert created["legs"]["participant"]["amount"] == "1000000000000000000"
    assert created["created_at"].keys() == {"unix", "utc"}
    assert created["preimage"] is None
    assert desk.ask("swap", "show", created["id"]) == created
    del created["instructions"], created["request"]
    assert desk.ask("swap", "list") == [created]
    assert desk.ask("swap", "list", "--status", "completed") == []


def test_what_swapd_sent_is_told_with_amounts_as_strings(desk: Desk, bitcoind: Bitcoind) -> None:
    created = desk.create(HOT_TO_PERSON)
    desk.let_the_daemon_look(twice=True)
    (effect,) = desk.ask("swap", "show", created["id"])["effects"]
    assert effect.keys() == EFFECT
    (attempt,) = effect["attempts"]
    assert attempt.keys() == ATTEMPT
    assert attempt["fee_at_most"].isdigit()
    assert attempt["txid"] in asyncio.run(bitcoind.rpc("getrawmempool"))
    told = desk.run("swap", "show", created["id"]).stdout
    assert f"{effect['key']}: {attempt['txid']}" in told


def test_watch_tells_each_change_as_a_line_and_ends_with_the_swap(desk: Desk) -> None:
    created = desk.create(PERSON_TO_HOT)
    desk.run("swap", "cancel", created["id"])
    desk.let_the_daemon_look()
    (line,) = desk.run("swap", "watch", created["id"], "--json").stdout.splitlines()
    assert json.loads(line).keys() == SWAP
    assert json.loads(line)["status"] == "cancelled"
    assert "cancelled" in desk.run("swap", "watch").stdout


def test_keys_are_reserved_once_each(desk: Desk) -> None:
    first, second = (desk.ask("swap", "keys", "--receive-on", "bitcoin", "--send-on", "ethereum") for _ in range(2))
    assert first.keys() == {"index", "receive_at", "refund_to"}
    assert second["index"] > first["index"]
    assert second["receive_at"] != first["receive_at"]
    told = desk.run("swap", "keys", "--receive-on", "bitcoin", "--send-on", "ethereum").stdout
    assert "--participant-receive-at" in told
    assert f"--participant-refund-to {first['refund_to']}" in told
    assert desk.refused("swap", "keys", "--receive-on", "dogechain", "--send-on", "bitcoin") == (
        "receive_on: got 'dogechain', expected one of the configured chains: bitcoin, ethereum"
    )


def test_an_id_that_nobody_has_is_refused_everywhere(desk: Desk) -> None:
    for command in ("show", "watch", "cancel", "refund"):
        line = desk.refused("swap", command, "0123456789abcdef")
        assert line == "swap: got '0123456789abcdef', expected the id of a swap in this database"


# -- instructions --------------------------------------------------------------------------------------------------


def test_an_external_bitcoin_leg_comes_with_address_and_bip21_uri(desk: Desk) -> None:
    created = desk.create(PERSON_TO_HOT)
    (told,) = created["instructions"]
    assert told.keys() == {"leg", "not_before", "summary", "fields"}
    fields = told["fields"]
    assert fields.keys() == BITCOIN_FIELDS
    assert told["leg"] == "initiator"
    assert fields["address"] == created["legs"]["initiator"]["contract"]
    assert fields["uri"] == f"bitcoin:{fields['address']}?amount=0.01&label=swap-{created['id']}"
    assert (fields["amount"], fields["amount_satoshi"]) == ("0.01000000", "1000000")
    printed = desk.run("swap", "show", created["id"]).stdout.splitlines()
    for name, value in fields.items():
        assert f"  {name}: {value}" in printed


def test_an_external_ethereum_leg_comes_with_a_call_and_eip681_uri(desk: Desk) -> None:
    created = desk.create(HOT_TO_PERSON)
    (told,) = created["instructions"]
    fields, leg = told["fields"], created["legs"]["participant"]
    assert fields.keys() == ETHEREUM_FIELDS
    assert told["leg"] == "participant"
    assert fields["contract"] == desk.variables["SWAPD__CHAINS__ETHEREUM__CONTRACT"]
    assert fields["from"] == PERSON_ETH
    assert fields["value_wei"] == leg["amount"]
    assert fields["lock_id"] == leg["contract"]
    assert fields["uri"].startswith(f"ethereum:{fields['contract']}@31337/lockEther?bytes32=0x{created['hashlock']}&")
    assert fields["uri"].endswith(f"&value={leg['amount']}")
    printed = desk.run("swap", "show", created["id"]).stdout.splitlines()
    for name, value in fields.items():
        assert f"  {name}: {value}" in printed


def test_the_way_back_of_somebodys_own_key_is_printed_whole(desk: Desk) -> None:
    """Square brackets in it are not taken for markup."""
    key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    created = desk.create(PERSON_TO_HOT, initiator_refund_to=key)
    assert "[signature, refund key, empty, script]" in desk.run("swap", "show", created["id"]).stdout


def test_people_are_told_what_to_wait_for_before_they_pay(desk: Desk) -> None:
    first = desk.create(PERSON_TO_HOT)
    assert "taken the swap up" in first["instructions"][0]["not_before"]
    second = desk.create(HOT_TO_PERSON)
    assert second["instructions"][0]["not_before"] == "the initiator leg is final: 0 of 2 confirmations (rule S1)"
    assert "not before the initiator leg is final" in desk.run("swap", "show", second["id"]).stdout
    desk.let_the_daemon_look(twice=True)
    assert desk.ask("swap", "show", first["id"])["instructions"][0]["not_before"] is None


def test_the_instructions_are_what_the_chains_take(desk: Desk, bitcoind: Bitcoind, ethereum: Anvil) -> None:
    bitcoin = desk.create(PERSON_TO_HOT)
    txid = lock_bitcoin(desk, bitcoin, bitcoind)
    leg = desk.ask("swap", "show", bitcoin["id"])["legs"]["initiator"]
    assert (leg["state"], leg["lock_txid"], leg["strays"]) == ("locked", txid, [])
    (person, *_) = asyncio.run(ethereum.rpc("eth_accounts"))
    swap = desk.create(ETHER_FROM_PERSON, initiator_refund_to=person)
    lock_ether(swap, ethereum)
    desk.let_the_daemon_look()
    shown = desk.ask("swap", "show", swap["id"])
    assert shown["legs"]["initiator"]["state"] == "locked"
    assert shown["instructions"] == []


def test_a_wrong_amount_is_shown_with_its_way_back(desk: Desk, bitcoind: Bitcoind) -> None:
    created = desk.create(PERSON_TO_HOT)
    fields = created["instructions"][0]["fields"]
    asyncio.run(bitcoind.fund(fields["address"], 999_999))
    desk.let_the_daemon_look()
    shown = desk.ask("swap", "show", created["id"])
    (stray,) = shown["legs"]["initiator"]["strays"]
    assert stray.keys() == {"ref", "amount", "why", "way_back"}
    assert stray["amount"] == "999999"
    assert stray["why"]
    assert stray["way_back"]
    assert shown["legs"]["initiator"]["state"] == "absent"
    assert "not the leg" in desk.run("swap", "show", created["id"]).stdout


# -- cancel --------------------------------------------------------------------------------------------------------


def test_cancelling_takes_the_instructions_back_at_once(desk: Desk) -> None:
    created = desk.create(PERSON_TO_HOT)
    cancelled = desk.ask("swap", "cancel", created["id"], "--why", "typed the wrong amount")
    assert cancelled["cancelled_at"].keys() == {"unix", "utc"}
    assert cancelled["trouble"] == "typed the wrong amount"
    assert cancelled["instructions"] == []
    printed = desk.run("swap", "show", created["id"]).stdout
    assert "cancelled 20" in printed
    assert "to fund" not in printed
    desk.let_the_daemon_look()
    assert desk.ask("swap", "list")[0]["status"] == "cancelled"
    assert desk.ask("swap", "cancel", created["id"])["cancelled_at"] == cancelled["cancelled_at"]


def test_after_a_lock_cancelling_is_refused(desk: Desk, bitcoind: Bitcoind) -> None:
    created = desk.create(PERSON_TO_HOT)
    lock_bitcoin(desk, created, bitcoind)
    line = desk.refused("swap", "cancel", created["id"])
    assert line.startswith(f"swap {created['id']} can not be cancelled any more: a lock exists")


def test_after_swapds_own_lock_was_signed_cancelling_is_refused(desk: Desk) -> None:
    created = desk.create(HOT_TO_PERSON)
    desk.let_the_daemon_look(twice=True)
    assert "can not be cancelled any more" in desk.refused("swap", "cancel", created["id"])


# -- refund --------------------------------------------------------------------------------------------------------


def test_with_nothing_locked_there_is_nothing_to_refund(desk: Desk) -> None:
    created = desk.create(PERSON_TO_HOT)
    assert desk.refused("swap", "refund", created["id"]) == f"nothing of swap {created['id']} is locked (proposed)"


def test_before_the_timelock_a_refund_is_refused_with_when_it_becomes_possible(desk: Desk, bitcoind: Bitcoind) -> None:
    created = desk.create(PERSON_TO_HOT)
    lock_bitcoin(desk, created, bitcoind)
    line = desk.refused("swap", "refund", created["id"])
    assert line.startswith("the initiator leg on bitcoin can go back from ")
    assert created["legs"]["initiator"]["timelock"]["utc"] in line


def test_a_leg_of_somebody_elses_key_is_refunded_by_its_owner(desk: Desk, bitcoind: Bitcoind) -> None:
    key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    created = desk.create(PERSON_TO_HOT, initiator_refund_to=key)
    lock_bitcoin(desk, created, bitcoind)
    line = desk.refused("swap", "refund", created["id"])
    assert line == f"the initiator leg on bitcoin can only be refunded by its owner, with the key {key}"


def test_from_the_timelock_on_a_refund_is_taken_and_sent(desk: Desk, anvil: Anvil) -> None:
    desk.variables["SWAPD__CHAINS__ETHEREUM__RPC_URL"] = anvil.rpc_url
    desk.variables["SWAPD__CHAINS__ETHEREUM__CONTRACT"] = asyncio.run(deployed(anvil))
    asyncio.run(anvil.set_balance(desk.ask("wallet", "addresses")["ethereum"]["ETH"], 10**19))
    (person, *_) = asyncio.run(anvil.rpc("eth_accounts"))
    created = desk.create(ETHER_FROM_PERSON, initiator_refund_to=person)
    lock_ether(created, anvil)
    asyncio.run(anvil.set_next_timestamp(created["legs"]["initiator"]["timelock"]["unix"]))
    asyncio.run(anvil.mine())
    assert desk.ask("swap", "refund", created["id"])["id"] == created["id"]
    desk.let_the_daemon_look(twice=True)
    asyncio.run(anvil.mine())
    desk.let_the_daemon_look()
    shown = desk.ask("swap", "show", created["id"])
    assert shown["legs"]["initiator"]["state"] == "refunded"


ETHER_FROM_PERSON: dict[str, str | None] = {
    "give": "ETH",
    "give-amount": "1000000000000000000",
    "get": "BTC",
    "get-amount": "1000000",
    "initiator": "external",
    "initiator-refund-to": PERSON_ETH,
    "initiator-receive-at": PERSON_BTC,
    "participant": "hot",
}


def lock_ether(swap: dict[str, Any], node: Anvil) -> None:
    """Send the call of the instructions, word for word, and mine it."""
    fields = swap["instructions"][0]["fields"]
    call = {
        "from": fields["from"],
        "to": fields["contract"],
        "data": fields["calldata"],
        "value": hex(int(fields["value_wei"])),
    }
    asyncio.run(node.rpc("eth_sendTransaction", call))
    asyncio.run(node.mine(2))


def test_a_halted_swapd_still_shows_and_cancels(desk: Desk) -> None:
    created = desk.create(PERSON_TO_HOT)
    halted = {"SWAPD__ENTRY__HALTED": "true"}
    assert desk.ask("swap", "show", created["id"], **halted)["id"] == created["id"]
    assert desk.ask("swap", "cancel", created["id"], **halted)["cancelled_at"]


def test_a_list_for_people_never_cuts_an_id(desk: Desk) -> None:
    created = desk.create(PERSON_TO_HOT)
    result = desk.attempt("--config", str(CONFIG), "swap", "list", COLUMNS="80")
    assert created["id"] in result.stdout
