"""`swapd audit`: the chain of everything that was done, for who wants to believe nobody.

None of it needs the passphrase; a file and a proof are checked without any database and without any settings.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import click

from swapd.cli.context import Context, NoKey, command
from swapd.cli.options import json_option
from swapd.cli.show import print_json, say
from swapd.errors import Invalid, Rejected, SwapdError
from swapd.store import AuditEntry, AuditHead, Store
from swapd.store.audit import GENESIS, Walk
from swapd.store.codec import Json, canonical, parse
from swapd.store.proof import NotProven, check

_HEAD = re.compile("([0-9]{1,15}):([0-9a-f]{64})")
_FIELDS = ("seq", "at", "actor", "swap_id", "event", "data", "prev_hash", "hash")


class Head(click.ParamType[AuditHead]):
    """Number and hash of an entry, as `swapd audit` prints them."""

    name = "seq:hash"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> AuditHead:
        if isinstance(value, AuditHead):
            return value
        found = _HEAD.fullmatch(str(value))
        if found is None:
            field = param.name if param is not None and param.name else self.name
            raise click.ClickException(str(Invalid(field, value, "NUMBER:HASH, as `swapd audit verify` prints it")))
        return AuditHead(int(found[1]), found[2])


HEAD = Head()


@click.group()
def audit() -> None:
    """The audit chain: verify it, take a copy, check a proof."""


@audit.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--known", type=HEAD, help="An earlier end of the chain that you kept: NUMBER:HASH.")
@json_option
@command
async def verify(context: Context, file: Path | None, known: AuditHead | None, as_json: bool) -> None:
    """Follow the chain from entry to entry, in the database or in FILE, an export; exit code 1 if it does not hold.
    Prints its end, for you to keep elsewhere."""
    if file is None:
        async with _books(context) as store, store.read() as reading:
            first, head = 1, await reading.verify_audit(known or GENESIS)
    else:
        first, head = _verify_file(file, known or GENESIS)
    if as_json:
        print_json({"ok": True, "first": first, "head": {"seq": head.seq, "hash": head.hash}})
        return
    say(("holds", "green"), f" from entry {first} to {_written(head)}")


@audit.command()
@click.option("--after", type=click.IntRange(0), default=0, help="Entries behind this number alone.")
@click.option("--output", type=click.Path(path_type=Path), help="A new file; without it, standard output.")
@command
async def export(context: Context, after: int, output: Path | None) -> None:
    """Every entry as one line of JSON, with all of its fields. The chain's end is printed on standard error."""
    head = None
    with _target(output) as file:
        async with _books(context) as store, store.read() as reading:
            async for entry in reading.audit_stream(after):
                print(canonical(_line(entry)), file=file)
                head = AuditHead(entry.seq, entry.hash)
    click.echo(f"head {_written(head)}" if head else f"there is no entry behind {after}", err=True)


@audit.command("check-proof")
@click.argument("files", type=click.Path(exists=True, dir_okay=False, path_type=Path), nargs=-1, required=True)
@click.option(
    "--known", type=HEAD, help="The end of the chain that you kept: NUMBER:HASH. Without it, the proof's own."
)
@json_option
@command
async def check_proof(context: Context, files: tuple[Path, ...], known: AuditHead | None, as_json: bool) -> None:
    """Whether FILES, the pages that the API gave of a proof, show that an entry is in the chain. Nobody is asked."""
    try:
        proven = check([_page(file) for file in files], (known.seq, known.hash) if known else None)
    except NotProven as error:
        raise Rejected(f"not proven: {error}") from None
    if as_json:
        head = {"seq": proven.head[0], "hash": proven.head[1]}
        print_json({"ok": True, "seq": proven.seq, "content": json.loads(proven.content), "head": head})
        return
    say(("proven", "green"), f": entry {proven.seq} is in the chain that ends with {_written(AuditHead(*proven.head))}")
    if known is None:
        say("that end is the proof's own word: --known compares it with one that you kept")
    click.echo(proven.content)


@asynccontextmanager
async def _books(context: Context) -> AsyncIterator[Store]:
    store = await Store.open(context.settings().database.url, NoKey())
    try:
        yield store
    finally:
        await store.close()


def _verify_file(file: Path, known: AuditHead) -> tuple[int, AuditHead]:
    """Number of its first entry, and its end. What comes before the first is taken on its word."""
    walk, first = Walk(known=known), 0
    for entry in _entries(file):
        if not first:
            first = entry.seq
            walk.last = AuditHead(entry.seq - 1, entry.prev_hash) if entry.seq > 1 else GENESIS
        walk.step(entry)
    if not first:
        raise Invalid("file", str(file), "at least one entry")
    if 0 < known.seq < first:
        raise Rejected(f"{file} begins with entry {first}, behind entry {known.seq}, which you know")
    return first, walk.end(walk.last)


def _entries(file: Path) -> Iterator[AuditEntry]:
    with file.open() as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield _entry(parse(line))
            except SwapdError:
                raise Invalid("file", f"{file}, line {number}", "an entry as `swapd audit export` writes it") from None


def _entry(fields: Json) -> AuditEntry:
    if not isinstance(fields, dict) or fields.keys() != set(_FIELDS):
        raise Invalid("entry", "fields", ", ".join(_FIELDS))
    data = fields["data"]
    values: dict[str, Any] = {**fields, "data": data if isinstance(data, str) else canonical(data)}
    whole = all(type(values[name]) is int for name in ("seq", "at"))
    text = all(isinstance(values[name], str) for name in ("actor", "event", "prev_hash", "hash"))
    if not whole or not text or not isinstance(values["swap_id"], str | None):
        raise Invalid("entry", "a field of another type", "an entry")
    return AuditEntry(**values)


def _line(entry: AuditEntry) -> Json:
    """Data that somebody damaged is written as the text that it is."""
    fields: dict[str, Json] = {name: getattr(entry, name) for name in _FIELDS}
    with suppress(Invalid):
        fields["data"] = parse(entry.data)
    return fields


def _page(file: Path) -> dict[str, Any]:
    try:
        page = json.loads(file.read_text())
    except (ValueError, RecursionError):
        page = None
    if not isinstance(page, dict):
        raise Invalid("file", str(file), "a page of a proof, as the API gives it")
    return page


@contextmanager
def _target(output: Path | None) -> Iterator[IO[str]]:
    """A new file is for its owner only: the chain tells everything."""
    if output is None:
        yield sys.stdout
        return
    try:
        output.touch(mode=0o600, exist_ok=False)
        with output.open("w") as file:
            yield file
    except FileExistsError:
        raise Invalid("output", str(output), "a name that is not taken") from None
    except OSError as error:
        raise Rejected(f"{output} can not be written: {error.strerror}") from None


def _written(head: AuditHead) -> str:
    return f"{head.seq}:{head.hash}"
