"""`swapd backup` and `swapd restore`: the database as one file, and back without danger."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from swapd.cli.context import Context, NoKey, command, open_vault
from swapd.cli.options import json_option
from swapd.cli.run import alone_in
from swapd.cli.show import moment, print_json, say
from swapd.coordinator.agree import index_floor
from swapd.errors import Invalid
from swapd.settings import Settings
from swapd.store import Backup, Owner, Restored, Store

ACTOR = "operator"

INDEX_LEAD = 4_320
"""How far new indexes begin ahead of the clock after a restore: what the counter may have been ahead by before, in a
burst of swaps or reserved keys, is not known. Half of what `recover` looks for."""


@click.command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@json_option
@command
async def backup(context: Context, target: Path, as_json: bool) -> int:
    """Write the database as it is at this moment into FILE, beside a running daemon, and check what was written. FILE
    must not exist; if it is a folder, the file is named by network and time. The passphrase is not needed."""
    settings = context.settings()
    target = _file_in(target, settings)
    store = await Store.open(settings.database.url, NoKey())
    try:
        made = await store.backup(target)
    finally:
        await store.close()
    if as_json:
        print_json(_as_dict(made))
        return 1 if made.trouble else 0
    say(f"backup {made.path}")
    _tell(made)
    say(
        "keep with it: the 24 words on paper, or the key file with its passphrase: they are NOT in it, and without them"
    )
    say("              it opens nothing; the configuration; the node's own backup of swapd's bitcoin wallet")
    say(f"bring it back: stop swapd, then `swapd restore {made.path}`, never by copying the file")
    if made.trouble:
        say(("bad ", "red"), f"the audit chain does not hold, in the database as in the backup: {made.trouble}")
    return 1 if made.trouble else 0


@click.command()
@click.argument("source", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
@click.option("--replace", "replaces", is_flag=True, help="Put the database that is there aside, whole.")
@click.option(
    "--in-place", is_flag=True, help="No FILE: the database was brought back by other means, and is only marked so."
)
@json_option
@command
async def restore(context: Context, source: Path | None, replaces: bool, in_place: bool, as_json: bool) -> None:
    """Make the database what it was in FILE, a backup, and mark its swaps: what was sent for them since is not known.
    They never get a new lock; claims and refunds go on. No swapd may be running with this seed."""
    settings = context.settings()
    if (source is None) is not in_place or (in_place and replaces):
        raise Invalid("FILE", None if source is None else str(source), "a backup, or --in-place alone")
    with await open_vault(settings) as vault, alone_in(settings.daemon.data_dir):
        if source is None:
            store = await Store.open(settings.database.url, vault)
            try:
                open_swaps = await store.mark_restored(_first_index(), ACTOR)
            finally:
                await store.close()
            say(f"the database is marked as restored; {open_swaps} of its swaps had not ended")
            _next_steps(settings)
            return
        owner = Owner(vault.fingerprint, settings.daemon.network.value)
        aside = settings.daemon.data_dir / f"swapd.db.before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        done = await Store.restore(
            *(settings.database.url, source, owner, aside),
            first_index=_first_index(),
            replaces=replaces,
            actor=ACTOR,
        )
        store = await Store.open(settings.database.url, vault)
        try:
            async with store.read() as reading:
                damaged = [str(each) for each in (await reading.open_swaps()).damaged]
        finally:
            await store.close()
    if as_json:
        print_json(_restored_dict(done, damaged))
        return
    say(f"restored {done.backup.path}")
    _tell(done.backup)
    if done.aside is not None:
        say(f"the database that was there: {done.aside}")
    say(f"{done.open_swaps} of its swaps had not ended. None of them gets a new lock; claims and refunds go on")
    for each in damaged:
        say(("bad ", "red"), each)
    _next_steps(settings)


def _file_in(target: Path, settings: Settings) -> Path:
    """The target itself, or a name in it if it is a folder."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return target / f"swapd-{settings.daemon.network.value}-{stamp}.db" if target.is_dir() else target


def _first_index() -> int:
    return index_floor(int(time.time())) + INDEX_LEAD


def _next_steps(settings: Settings) -> None:
    say("next: `swapd recover --from-seed` finds the swaps that are younger than the backup; then `swapd doctor` and")
    say("      `swapd run`. Make sure that nowhere else a swapd runs with this seed. Keys of the API that were revoked")
    say("      since the backup are open again: `swapd keys list`")


def _tell(found: Backup) -> None:
    rows = found.rows
    age = max(0, int(time.time()) - found.taken_at)
    say(f"  of {moment(found.taken_at)} ({age // 60} min ago)")
    say(f"  seed {found.seed}, {found.network}, schema {found.schema}")
    say(f"  {rows.get('swaps', 0)} swaps, {rows.get('transactions', 0)} transactions; audit chain to {found.audit.seq}")
    say(f"  audit head {found.audit.hash}")


def _as_dict(found: Backup) -> dict[str, object]:
    return {
        "file": str(found.path),
        "taken_at": {"unix": found.taken_at, "utc": moment(found.taken_at)},
        "seed": found.seed,
        "network": found.network,
        "schema": found.schema,
        "rows": dict(found.rows),
        "audit_head": {"seq": found.audit.seq, "hash": found.audit.hash},
        "trouble": found.trouble,
    }


def _restored_dict(done: Restored, damaged: list[str]) -> dict[str, object]:
    return {
        "backup": _as_dict(done.backup),
        "aside": None if done.aside is None else str(done.aside),
        "open_swaps": done.open_swaps,
        "damaged": damaged,
    }
