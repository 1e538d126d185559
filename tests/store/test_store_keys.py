"""Keys and nonces, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from store_samples import AesSealer, RawSql

from swapd.errors import Rejected
from swapd.store import DamagedRow, KeyRole, KeyState, NotHere, Proof, Store

ONE, TWO = Proof(b"1" * 32, b"a" * 32), Proof(b"2" * 32, b"b" * 32)
HOUR = 3_600


async def issue(store: Store, name: str = "shop", key_id: str = "0" * 16, **more: object) -> None:
    async with store.write("operator") as writing:
        await writing.issue_key(key_id, name, KeyRole.MARKETPLACE, ONE, **more)  # type: ignore[arg-type]


async def test_a_key_comes_back_as_it_was_written(store: Store) -> None:
    async with store.write("operator") as writing:
        made = await writing.issue_key(
            *("0" * 16, "shop", KeyRole.MARKETPLACE, ONE), chains=("a", "b"), rate=5, signed=True, expires_in=HOUR
        )
    async with store.read() as reading:
        assert await reading.find_key("0" * 16) == await reading.key("shop") == made
        assert await reading.keys() == [made]
        assert await reading.find_key("1" * 16) is None
        with pytest.raises(NotHere):
            await reading.key("nobody")
    assert made.state(made.created_at) is KeyState.ACTIVE
    assert made.state(made.created_at + HOUR) is KeyState.EXPIRED
    assert "1111" not in repr(made)


async def test_of_two_who_take_a_name_at_once_one_has_it(store: Store) -> None:
    done = await asyncio.gather(*(issue(store, key_id=f"{n:016x}") for n in range(4)), return_exceptions=True)
    assert sum(each is None for each in done) == 1
    assert {type(each) for each in done if each is not None} == {Rejected}


async def test_rotations_at_once_come_one_after_the_other(store: Store) -> None:
    await issue(store)

    async def rotate(proof: Proof) -> None:
        async with store.write() as writing:
            await writing.rotate_key("shop", proof, grace=HOUR)

    await asyncio.gather(rotate(TWO), rotate(Proof(b"3" * 32, b"c" * 32)))
    async with store.read() as reading:
        row = await reading.key("shop")
    assert row.previous is not None
    assert {row.proof.digest, row.previous.digest} == {b"2" * 32, b"3" * 32}


@pytest.mark.parametrize(
    "change",
    [
        "role = 'admin'",
        "name = 'other'",
        "chains = '[]'",
        "rate = 1000000",
        "expires_at = NULL",
        "revoked_at = NULL",
        "previous_until = 99999999999",
        "id = '1111111111111111'",
        "created_at = 1",
    ],
)
async def test_a_row_that_somebody_changed_is_nobodys(store: Store, raw_sql: RawSql, change: str) -> None:
    await issue(store, chains=("a",), rate=5, expires_in=HOUR)
    async with store.write() as writing:
        await writing.revoke_key("shop")
    await raw_sql.run(f"UPDATE api_keys SET {change}")  # noqa: S608 - of the list above
    async with store.read() as reading:
        with pytest.raises(DamagedRow):
            await reading.keys()


async def test_a_key_of_another_seed_is_nobodys(store: Store, url: str) -> None:
    await issue(store)
    other = await Store.open(url, AesSealer(b"x" * 32))
    async with other.read() as reading:
        with pytest.raises(DamagedRow):
            await reading.key("shop")
    await other.close()


async def test_the_last_use_never_goes_back(store: Store) -> None:
    await issue(store)
    for at in (100, 50):
        async with store.write() as writing:
            await writing.note_use({"0" * 16: at, "1" * 16: at})
    async with store.read() as reading:
        assert (await reading.key("shop")).used_at == 100


async def test_a_nonce_is_spent_once_by_whoever_comes_first(store: Store) -> None:
    async def spend() -> bool:
        async with store.write() as writing:
            return await writing.spend_nonce("0" * 16, "nonce", until=200, now=100)

    assert sorted(await asyncio.gather(*(spend() for _ in range(4)))) == [False, False, False, True]


async def test_nonces_that_are_too_old_are_forgotten(store: Store) -> None:
    async with store.write() as writing:
        assert await writing.spend_nonce("0" * 16, "nonce", until=200, now=100)
        assert not await writing.spend_nonce("0" * 16, "nonce", until=200, now=200)
        assert await writing.spend_nonce("0" * 16, "nonce", until=300, now=201)


async def test_keys_say_what_was_done_in_the_audit_chain(store: Store) -> None:
    await issue(store)
    async with store.write("admin:root") as writing:
        await writing.rotate_key("shop", TWO, grace=0)
        await writing.revoke_key("shop")
        await writing.revoke_key("shop")
    async with store.read() as reading:
        trail = await reading.audit_trail()
    assert [entry.event for entry in trail] == ["key issued", "key rotated", "key revoked"]
    assert not any(each in entry.data for entry in trail for each in (ONE.digest.hex(), ONE.signing.hex()))
