"""That an entry is in the chain, shown to who has a head and SHA-256 and nothing else."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from store_samples import RawSql

from swapd.store import NotHere, Store, audit, proof
from swapd.store.events import Proof
from swapd.store.proof import NotProven, check


async def fill(store: Store, count: int = 7) -> None:
    for number in range(count):
        async with store.write("someone") as tx:
            tx.audit("something", None, number=number, words=["ä", None, True])


def page(found: Proof) -> dict[str, Any]:
    """As the API gives it."""
    return {
        "content": found.text,
        "prev_hash": found.entry.prev_hash,
        "steps": list(found.steps),
        "after": found.after,
        "next": found.next,
        "head": {"seq": found.head.seq, "hash": found.head.hash},
    }


async def pages(store: Store, seq: int, head: int | None = None, limit: int = 1000) -> list[dict[str, Any]]:
    found, after = [], None
    async with store.read() as tx:
        while True:
            each = await tx.audit_proof(seq, head=head, after=after, limit=limit)
            found.append(page(each))
            if each.next is None:
                return found
            after = each.next


async def head_of(store: Store) -> tuple[int, str]:
    async with store.read() as tx:
        head = await tx.audit_head()
    return head.seq, head.hash


async def test_every_entry_is_proven_against_a_head_that_was_kept(store: Store) -> None:
    await fill(store)
    kept = await head_of(store)
    await fill(store, 3)
    for seq in range(1, 8):
        proven = check(await pages(store, seq, head=7), kept)
        assert json.loads(proven.content)["data"]["number"] == seq - 1
        assert (proven.seq, proven.head) == (seq, kept)
    assert check(await pages(store, 2)).head == await head_of(store)


async def test_the_proof_of_an_entry_does_not_tell_what_others_say(store: Store) -> None:
    await fill(store, 1)
    async with store.write("someone") as tx:
        tx.audit("something", None, words="for nobody else")
    assert "nobody else" not in json.dumps(await pages(store, 1))


async def test_it_is_plain_sha256_as_the_docs_say(store: Store) -> None:
    """Without any code of ours: as with sha256sum in a shell."""
    await fill(store, 3)
    (it,) = await pages(store, 2)
    last = hashlib.sha256((it["prev_hash"] + hashlib.sha256(it["content"].encode()).hexdigest()).encode()).hexdigest()
    for step in it["steps"]:
        last = hashlib.sha256((last + step).encode()).hexdigest()
    assert last == (await head_of(store))[1]


async def test_a_long_proof_comes_in_pages(store: Store) -> None:
    await fill(store)
    parts = await pages(store, 2, limit=2)
    assert [len(part["steps"]) for part in parts] == [2, 2, 1]
    assert check(parts, await head_of(store)).seq == 2
    for wrong in (parts[:2], parts[1:], [parts[0], parts[2], parts[1]], [], [{}], [parts[0], {}, parts[2]]):
        with pytest.raises(NotProven):
            check(wrong, await head_of(store))


async def test_whatever_is_changed_is_found(store: Store) -> None:
    await fill(store)
    kept, (good,) = await head_of(store), await pages(store, 3)
    changed = [
        {"content": good["content"].replace('"number":2', '"number":3')},
        {"content": good["content"].replace('"seq":3', '"seq":4')},
        {"content": "no json"},
        {"content": "[]"},
        {"prev_hash": "0" * 64},
        {"prev_hash": "ä" * 64},
        {"steps": good["steps"][:-1]},
        {"steps": [*good["steps"], "0" * 64]},
        {"steps": [*good["steps"][:-1], "0" * 63]},
        {"steps": [*good["steps"][:-1], {"text": good["content"]}]},
        {"steps": good["steps"][::-1]},
        {"steps": "x"},
        {"after": 4},
    ]
    for change in changed:
        with pytest.raises(NotProven):
            check([good | change], kept)
    with pytest.raises(NotProven):
        check([good], (7, "0" * 64))
    with pytest.raises(NotProven):
        check([good], (8, kept[1]))


async def test_entries_from_before_there_were_proofs_hold_and_are_proven_too(
    store: Store, raw_sql: RawSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old(seq: int, at: int, actor: str, swap_id: str | None, event: str, data: Any, prev_hash: str) -> str:
        fields = {"seq": seq, "at": at, "actor": actor, "swap_id": swap_id, "event": event, "data": data}
        return hashlib.sha256(audit.canonical({**fields, "prev_hash": prev_hash}).encode()).hexdigest()

    with monkeypatch.context() as patch:
        patch.setattr(audit, "entry_hash", old)
        await fill(store, 3)
    await fill(store, 3)
    async with store.read() as tx:
        await tx.verify_audit()
    for seq in range(1, 7):
        assert check(await pages(store, seq, limit=2), await head_of(store)).seq == seq


@pytest.mark.parametrize(
    ("seq", "head", "after"), [(0, None, None), (8, None, None), (3, 2, None), (3, 8, None), (3, 5, 6), (3, 5, 2)]
)
async def test_numbers_that_are_not_in_the_chain_are_not_here(
    store: Store, seq: int, head: int | None, after: int | None
) -> None:
    await fill(store)
    async with store.read() as tx:
        with pytest.raises(NotHere):
            await tx.audit_proof(seq, head=head, after=after)


def test_the_checker_can_be_copied_to_who_has_no_swapd() -> None:
    tree = ast.parse(Path(proof.__file__).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
