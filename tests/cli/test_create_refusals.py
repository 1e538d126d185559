"""What bad input gets: one line with field, value and what was expected, and nothing is written."""

from __future__ import annotations

import pytest

from tests.cli.desk import HOT_TO_PERSON, PERSON_BTC, PERSON_ETH, PERSON_TO_HOT, Desk, Options, creating

MAINNET_BTC = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
TESTNET_BTC = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"
KEY = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
OFF_CURVE = "02" + "ff" * 32

BAD = [
    # amounts
    (
        HOT_TO_PERSON,
        "give-amount",
        "0",
        "give_amount: got 0, expected 100000 to 1000000000 of the smallest unit of BTC",
    ),
    (HOT_TO_PERSON, "give-amount", "-5", "give_amount: got -5, expected"),
    (HOT_TO_PERSON, "give-amount", "545", "give_amount: got 545, expected"),
    (HOT_TO_PERSON, "give-amount", "1000000001", "give_amount: got 1000000001, expected"),
    (HOT_TO_PERSON, "get-amount", "1" + 21 * "0", "get_amount: got 1000000000000000000000, expected"),
    (HOT_TO_PERSON, "get-amount", "1" + 90 * "0", "get_amount: got 1000"),
    (HOT_TO_PERSON, "give-amount", "0.5", "give_amount: got '0.5', expected a whole number"),
    (HOT_TO_PERSON, "give-amount", "1e6", "give_amount: got '1e6', expected a whole number"),
    (HOT_TO_PERSON, "give-amount", "1000000.0", "give_amount: got '1000000.0', expected a whole number"),
    (HOT_TO_PERSON, "give-amount", "0x10", "give_amount: got '0x10', expected a whole number"),
    (HOT_TO_PERSON, "give-amount", "١٢٣٤٥٦٧", "give_amount: got '١٢٣٤٥٦٧', expected a whole number"),
    (HOT_TO_PERSON, "give-amount", "", "give_amount: got '', expected a whole number"),
    # assets
    (HOT_TO_PERSON, "give", "DOGE", "give: got 'DOGE', expected one of the configured assets: BTC, ETH"),
    (HOT_TO_PERSON, "get", "eth", "get: got 'eth', expected one of the configured assets: BTC, ETH"),
    (HOT_TO_PERSON, "get", "BTC", "expected"),
    # addresses of another network, or of none
    (HOT_TO_PERSON, "participant-receive-at", MAINNET_BTC, "participant.receive_at: got 'bc1q"),
    (HOT_TO_PERSON, "participant-receive-at", TESTNET_BTC, "participant.receive_at: got 'tb1q"),
    (
        HOT_TO_PERSON,
        "participant-receive-at",
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
        "participant.receive_at: got '1Boat",
    ),
    (HOT_TO_PERSON, "participant-receive-at", PERSON_BTC[:-1] + "z", "participant.receive_at: got 'bcrt1"),
    (HOT_TO_PERSON, "participant-receive-at", PERSON_ETH, "participant.receive_at: got '0x5aAeb"),
    (HOT_TO_PERSON, "participant-receive-at", "", "participant.receive_at: got ''"),
    (HOT_TO_PERSON, "participant-receive-at", OFF_CURVE, "participant.receive_at: got '02ffff"),
    (HOT_TO_PERSON, "participant-refund-to", PERSON_ETH[:-1], "participant.refund_to: got '0x5aAeb"),
    (HOT_TO_PERSON, "participant-refund-to", PERSON_ETH.swapcase(), "participant.refund_to: got '0X5A"),
    (HOT_TO_PERSON, "participant-refund-to", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "EIP-55 checksum"),
    (HOT_TO_PERSON, "participant-refund-to", "0x" + 40 * "0", "participant.refund_to: got '0x0000"),
    (HOT_TO_PERSON, "participant-refund-to", "0x" + 40 * "g", "participant.refund_to: got '0xgggg"),
    (HOT_TO_PERSON, "participant-refund-to", PERSON_BTC, "participant.refund_to: got 'bcrt1"),
    # sides
    (HOT_TO_PERSON, "participant-refund-to", None, "participant.refund_to: got None, expected an address on ethereum"),
    (HOT_TO_PERSON, "participant-receive-at", None, "participant.receive_at: got None, expected an address on bitcoin"),
    (HOT_TO_PERSON, "initiator-refund-to", PERSON_BTC, "initiator.refund_to: got 'bcrt1"),
    (HOT_TO_PERSON, "participant-receive-at", KEY, "participant.receive_at: got '0279be"),
    (PERSON_TO_HOT, "initiator-refund-to", None, "initiator.refund_to: got None, expected an address on bitcoin"),
    (PERSON_TO_HOT, "participant-refund-to", PERSON_ETH, "participant.refund_to: got '0x5aAeb"),
    # the other party's file
    (HOT_TO_PERSON, "offer", "/no/such/folder/offer.json", "offer: got '/no/such/folder/offer.json', expected a file"),
]


