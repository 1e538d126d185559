"""What went wrong for others, item by item, as whole swaps of swapd on real nodes. `items.py` lists the items.

Numbers after a project's name are of its own issues.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
from structlog.testing import capture_logs

from swapd.chains import endpoints
from swapd.chains.base import SightingKind, SignedTx, TxState, WatchedLeg
from swapd.cli import show
from swapd.coordinator.places import MOST_FILLED, PATIENCE
from swapd.devnet.bitcoind import to_btc
from swapd.errors import Rejected
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.store import EffectState
from tests.anchors.weather import NOTHING, behind_proxies, miners_take, one_way
from tests.chains.ethereum import proxy
from tests.scenarios.loss import heir, lose_and_recover, together
from tests.scenarios.rig import AMOUNTS, DIRECTIONS, Rig
from tests.scenarios.test_external import People
from tests.scenarios.test_hanging import revealed_but_not_mined
from tests.scenarios.test_nonces import next_nonce, stranger
from tests.scenarios.tower import watched

BTC_TO_ETH, ETH_TO_BTC = DIRECTIONS
gives_bitcoin = pytest.mark.parametrize("direction", [BTC_TO_ETH], indirect=True, ids=str)
gives_ether = pytest.mark.parametrize("direction", [ETH_TO_BTC], indirect=True, ids=str)

FULL = pytest.mark.full
HOURS = 3_600
MISSING_NONCES = 24
OUTBIDS = 300
"""Gwei: more than swapd pays for anything that is not urgent."""


# -- 1 -----------------------------------------------------------------------------------------------------------------


@gives_ether
async def test_01_a_nonce_gap_of_24_wedges_nothing_that_comes_after(rig: Rig) -> None:
    """Nonce gap: 24 missing nonces wedged everything after (boltz-backend #1201)."""
    first = await next_nonce(rig.house)
    for number in range(MISSING_NONCES):
        await stranger(rig.house, first + number)
    terms = await rig.agreed(rig.house, rig.other)
    await rig.settle()
    lock = (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts[-1].tx
    assert lock.sequence == first + MISSING_NONCES, "it stands in line behind all of them"
    await rig.chains.anvil.rpc("anvil_dropAllTransactions")
    await rig.house.restart()

    looks = PATIENCE * -(-MISSING_NONCES // MOST_FILLED) + 4
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED, blocks=looks)
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@gives_bitcoin
async def test_01_a_claim_replaced_from_outside_is_not_lost_silently(rig: Rig) -> None:
    """Replaced transactions lost silently (dcrdex #1467)."""
    terms, effect = await revealed_but_not_mined(rig)
    claim = effect.attempts[-1].tx
    assert claim.sequence is not None
    await stranger(rig.house, claim.sequence, OUTBIDS)

    await rig.block()

    attempts = (await rig.house.effects(terms.swap_id))["claim:participant"].attempts
    assert attempts[0].fate is not None
    assert attempts[0].fate.state is TxState.REPLACED, "it is known that it will never be mined"
    assert attempts[-1].tx.sequence == claim.sequence + 1, "and another one is under way"
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


# -- 2 -----------------------------------------------------------------------------------------------------------------


SCANNING = {"bitcoin": "getblock", "ethereum": "eth_getLogs"}


@pytest.mark.parametrize(
    ("direction", "restarts"),
    [
        pytest.param(BTC_TO_ETH, False, id="rpc_error_on_bitcoin"),
        pytest.param(ETH_TO_BTC, True, id="restart_on_ethereum"),
        pytest.param(BTC_TO_ETH, True, id="restart_on_bitcoin", marks=pytest.mark.full),
        pytest.param(ETH_TO_BTC, False, id="rpc_error_on_ethereum", marks=pytest.mark.full),
    ],
    indirect=["direction"],
)
async def test_02_a_confirmed_lock_is_not_missed_because_the_call_that_looks_for_it_failed(
    rig: Rig, restarts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Confirmed locks missed after a restart or an RPC error: scan cursor moved on although the call failed
    (boltz-backend #1096)."""
    monkeypatch.setattr(endpoints, "PROBE_SECONDS", 0.0)
    async with behind_proxies(rig, rig.house) as nodes:
        terms = await rig.agreed(rig.other, rig.house)
        chain = terms.initiator.terms.chain
        rig.house.asleep = True
        await rig.settle()
        before = await _cursor(rig, chain)
        nodes[chain].instead[SCANNING[chain]] = proxy.status(500)
        await rig.block(2)
        rig.house.asleep = False
        for _ in range(2):
            if restarts:
                await rig.house.restart()
            await rig.block()
            assert await _cursor(rig, chain) == before, "what was not read is read again"
            assert rig.house.daemon.watchers[chain].trouble
        assert not any(effect.attempts for effect in (await rig.house.effects(terms.swap_id)).values())

        nodes[chain].instead.clear()
        await rig.block()

        row = await rig.house.row(terms.swap_id)
        sightings = row.watched_leg(Role.INITIATOR).sightings
        assert [each.kind for each in sightings if each.block_hash] == [SightingKind.LOCK], "found in its block"
        assert await _cursor(rig, chain) > before
        await rig.until_over(terms.swap_id, Status.COMPLETED)
        assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


async def _cursor(rig: Rig, chain: str) -> int:
    async with rig.house.house.store.read() as reading:
        cursor = await reading.cursor(chain)
    assert cursor is not None
    return cursor.height


# -- 3 -----------------------------------------------------------------------------------------------------------------


@gives_ether
async def test_03_no_expiry_fires_while_the_other_sides_claim_is_pending(rig: Rig) -> None:
    """Expiry fired although a claim was pending (boltz-backend #1407). The claim of our leg waits in the mempool past
    every moment of the swap, and past our leg's timelock."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    with miners_take(rig, NOTHING):
        await rig.block()  # the last confirmation that the other waited for: it claims
        rig.other.asleep = True
        for moment in (terms.reveal_by, terms.participant.terms.timelock):
            await rig.time_is(moment + 1)
            await rig.block(2)
            row = await rig.house.row(terms.swap_id)
            view = row.legs[Role.PARTICIPANT].view
            assert (view.state, view.depth) == (LegState.CLAIMED, 0)
            assert row.status is Status.REDEEMING
        effects = await rig.house.effects(terms.swap_id)
        assert effects["claim:initiator"].state is EffectState.DONE, "the secret was used from the mempool"
        assert "refund:participant" not in effects, "and never are both legs taken"
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


@gives_ether
async def test_03_no_refund_is_sent_because_our_own_claim_is_unconfirmed(rig: Rig) -> None:
    """Refund sent because a claim was unconfirmed (komodo #774)."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    rig.other.asleep = True
    with miners_take(rig, NOTHING):
        await rig.block()
        assert (await rig.house.row(terms.swap_id)).reveal_sent
        for moment in (terms.reveal_by, terms.participant.terms.timelock):
            await rig.time_is(moment + 1)
            await rig.block(2)
            assert await rig.house.status(terms.swap_id) is Status.REDEEMING
            assert "refund:initiator" not in await rig.house.effects(terms.swap_id)
        claims = (await rig.house.effects(terms.swap_id))["claim:participant"].attempts
        assert claims[-1].tx.rate > claims[0].tx.rate, "it is the claim that is kept up"
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


# -- 4 -----------------------------------------------------------------------------------------------------------------


@gives_bitcoin
@pytest.mark.parametrize("wrong", [+50_000, -50_000], ids=["overpaid", "underpaid"])
async def test_04_over_and_underpayments_go_back_by_themselves(rig: Rig, wrong: int) -> None:
    """Over- and underpayments refunded by hand (boltz-backend #504)."""
    people = await People.met(rig)
    terms = await people.brokered()
    address = rig.house.house.chain("bitcoin").fingerprint(terms.initiator.terms)
    await rig.pay(people.alice, address, to_btc(AMOUNTS["BTC"] + wrong))
    await rig.block(3)
    (stray,) = (await rig.house.row(terms.swap_id)).legs[Role.INITIATOR].view.strays
    assert stray.amount == AMOUNTS["BTC"] + wrong

    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.EXPIRED, sides=(rig.house,))

    assert people.with_fees(await rig.accounts_balance(), people.alice) == rig.nothing


@gives_bitcoin
async def test_04_a_lock_after_the_expiry_is_not_stuck(rig: Rig) -> None:
    """Locks after expiry stuck (boltz-client #615)."""
    people = await People.met(rig)
    terms = await people.brokered()
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.EXPIRED, sides=(rig.house,))
    await rig.house.restart()

    await people.fund(people.alice, terms, Role.INITIATOR)
    await rig.block(2)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    assert people.with_fees(await rig.accounts_balance(), people.alice) == rig.nothing


# -- 5 -----------------------------------------------------------------------------------------------------------------


@gives_bitcoin
async def test_05_a_claim_that_ran_out_of_gas_is_no_success_and_is_made_again(rig: Rig) -> None:
    """Out-of-gas claim recorded as success (komodo #2175)."""
    async with behind_proxies(rig, rig.house) as nodes:
        terms = await rig.agreed(rig.house, rig.other)
        await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
        nodes["ethereum"].instead["eth_estimateGas"] = proxy.changed(lambda gas: hex(int(gas, 16) * 3 // 4))
        rig.other.asleep = True
        await rig.block()
        nodes["ethereum"].instead.clear()
        await rig.block()

        first, second = (await rig.house.effects(terms.swap_id))["claim:participant"].attempts
        assert first.fate is not None
        assert first.fate.state is TxState.FAILED
        receipt = await rig.chains.anvil.rpc("eth_getTransactionReceipt", first.tx.txid)
        sent = await rig.chains.anvil.rpc("eth_getTransactionByHash", first.tx.txid)
        assert receipt["gasUsed"] == sent["gas"], "it really used up all that it had"
        assert second.tx.sequence == (first.tx.sequence or 0) + 1
        rig.other.asleep = False
        await rig.until_over(terms.swap_id, Status.COMPLETED)
        assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


REFUSALS = {
    "already imported": {
        "eth_sendRawTransaction": proxy.error(-32000, "already imported"),
        "sendrawtransaction": proxy.error(-27, "Transaction outputs already in utxo set"),
    },
    "already known": {
        "eth_sendRawTransaction": proxy.error(-32000, "already known"),
        "sendrawtransaction": proxy.error(-26, "txn-already-in-mempool"),
    },
}


@gives_bitcoin
@pytest.mark.parametrize("words", ["already imported", pytest.param("already known", marks=FULL)])
async def test_05_already_imported_is_no_failure(rig: Rig, words: str) -> None:
    """ "Already imported" recorded as failure (komodo #491). Every broadcast of a whole swap is answered so."""
    async with behind_proxies(rig, rig.house) as nodes:
        for node in nodes.values():
            node.instead |= REFUSALS[words]
        terms = await rig.agreed(rig.other, rig.house)
        await rig.until_over(terms.swap_id, Status.COMPLETED)

        assert nodes["bitcoin"].calls["sendrawtransaction"]
        assert nodes["ethereum"].calls["eth_sendRawTransaction"]
        for effect in (await rig.house.effects(terms.swap_id)).values():
            assert (effect.state, effect.error, len(effect.attempts)) == (EffectState.DONE, "", 1)
        assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


# -- 6 -----------------------------------------------------------------------------------------------------------------


FULL_MEMPOOL = 70
"""sat/vB. More than anything bids that has time."""


@asynccontextmanager
async def full_mempool(rig: Rig) -> AsyncIterator[None]:
    """The node throws away what pays less, and takes nothing cheaper any more."""
    node = rig.chains.bitcoind
    before = node._options
    node._options = (*before, f"-minrelaytxfee={to_btc(1000 * FULL_MEMPOOL)}")
    await node.restart()
    try:
        yield
    finally:
        node._options = before
        await node.restart()


@gives_bitcoin
async def test_06_a_refund_signed_below_the_mempools_minimum_traps_nothing(rig: Rig) -> None:
    """Pre-signed fee under the mempool minimum trapped funds (xmr-btc-swap #1453)."""
    terms, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    with miners_take(rig, NOTHING):
        await rig.time_is(terms.initiator.terms.timelock + 1)
        (cheap,) = (await rig.house.effects(terms.swap_id))["refund:initiator"].attempts
        assert cheap.tx.rate < FULL_MEMPOOL
        async with full_mempool(rig):
            assert cheap.tx.txid not in await rig.chains.bitcoind.rpc("getrawmempool")
            await rig.block()
            dear = (await rig.house.effects(terms.swap_id))["refund:initiator"].attempts[-1]
            assert dear.tx.rate >= FULL_MEMPOOL
            assert await rig.chains.bitcoind.rpc("getrawmempool") == [dear.tx.txid]
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    assert await rig.accounts_balance() == rig.nothing


@gives_bitcoin
async def test_06_a_refund_signed_ahead_for_the_watchtower_has_dearer_ones_behind_it(rig: Rig) -> None:
    """The same (xmr-btc-swap #1453), where nobody is left who could sign anew."""
    async with watched(rig) as tower:
        terms, _ = await rig.offer(rig.house, rig.other)
        await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
        await rig.block(2)
        await tower.burn()
        async with full_mempool(rig):
            await tower.time_is(terms.initiator.terms.timelock + 1)
            (refund,) = await rig.chains.bitcoind.rpc("getrawmempool", True)
            assert refund in {each.tx.txid for each in tower.packet(terms.swap_id).leg(Role.INITIATOR).prepared}
            await tower.block(3)

        assert terms.swap_id not in tower.tower.standings, "over, and put away"
        assert await tower.accounts_balance() == rig.nothing


@gives_bitcoin
async def test_06_a_lock_that_is_never_mined_does_not_hang(rig: Rig) -> None:
    """Never-mined low-fee lock hangs (dcrdex #3135)."""
    terms = await rig.agreed(rig.house, rig.other)
    with miners_take(rig, NOTHING):
        await rig.settle()
        (lock,) = (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts
        await rig.time_is(terms.initiator.terms.fund_by + 10)
        assert await rig.chains.bitcoind.rpc("getrawmempool") != [lock.tx.txid], "its coins are on their way home"
    await rig.until_over(terms.swap_id, Status.EXPIRED)

    effect = (await rig.house.effects(terms.swap_id))["lock:initiator"]
    assert effect.state is EffectState.VOID
    assert effect.attempts[-1].voiding
    assert await rig.accounts_balance(locks=0) == rig.nothing


MARKET = 20
"""sat/vB that miners ask for."""

STINGY = {
    f"SWAPD__CHAINS__BITCOIN__FEE__{name}": str(value)
    for name, value in {"FLOOR_RATE": MARKET, "FALLBACK_RATE": MARKET, "CAP_SHARE": 0.001}.items()
}
"""A thousand satoshi of a million: some eight for a virtual byte."""


@gives_ether
async def test_06_a_fee_cap_does_not_block_the_claim(rig: Rig) -> None:
    """Fee cap blocked the sweep (loop #300). The cap yields to the deadline, and the operator hears of it."""
    rig.house.more |= STINGY
    await rig.house.restart()
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    with capture_logs() as logs, miners_take(rig, MARKET):
        await rig.block()
        (capped,) = (await rig.house.effects(terms.swap_id))["claim:participant"].attempts
        assert capped.tx.rate < MARKET
        await rig.chains.time_is(terms.reveal_by - 600)
        for _ in range(10):
            await rig.block()
        view = (await rig.house.row(terms.swap_id)).legs[Role.PARTICIPANT].view
        assert view.depth, "it is in a block before its deadline"
        assert rig.chains.now <= terms.reveal_by + 60
    assert {"fee.held_back_by_cap", "fee.cap_yields"} <= {entry["event"] for entry in logs}
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


# -- 7 -----------------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The end of the process, as far as swapd can tell: nothing of it catches this."""


async def test_07_a_lock_mined_two_hours_later_is_known_by_the_txid_stored_before(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """txid not stored before waiting for the receipt; it mined two hours later (athanor #443)."""
    terms = await rig.agreed(rig.house, rig.other)
    chain, gone = rig.house.house.chain(terms.initiator.terms.chain), []
    broadcast = chain.broadcast

    async def died(tx: SignedTx) -> None:
        await broadcast(tx)
        gone.append(tx)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(chain, "broadcast", died)
        with pytest.raises(Crash):
            await rig.house.look()
    await rig.house.stop()
    (lock,) = gone
    if chain.name == "ethereum":
        await rig.chains.anvil.rpc("anvil_dropTransaction", lock.txid)  # no proposer takes it yet
    with miners_take(rig, NOTHING):
        await rig.time_is(rig.chains.now + 2 * HOURS)
    if chain.name == "ethereum":
        await rig.chains.anvil.rpc("eth_sendRawTransaction", "0x" + lock.raw.hex())
    await rig.block(2)
    await rig.house.start()

    (attempt,) = (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts
    assert attempt.tx == lock, "known, and never made again"
    assert attempt.fate is not None
    if chain.name == "ethereum":
        assert attempt.fate.state is TxState.FAILED, "the contract takes no lock that late"
        await rig.until_over(terms.swap_id, Status.EXPIRED, sides=(rig.house,))
    else:
        assert attempt.fate.state is TxState.MINED
        await rig.time_is(max(rig.chains.now, terms.initiator.terms.timelock + 1))
        await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing


# -- 8 -----------------------------------------------------------------------------------------------------------------


@gives_bitcoin
async def test_08_a_data_folder_lost_in_the_middle_of_a_swap_costs_nothing(rig: Rig) -> None:
    """Data folder lost in the middle of a swap (loop #948). Seed file, database, settings and wallet are gone; words
    on paper are left."""
    wallet = await heir(rig)
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block(2)

    (found,) = await lose_and_recover(rig, rig.house, wallet)

    assert (found.terms.swap_id, found.missing) == (terms.swap_id, None)
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert together(await rig.accounts_balance()) == rig.traded(rig.other, rig.house)


@gives_bitcoin
async def test_08_a_swap_that_was_given_up_leaves_no_expired_lock_unswept(rig: Rig) -> None:
    """`abandon` left an expired HTLC unswept (loop #1074). The operator gives up while the payment is on its way."""
    people = await People.met(rig)
    terms = await people.brokered()
    rig.house.asleep = True
    await people.fund(people.alice, terms, Role.INITIATOR)
    async with rig.house.house.store.write("operator") as writing:
        await writing.cancel(terms.swap_id, "given up")
    rig.house.asleep = False
    await rig.block(2)
    await rig.house.restart()

    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    assert people.with_fees(await rig.accounts_balance(), people.alice) == rig.nothing


# -- 9 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["damaged_row", pytest.param("mistake_of_ours", marks=FULL)])
@gives_bitcoin
async def test_09_one_bad_row_keeps_no_other_swap_of_the_same_blocks_waiting(
    rig: Rig, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One unrelated row ended the loop over a block, so other confirmations waited (dcrdex, by reading)."""
    bad, good = await rig.agreed(rig.other, rig.house), await rig.agreed(rig.other, rig.house)
    for terms in (bad, good):
        await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)

    with monkeypatch.context() as patched:
        if trouble == "damaged_row":
            whole = _overwritten(rig, bad, "{")
        else:
            _views_fail(rig, bad, patched)
        await rig.until(rig.house, good.swap_id, Status.COMPLETED)
        attempts = (await rig.house.effects(good.swap_id))["claim:initiator"].attempts
        assert len(attempts) == 1, "claimed as if nothing were"
    if trouble == "damaged_row":
        _overwritten(rig, bad, whole)
    rig.chains.now += 60  # what was put off is tried again
    await rig.house.daemon.sweep()
    await rig.until_over(bad.swap_id, Status.COMPLETED)

    gains = rig.traded(rig.other, rig.house)
    twice = {name: {symbol: 2 * amount for symbol, amount in gain.items()} for name, gain in gains.items()}
    assert await rig.accounts_balance() == twice


def _overwritten(rig: Rig, terms: SwapTerms, text: str) -> str:
    """The swap's terms in the house's database, before."""
    with closing(sqlite3.connect(rig.house.database, timeout=10)) as database:
        (before,) = database.execute("select terms from swaps where id = ?", (terms.swap_id,)).fetchone()
        database.execute("update swaps set terms = ? where id = ?", (text, terms.swap_id))
        database.commit()
    return str(before)


def _views_fail(rig: Rig, terms: SwapTerms, patched: pytest.MonkeyPatch) -> None:
    """With an error that nobody foresaw, on both chains."""
    for market in rig.house.house.markets.values():
        view = market.chain.view

        async def failing(leg: WatchedLeg, view: Any = view) -> LegView:
            if leg.swap_id == terms.swap_id:
                raise ZeroDivisionError
            found: LegView = await view(leg)
            return found

        patched.setattr(market.chain, "view", failing)


# -- 10 ----------------------------------------------------------------------------------------------------------------


@one_way(BTC_TO_ETH)
async def test_10_a_refund_needs_neither_server_nor_wallet(rig: Rig) -> None:
    """Refund needs the server or the wallet (dcrdex #952). Server, wallet, database and seed burn; what refunds is a
    second machine that never had a key."""
    async with watched(rig) as tower:
        terms, _ = await rig.offer(rig.house, rig.other)
        await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
        await rig.block(2)
        await tower.burn()

        await tower.time_is(terms.initiator.terms.timelock + 1)
        await tower.block(3)

        assert await tower.accounts_balance() == rig.nothing


@one_way(ETH_TO_BTC)
async def test_10_people_see_when_the_refund_comes(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """People want to see *when* the refund comes (dcrdex #1947). And then it does come at that very moment."""
    terms, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    capsys.readouterr()
    show.print_swap(await rig.house.row(terms.swap_id), (), [], rig.chains.now)
    due = terms.initiator.terms.timelock
    said = capsys.readouterr().out
    assert f"refund to {terms.initiator.refund_to} from {show.when(due, rig.chains.now)}" in said
    told = json.loads(json.dumps(show.swap_dict(await rig.house.row(terms.swap_id))))
    assert [each["after"] for each in told["deadlines"] if each["at"]["unix"] == due] == [
        f"swapd sends it back to {terms.initiator.refund_to}, unless a claim comes first"
    ]

    await rig.time_is(due + 1)
    await rig.block()

    assert (await rig.house.row(terms.swap_id)).legs[Role.INITIATOR].view.state is LegState.REFUNDED
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing


# -- 11 ----------------------------------------------------------------------------------------------------------------


@one_way(BTC_TO_ETH)
async def test_11_fake_records_planted_in_the_database_lock_no_real_money(rig: Rig) -> None:
    """Fake records planted in a database made a solver lock real money (reported July 2026)."""
    rig.other.asleep = True
    terms = await rig.agreed(rig.other, rig.house)
    await rig.house.look()
    await rig.house.stop()
    txid, tip = secrets.token_hex(32), rig.chains.now
    with closing(sqlite3.connect(rig.house.database)) as database:
        run = database.execute
        run("update legs set state = 'locked', depth = 99, locked_once = 1 where role = 'initiator'")
        run("update swaps set status = 'initiator_locked', next_due_at = 0")
        seen = (terms.swap_id, terms.initiator.terms.chain, f"{txid}:0", txid, secrets.token_hex(32))
        run(
            "insert into sightings (swap_id, chain, role, kind, ref, txid, block_hash, height, note)"
            " values (?, ?, 'initiator', 'lock', ?, ?, ?, 1, '')",
            seen,
        )
        run(
            "insert into effects (swap_id, key, kind, role, deadline, reveals, wanted, state, error, created_at,"
            " updated_at) values (?, 'lock:participant', 'lock', 'participant', ?, 0, 1, 'wanted', '', ?, ?)",
            (terms.swap_id, terms.participant.terms.fund_by, tip, tip),
        )
        database.commit()
    await rig.house.start()

    await rig.block(4)

    row = await rig.house.row(terms.swap_id)
    assert row.legs[Role.INITIATOR].view.state is LegState.ABSENT, "the chain says so"
    assert not any(effect.attempts for effect in (await rig.house.effects(terms.swap_id)).values())
    assert await rig.accounts_balance(locks=0) == rig.nothing


# -- 12 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(0, id="clock_right", marks=FULL),
        pytest.param(5 * HOURS, id="hours_ahead"),
        pytest.param(-5 * HOURS, id="hours_behind"),
    ],
)
@gives_bitcoin
async def test_12_no_refund_is_rejected_as_non_final(rig: Rig, error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refund rejected as non-final because MTP lags (komodo #544); machine clock off (komodo #1437)."""
    terms, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.house.clock_error = error
    chain, refused = rig.house.house.chain("bitcoin"), list[str]()
    draft = chain.draft

    async def drafted(*how: Any) -> Any:
        try:
            return await draft(*how)
        except Rejected as why:
            refused.append(str(why))
            raise

    monkeypatch.setattr(chain, "draft", drafted)
    timelock = terms.initiator.terms.timelock
    rig.chains.now = timelock + 2 * HOURS  # every clock is long past it, and the median of eleven blocks is not
    await rig.block()
    lagging = 1
    while (await chain.clock()).time < timelock:
        assert "refund:initiator" not in await rig.house.effects(terms.swap_id)
        await rig.block()
        lagging += 1

    assert lagging > 4, "the median did lag"
    (refund,) = (await rig.house.effects(terms.swap_id))["refund:initiator"].attempts
    assert refund.sent_at is not None
    assert not refused
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing
