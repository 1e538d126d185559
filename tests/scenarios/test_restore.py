"""An old backup is brought back, at every point of a swap and after its end: nothing is locked twice or lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from swapd.chains.base import SignedTx
from swapd.cli.backup import INDEX_LEAD
from swapd.coordinator.agree import index_floor
from swapd.devnet.party import PASSPHRASE
from swapd.protocol.status import Status
from swapd.protocol.terms import SwapTerms
from swapd.store import Owner, Store
from swapd.vault import Vault
from swapd.vault.secret import Secret
from tests.scenarios.rig import Rig
from tests.scenarios.side import Side

STATUSES = (
    Status.PROPOSED,
    Status.ACCEPTED,
    Status.INITIATOR_LOCKED,
    Status.PARTICIPANT_LOCKED,
    Status.REDEEMING,
    Status.COMPLETED,
)


async def backed_up(side: Side, name: str) -> Path:
    return (await side.house.store.backup(side.folder / f"{name}.backup")).path


async def restore(rig: Rig, side: Side, file: Path) -> None:
    """As an operator does it: the daemon is stopped, the backup brought back, the daemon started."""
    await remember_payers(rig, side)
    await side.stop()
    settings = side.settings
    with Vault.unlock(settings.vault.key_file, Secret(PASSPHRASE.encode()), settings.daemon.network) as vault:
        owner = Owner(vault.fingerprint, settings.daemon.network.value)
    aside = side.folder / f"{file.name}.aside"
    first = index_floor(rig.chains.now) + INDEX_LEAD
    await Store.restore(settings.database.url, file, owner, aside, first_index=first, replaces=True, actor="operator")
    await side.start()


async def remember_payers(rig: Rig, side: Side) -> None:
    """The books ask databases who sent what; this one is about to forget."""
    async with side.house.store.read() as reading:
        rows = (await reading.swaps()).swaps
        found = [each for row in rows for each in await reading.effects(row.id)]
    rig.books.payers |= {attempt.tx.txid: side.name for each in found for attempt in each.attempts}


def house_and_other(rig: Rig, initiates: bool) -> tuple[Side, Side]:
    return (rig.house, rig.other) if initiates else (rig.other, rig.house)


async def at_each_status(rig: Rig, terms: SwapTerms) -> dict[Status, Path]:
    """A backup of the house at each status that the swap passes through."""
    backups: dict[Status, Path] = {}
    for _ in range(20):
        status = await rig.house.status(terms.swap_id)
        if status not in backups:
            backups[status] = await backed_up(rig.house, status.value)
        if status is Status.COMPLETED:
            return backups
        await rig.block()
    raise AssertionError(f"it does not end: {list(backups)}")


@pytest.mark.parametrize("initiates", [True, False], ids=["as_initiator", "as_participant"])
async def test_s4_every_old_backup_of_a_completed_swap_comes_back_without_harm(rig: Rig, initiates: bool) -> None:
    terms = await rig.agreed(*house_and_other(rig, initiates))
    backups = await at_each_status(rig, terms)
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert {Status.INITIATOR_LOCKED, Status.PARTICIPANT_LOCKED, Status.COMPLETED} <= backups.keys()

    for status in sorted(backups, key=STATUSES.index, reverse=True):
        await restore(rig, rig.house, backups[status])
        await rig.until_over(terms.swap_id, Status.COMPLETED)
        row = await rig.house.row(terms.swap_id)
        assert row.memory.restored
        assert all(leg.view.depth >= row.terms.leg(role).confirmations for role, leg in row.legs.items())

    assert await rig.accounts_balance(locks=1) == rig.traded(*house_and_other(rig, initiates))


@pytest.mark.parametrize("initiates", [True, False], ids=["as_initiator", "as_participant"])
async def test_business_goes_on_after_an_old_backup(rig: Rig, initiates: bool) -> None:
    """Account numbers (nonces) and coins are what the chains say, hashlocks are new ones."""
    initiator, participant = house_and_other(rig, initiates)
    empty = await backed_up(rig.house, "empty")
    first = await rig.agreed(initiator, participant)
    await rig.until_over(first.swap_id, Status.COMPLETED)

    await restore(rig, rig.house, empty)
    second = await rig.agreed(initiator, participant)
    assert second.hashlock != first.hashlock, "S13"
    await rig.until_over(second.swap_id, Status.COMPLETED)

    gains = rig.traded(initiator, participant)
    twice = {name: {coin: 2 * amount for coin, amount in each.items()} for name, each in gains.items()}
    assert await rig.accounts_balance(locks=1) == twice


MIDDLES = [
    (Status.PROPOSED, Status.INITIATOR_LOCKED),
    (Status.PROPOSED, Status.PARTICIPANT_LOCKED),
    (Status.INITIATOR_LOCKED, Status.PARTICIPANT_LOCKED),
    (Status.INITIATOR_LOCKED, Status.REDEEMING),
    (Status.PARTICIPANT_LOCKED, Status.REDEEMING),
]
IN_EVERY_RUN = MIDDLES[0], MIDDLES[4]


@pytest.mark.parametrize(
    ("then", "now"),
    [
        pytest.param(a, b, id=f"{a.value}_at_{b.value}", marks=[] if (a, b) in IN_EVERY_RUN else pytest.mark.full)
        for a, b in MIDDLES
    ],
)
@pytest.mark.parametrize("initiates", [True, False], ids=["as_initiator", "as_participant"])
async def test_an_older_state_in_the_middle_of_a_swap_goes_on_to_its_end(
    rig: Rig, initiates: bool, then: Status, now: Status
) -> None:
    terms = await rig.agreed(*house_and_other(rig, initiates))
    await rig.until(rig.house, terms.swap_id, then)
    old = await backed_up(rig.house, "old")
    await rig.until(rig.house, terms.swap_id, now)

    await restore(rig, rig.house, old)

    own_is_locked = initiates or now is not Status.INITIATOR_LOCKED
    if own_is_locked:
        await rig.until_over(terms.swap_id, Status.COMPLETED)
        assert await rig.accounts_balance(locks=1) == rig.traded(*house_and_other(rig, initiates))
        return
    # swapd does not know whether it has funded its leg, and does not fund it now
    await rig.until(rig.house, terms.swap_id, Status.REFUNDING)
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance(locks=1) == rig.nothing


@pytest.mark.parametrize("comes", [True, False], ids=["comes_late", "is_lost"])
async def test_s4_a_lock_sent_after_the_backup_that_nobody_sees_is_not_made_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, comes: bool
) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    old = await backed_up(rig.house, "old")
    chain = rig.house.house.chain(terms.initiator.terms.chain)
    swallowed: list[SignedTx] = []

    async def swallow(tx: SignedTx) -> None:
        swallowed.append(tx)

    with monkeypatch.context() as patched:
        patched.setattr(chain, "broadcast", swallow)
        await rig.house.look()
    (lock,) = swallowed[:1]
    assert (await rig.house.row(terms.swap_id)).memory.lock_sent

    await restore(rig, rig.house, old)
    await rig.block(3)
    assert not await rig.house.effects(terms.swap_id), "it may still be out there"

    if comes:
        await rig.house.house.chain(terms.initiator.terms.chain).broadcast(lock)
        await rig.until_over(terms.swap_id, Status.COMPLETED)
        assert await rig.accounts_balance(locks=1) == rig.traded(rig.house, rig.other)
        return
    await rig.time_is(terms.initiator.terms.fund_by + 1)
    await rig.until_over(terms.swap_id, Status.EXPIRED)
    assert await rig.accounts_balance(locks=0) == rig.nothing