@pytest.mark.parametrize(
    ("options", "option", "value", "says"), BAD, ids=[f"{option}={str(value)[:20]}" for _, option, value, _ in BAD]
)
def test_is_refused_in_one_line_and_nothing_is_written(
    standing: Desk, options: Options, option: str, value: str | None, says: str
) -> None:
    assert says in standing.refused(*creating(options, **{option: value}))


def test_the_same_chain_twice_is_refused(standing: Desk) -> None:
    line = standing.refused(*creating(HOT_TO_PERSON, get="BTC", get_amount="1000000"))
    assert line == "get: got 'BTC', expected an asset on another chain than BTC's, bitcoin"
    assert standing.refused(*creating(HOT_TO_PERSON, get="BTC", get_amount="1000000"), "--json") == line


def test_the_contract_as_a_party_is_refused(standing: Desk) -> None:
    contract = standing.variables["SWAPD__CHAINS__ETHEREUM__CONTRACT"]
    assert "money sent there is lost" in standing.refused(*creating(HOT_TO_PERSON, participant_refund_to=contract))


def test_trading_with_oneself_is_refused(standing: Desk) -> None:
    own = standing.ask("wallet", "addresses")["ethereum"]["ETH"]
    assert standing.refused(*creating(HOT_TO_PERSON, participant_refund_to=own)).startswith("receiver: got '0x")


def test_a_secret_that_only_the_other_party_could_show_is_refused(standing: Desk) -> None:
    line = standing.refused(
        *creating(PERSON_TO_HOT, give="ETH", give_amount="1000000000000000000", get="BTC", get_amount="1000000"),
        *(f"--initiator-refund-to={PERSON_ETH}", f"--initiator-receive-at={KEY}"),
    )
    assert line.startswith("receiver: got '0279be")


@pytest.mark.parametrize("options", [HOT_TO_PERSON, PERSON_TO_HOT], ids=["bitcoin", "ethereum"])
def test_without_the_money_for_it_a_swap_is_refused_with_what_is_missing(poor: Desk, options: Options) -> None:
    line = poor.refused(*creating(options))
    assert line.startswith("not enough ")
    assert "needs" in line


def test_fees_count_when_there_is_just_the_amount(standing: Desk) -> None:
    everything = standing.ask("wallet", "balances")["balances"]["bitcoin"]["BTC"]
    assert standing.refused(*creating(HOT_TO_PERSON, give_amount=everything)).startswith("not enough BTC: this needs ")


def test_promised_money_is_not_promised_twice(desk: Desk) -> None:
    desk.create(HOT_TO_PERSON, give_amount="60000000")
    assert desk.ask("wallet", "balances")["promised"] == {"BTC": "60000000"}
    line = desk.refused(*creating(HOT_TO_PERSON, give_amount="60000000"))
    assert "60000000 of it is promised to other swaps" in line


def test_more_open_swaps_than_allowed_are_refused(desk: Desk) -> None:
    desk.create(PERSON_TO_HOT)
    line = desk.refused(*creating(PERSON_TO_HOT), SWAPD__ENTRY__OPEN_SWAPS_MAX="1")
    assert line == "1 swaps are open, and entry.open_swaps_max is 1"


@pytest.mark.parametrize("chain", ["bitcoin", "ethereum"])
def test_without_a_node_nothing_is_created(standing: Desk, chain: str) -> None:
    url = {f"SWAPD__CHAINS__{chain.upper()}__RPC_URL": "http://127.0.0.1:1"}
    line = standing.refused(*creating(HOT_TO_PERSON), **url)
    assert chain in line.lower()


@pytest.mark.parametrize("words", [["--give"], ["--initiator", "warm"], ["--no-such-option"]])
def test_a_command_line_that_makes_no_sense_names_the_option(nowhere: Desk, words: list[str]) -> None:
    result = nowhere.attempt("swap", "create", *words)
    assert result.exit_code == 2
    assert words[0] in result.stderr.splitlines()[-1]
