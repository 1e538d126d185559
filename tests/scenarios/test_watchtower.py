"""The first machine burns with seed and database, and a tower that has nothing but packets finishes its swaps.

On real nodes, with all money counted at the end.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from swapd.devnet.icp_world import IcpWorld
from swapd.devnet.money import Account
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from swapd.vault import KeyPurpose, Vault, derivation
from swapd.vault.throwaway import throwaway_vault
from swapd.watchtower import folder, report
from tests.scenarios.chains import Chains
from tests.scenarios.rig import DIRECTIONS, PAIRS, Direction, new_rig
from tests.scenarios.tower import GAS, Watched, new_tower, watched

GRACE = 900
BTC_TO_ETH, ETH_TO_BTC = DIRECTIONS


def sample(*chosen: Direction) -> Any:
    """These pairs in every run, and all six with `-m full`."""
    pairs = [pair if pair in chosen else pytest.param(pair, marks=pytest.mark.full) for pair in PAIRS]
    return pytest.mark.parametrize("direction", pairs, indirect=True, ids=str)


def only(direction: Direction) -> Any:
    return pytest.mark.parametrize("direction", [direction], indirect=True, ids=str)


@pytest.fixture
async def three(chains: Chains, world: IcpWorld, direction: Direction, tmp_path: Path) -> AsyncIterator[Watched]:
    """On three chains."""
    async with new_rig(chains, direction, tmp_path, world) as rig, watched(rig) as made:
        yield made


@pytest.fixture
async def two(chains: Chains, direction: Direction, tmp_path: Path) -> AsyncIterator[Watched]:
    """On two."""
    async with new_rig(chains, direction, tmp_path) as rig, watched(rig) as made:
        yield made


# -- the first machine burns: each of the six pairs in one of the first two tests, and all of them with `full`


@sample(Direction("BTC", "ETH"), Direction("ETH", "ICP"), Direction("ICP", "BTC"))
async def test_s6_the_tower_claims_with_the_public_secret_when_the_first_machine_burned(three: Watched) -> None:
    terms = await three.both_locked(house_first=False)
    await three.burn()
    await three.block(2)
    assert not three.tower.standings[terms.swap_id].errands, "nothing is due, and no secret is known"

    await three.reveal(terms)
    await three.block(3)

    three.rig.other.asleep = False
    await three.block(2)
    assert await three.rig.other.status(terms.swap_id) is Status.COMPLETED
    assert terms.swap_id not in three.tower.standings, "over, and put away"
    assert await three.accounts_balance() == three.rig.nothing | three.rig.traded(three.rig.other, three.rig.house)


@sample(Direction("ETH", "BTC"), Direction("ICP", "ETH"), Direction("BTC", "ICP"))
async def test_s5_the_tower_refunds_at_the_timelock_when_the_first_machine_burned(three: Watched) -> None:
    terms = await three.both_locked(house_first=False)
    await three.burn()
    await three.rig.chains.time_is(terms.participant.terms.timelock - 60)
    await three.tower.look()
    assert not three.tower.standings[terms.swap_id].errands, "not before its time"

    await three.time_is(terms.participant.terms.timelock + 1)
    await three.block(3)

    views = three.tower.standings[terms.swap_id].views
    assert views[Role.PARTICIPANT].state is LegState.REFUNDED, "the house has its money back"
    assert views[Role.INITIATOR].state is LegState.LOCKED
    three.rig.other.asleep = False
    await three.time_is(terms.initiator.terms.timelock + 1)
    await three.block(3)
    assert await three.rig.other.status(terms.swap_id) is Status.REFUNDED
    assert await three.accounts_balance() == three.rig.nothing


@sample()
async def test_s5_the_initiators_leg_comes_back_too(three: Watched) -> None:
    terms = await three.both_locked(house_first=True)
    await three.burn()

    await three.time_is(terms.participant.terms.timelock + 1)
    await three.block(3)
    assert three.tower.standings[terms.swap_id].views[Role.INITIATOR].state is LegState.LOCKED, "not due yet"
    await three.time_is(terms.initiator.terms.timelock + 1)
    await three.block(3)

    assert await three.rig.other.status(terms.swap_id) is Status.REFUNDED
    assert await three.accounts_balance() == three.rig.nothing


@only(ETH_TO_BTC)
async def test_s6_a_claim_of_ours_that_only_a_mempool_had_is_carried_on(two: Watched) -> None:
    """The house has shown its secret, and its claim is in no block: it burned, and its node forgot the claim."""
    terms = await two.rig.agreed(two.rig.house, two.rig.other)
    await two.rig.until(two.rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    two.rig.other.asleep = True
    await two.rig.until(two.rig.house, terms.swap_id, Status.REDEEMING)
    await two.rig.house.look()  # its own claim in the mempool: the secret is public, and the packet says so
    claim = (await two.rig.house.effects(terms.swap_id))["claim:participant"].attempts[-1].tx
    assert two.packet(terms.swap_id).known.preimage is not None
    await two.burn()
    await _evict(two, claim.txid)

    await two.tower.look()
    assert await two.rig.chains.bitcoind.rpc("getrawmempool"), "the tower's, signed ahead"
    await two.block(3)

    two.rig.other.asleep = False
    await two.block(2)
    assert await two.rig.other.status(terms.swap_id) is Status.COMPLETED
    await two.rig.chains.bitcoind.rpc("loadwallet", two.rig.house.wallet)
    assert await two.accounts_balance() == two.rig.nothing | two.rig.traded(two.rig.house, two.rig.other)


# -- fees, grace, reorgs, company


@only(BTC_TO_ETH)
async def test_s5_a_refund_signed_ahead_is_replaced_by_a_dearer_one_as_its_time_runs_out(two: Watched) -> None:
    terms = await _locked_alone(two)
    await two.burn()
    await two.time_is(terms.initiator.terms.timelock + 1)
    (first,) = await two.rig.chains.bitcoind.rpc("getrawmempool")
    await two.tower.look()
    assert await two.rig.chains.bitcoind.rpc("getrawmempool") == [first], "good enough"

    two.rig.chains.now += terms.initiator.terms.timelock - terms.participant.terms.timelock  # and no block comes
    await two.tower.look()

    (second,) = await two.rig.chains.bitcoind.rpc("getrawmempool")
    rates = {each.tx.txid: each.tx.rate for each in two.packet(terms.swap_id).initiator.prepared}
    assert rates[second] > rates[first]
    await two.block(3)
    assert await two.accounts_balance() == two.rig.nothing


@only(ETH_TO_BTC)
async def test_a_daemon_that_is_well_is_not_raced(two: Watched) -> None:
    two.tower.grace = GRACE
    with capture_logs() as logs:
        completed = await two.rig.agreed(two.rig.house, two.rig.other)
        for _ in range(12):
            await two.block()
        alone = await _locked_alone(two)
        await two.time_is(alone.initiator.terms.timelock + 1)
        await two.block(3)

    assert await two.rig.house.status(completed.swap_id) is Status.COMPLETED
    assert await two.rig.house.status(alone.swap_id) is Status.REFUNDED
    assert not [line for line in logs if line["event"] == "watchtower.sent"]
    assert not two.known_packets(), "what is over has no packet"
    assert not two.tower.standings
    gas = await two.rig.chains.anvil.rpc("eth_getBalance", two.vault.ethereum_address, "latest")
    assert int(gas, 16) == GAS
    assert await two.accounts_balance() == two.rig.nothing | two.rig.traded(two.rig.house, two.rig.other)


@only(ETH_TO_BTC)
async def test_s5_after_the_grace_the_tower_does_what_is_due(two: Watched) -> None:
    two.tower.grace = GRACE
    alone = await _locked_alone(two)
    await two.burn()
    await two.time_is(alone.initiator.terms.timelock + 1)
    await two.block(3)
    assert two.tower.standings[alone.swap_id].views[Role.INITIATOR].state is LegState.LOCKED

    await two.time_is(alone.initiator.terms.timelock + 1 + GRACE)
    await two.restart()
    await two.block(3)

    assert not two.tower.standings, "over, though a tower began anew in between"
    assert await two.accounts_balance() == two.rig.nothing


@only(BTC_TO_ETH)
async def test_s7_a_lock_that_a_reorg_put_elsewhere_gets_a_new_packet_and_an_old_one_says_that_it_is_old(
    two: Watched, tmp_path: Path
) -> None:
    terms = await _locked_alone(two)
    old = two.packet(terms.swap_id)
    assert {each.kind for each in old.initiator.prepared} == {EffectKind.REFUND}
    folder.write(tmp_path / "stale", old)
    await _relock(two, terms)
    await two.rig.block(2)

    new = two.packet(terms.swap_id)
    (row,) = [await two.rig.house.row(terms.swap_id)]
    moved = row.legs[Role.INITIATOR].view.lock_ref
    assert moved in {each.ref for each in new.initiator.prepared} - {each.ref for each in old.initiator.prepared}
    await two.burn()
    stale = new_tower(two.rig, tmp_path / "stale", tmp_path / "stale-home", two.vault)
    two.more.append(stale)
    await stale.look(act=False)
    said = [words for ok, words in report.lines(stale.standings[terms.swap_id], stale.chains, has_gas=True) if not ok]
    assert "newer packet" in " ".join(said)

    await two.rig.chains.time_is(terms.initiator.terms.timelock + 1)
    await stale.look()
    assert "newer packet" in stale.troubles[f"{terms.swap_id} refund:initiator"]
    await two.tower.look()
    await two.block(3)
    assert not two.tower.standings
    assert await two.accounts_balance() == two.rig.nothing


@only(ETH_TO_BTC)
async def test_two_towers_at_once_do_no_harm(two: Watched, tmp_path: Path) -> None:
    gas = throwaway_vault(tmp_path / "second.key", two.rig.house.settings.daemon.network)
    two.more.append(new_tower(two.rig, two.packets, tmp_path / "second", gas))
    wallet = await two.rig.chains.bitcoind.create_wallet(f"second-{secrets.token_hex(4)}")
    two.rig.books.accounts.append(Account("second", {"bitcoin": wallet, "ethereum": gas.ethereum_address}))
    await two.rig.chains.anvil.set_balance(gas.ethereum_address, GAS)
    await two.rig.books.open()
    claimed = await two.both_locked(house_first=False)
    await two.burn()

    await two.reveal(claimed)  # on Bitcoin; both towers claim on Ethereum
    await two.block(4)

    assert not two.tower.standings
    assert not two.more[0].standings
    two.rig.other.asleep = False
    await two.block(2)
    assert await two.accounts_balance() == two.rig.nothing | two.rig.traded(two.rig.other, two.rig.house)


@pytest.mark.full
@only(BTC_TO_ETH)
async def test_s8_a_node_that_is_away_keeps_nothing_from_the_other_chain(two: Watched) -> None:
    terms = await two.both_locked(house_first=False)
    await two.burn()
    await two.tower.close()
    two.tower = new_tower(two.rig, two.packets, two.home, two.vault, away="bitcoin")
    await two.time_is(terms.participant.terms.timelock + 1)
    await two.block(2)

    standing = two.tower.standings[terms.swap_id]
    assert standing.views[Role.INITIATOR].state is LegState.UNKNOWN
    assert standing.views[Role.PARTICIPANT].state is LegState.REFUNDED
    two.rig.other.asleep = False
    await two.rig.time_is(terms.initiator.terms.timelock + 1)
    await two.rig.block(3)
    assert await two.accounts_balance() == two.rig.nothing


@only(ETH_TO_BTC)
async def test_s5_without_a_gas_account_anybody_can_send_what_the_tower_says(two: Watched) -> None:
    alone = await _locked_alone(two)
    await two.burn()
    await two.tower.close()
    two.tower = new_tower(two.rig, two.packets, two.home, two.vault, has_gas=False)
    await two.time_is(alone.initiator.terms.timelock + 1)

    said = two.tower.troubles[f"{alone.swap_id} refund:initiator"]
    found = re.search(r"to (0x\w{40}) on chain \d+, value 0 wei, data (0x\w+)", said)
    assert found
    await two.rig.call(two.rig.account(two.rig.other), found[1], 0, found[2])
    await two.block(3)

    assert not two.tower.standings
    assert await two.accounts_balance() == two.rig.nothing


# -- what a packet holds


@only(BTC_TO_ETH)
async def test_s9_a_packet_holds_no_secret_and_no_key(two: Watched) -> None:
    terms = await two.both_locked(house_first=True)
    vault = two.rig.house.house.secrets
    assert isinstance(vault, Vault)

    text = folder.path_of(two.packets, terms.swap_id).read_text()

    assert two.packet(terms.swap_id).initiator.prepared, "refunds that were signed ahead"
    for secret in _secrets_of(vault, terms.index):
        assert secret.hex() not in text.lower()
    two.rig.house.asleep = False
    await two.rig.until_over(terms.swap_id, Status.COMPLETED)
    assert not folder.path_of(two.packets, terms.swap_id).exists()
    assert await two.accounts_balance() == two.rig.nothing | two.rig.traded(two.rig.house, two.rig.other)


@only(BTC_TO_ETH)
async def test_a_folder_that_can_not_be_written_stops_nothing_and_is_told(two: Watched) -> None:
    two.packets.write_text("in the way")

    terms = await two.rig.agreed(two.rig.house, two.rig.other)
    await two.rig.until(two.rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    assert terms.swap_id in two.keeper.trouble

    two.packets.unlink()
    await two.rig.block()
    assert not two.keeper.trouble
    assert two.packet(terms.swap_id).initiator.prepared
    await two.rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await two.accounts_balance() == two.rig.nothing | two.rig.traded(two.rig.house, two.rig.other)


# -- helpers


async def _locked_alone(two: Watched) -> SwapTerms:
    """The house has funded its leg, and nobody takes up the other."""
    terms, _ = await two.rig.offer(two.rig.house, two.rig.other)
    await two.rig.until(two.rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await two.rig.block(2)
    return terms


async def _evict(two: Watched, txid: str) -> None:
    """The node has never heard of this transaction: it starts anew, without its mempool, and without the wallet that
    would bring it there again."""
    node = two.rig.chains.bitcoind
    await node.rpc("unloadwallet", two.rig.house.wallet, False)
    await node.process.stop()
    (node.folder / "regtest" / "mempool.dat").unlink(missing_ok=True)
    await node.start()
    assert txid not in await node.rpc("getrawmempool")


async def _relock(two: Watched, terms: SwapTerms) -> None:
    """A reorg takes the lock's block, and whoever has the wallet pays more for it: it comes back as another one."""
    node, house = two.rig.chains.bitcoind, two.rig.house
    lock = (await house.effects(terms.swap_id))["lock:initiator"].attempts[-1].tx
    found = await node.rpc("gettransaction", lock.txid, wallet=house.wallet)
    await node.invalidate(found["blockhash"])
    bumped = await node.rpc("bumpfee", lock.txid, {"fee_rate": 50}, wallet=house.wallet)
    two.rig.books.payers[bumped["txid"]] = house.name
    for _ in range(found["confirmations"] + 1):
        await two.rig.chains.blocks()


def _secrets_of(vault: Vault, index: int) -> Iterator[bytes]:
    yield vault.preimage(index)
    yield vault._seed.reveal()
    for purpose in (KeyPurpose.CLAIM, KeyPurpose.REFUND):
        yield vault._bitcoin_key(index, purpose).reveal()
    yield derivation.private_key(vault._tree_seed, derivation.ETHEREUM_PATH).reveal()
