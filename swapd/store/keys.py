"""Keys of the API: who may ask for what, until when, and what checks their secrets.

A secret itself never comes here. `Proof.digest` tells whether somebody has it; `Proof.signing` checks signatures made
with it, and is sealed, because whoever knows it can sign too. Every row is sealed whole: who can write to the database,
but has no seed, makes no key and gives none more rights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import RowMapping, delete, or_, select, update

from swapd.errors import Rejected, SwapdError
from swapd.store import models as m
from swapd.store.asking import Asking
from swapd.store.clock import unix_now
from swapd.store.codec import Json, canonical, loads
from swapd.store.errors import DamagedRow, NotHere
from swapd.store.sealing import Sealer, seal, unseal
from swapd.store.writing import Writing


class KeyRole(StrEnum):
    """What a key is for; see docs/api-keys.md for what each may do."""

    MARKETPLACE = "marketplace"
    OPERATOR = "operator"
    DISPUTE = "dispute"
    AUDITOR = "auditor"
    ADMIN = "admin"


class KeyState(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Proof:
    """What checks a secret. digest: its SHA-256. signing: the key of its HMAC signatures. 32 bytes each."""

    digest: bytes = field(repr=False)
    signing: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyRow:
    """A key. name: of its holder, for ever. chains: those it may use; none means all. rate: requests a minute, None for
    what the settings say. signed: every request must bear a signature. previous: of the secret before the last
    rotation, good until `previous_until`. All times are Unix seconds."""

    id: str
    name: str
    role: KeyRole
    chains: tuple[str, ...]
    rate: int | None
    signed: bool
    proof: Proof
    previous: Proof | None
    previous_until: int
    created_at: int
    rotated_at: int | None
    expires_at: int | None
    revoked_at: int | None
    used_at: int | None = None

    def state(self, now: int) -> KeyState:
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyState.EXPIRED
        return KeyState.ACTIVE


class KeyReading(Asking):
    async def find_key(self, key_id: str) -> KeyRow | None:
        """Raises `DamagedRow` for one that swapd did not write."""
        row = await self._one(select(m.ApiKey.__table__).where(m.ApiKey.id == key_id))
        return None if row is None else to_key(row, self._sealer)

    async def key(self, key: str) -> KeyRow:
        """By id or by name. Raises `NotHere`."""
        row = await self._one(select(m.ApiKey.__table__).where(or_(m.ApiKey.id == key, m.ApiKey.name == key)))
        if row is None:
            raise NotHere("key", key, "the id or the name of a key in this database")
        return to_key(row, self._sealer)

    async def keys(self) -> list[KeyRow]:
        """All that there ever were, oldest first."""
        rows = await self._all(select(m.ApiKey.__table__).order_by(m.ApiKey.created_at, m.ApiKey.id))
        return [to_key(row, self._sealer) for row in rows]


class KeyWriting(Writing, KeyReading):
    async def issue_key(
        self,
        key_id: str,
        name: str,
        role: KeyRole,
        proof: Proof,
        *,
        chains: tuple[str, ...] = (),
        rate: int | None = None,
        signed: bool = False,
        expires_in: int | None = None,
    ) -> KeyRow:
        """Rejected for a name that was ever given out: what its holder did and owns stands under it."""
        now = await self._now()
        until = None if expires_in is None else now + expires_in
        key = KeyRow(key_id, name, role, chains, rate, signed, proof, None, 0, now, None, until, None)
        row = self._insert(m.ApiKey).values(id=key_id, name=name, **self._columns(key))
        added = row.on_conflict_do_nothing(index_elements=["name"]).returning(m.ApiKey.id)
        if (await self._connection.execute(added)).first() is None:
            raise Rejected(f"there is a key named {name}: rotate it for a new secret, or choose another name")
        said: dict[str, Json] = {"chains": list(chains), "rate": rate, "signed": signed, "expires_at": until}
        self.audit("key issued", None, key=key_id, name=name, role=role.value, **said)
        return key

    async def revoke_key(self, key: str) -> KeyRow:
        """At once and for ever. Again changes nothing."""
        row = await self._held_key(key)
        if row.revoked_at is not None:
            return row
        row = replace(row, revoked_at=await self._now(), previous=None, previous_until=0)
        await self._rewrite(row)
        self.audit("key revoked", None, key=row.id, name=row.name, role=row.role.value)
        return row

    async def rotate_key(self, key: str, proof: Proof, *, grace: int, expires_in: int | None = None) -> KeyRow:
        """A new secret, good at once; the one before stays good for `grace` seconds. expires_in: seconds from now; None
        leaves the end where it is. Rejected for a key that was revoked, or has expired and gets no new end."""
        row, now = await self._held_key(key), await self._now()
        state = row.state(now)
        if state is KeyState.REVOKED:
            raise Rejected(f"the key {row.name} was revoked, which is for ever; issue another one under another name")
        if state is KeyState.EXPIRED and expires_in is None:
            raise Rejected(f"the key {row.name} has expired; say for how long the new secret is to be good")
        keeps = grace > 0 and state is KeyState.ACTIVE
        row = replace(
            row,
            proof=proof,
            previous=row.proof if keeps else None,
            previous_until=now + grace if keeps else 0,
            rotated_at=now,
            expires_at=row.expires_at if expires_in is None else now + expires_in,
        )
        await self._rewrite(row)
        said: dict[str, Json] = {"previous_until": row.previous_until, "expires_at": row.expires_at}
        self.audit("key rotated", None, key=row.id, name=row.name, role=row.role.value, **said)
        return row

    async def note_use(self, used: Mapping[str, int]) -> None:
        """When each key, by id, was last used: Unix seconds."""
        for key_id, at in used.items():
            older = or_(m.ApiKey.used_at.is_(None), m.ApiKey.used_at < at)
            await self._connection.execute(update(m.ApiKey).where(m.ApiKey.id == key_id, older).values(used_at=at))

    async def spend_nonce(self, key_id: str, nonce: str, until: int, now: int) -> bool:
        """False if it was spent before. until: Unix seconds, from which on its signature is too old anyway."""
        await self._connection.execute(delete(m.Nonce).where(m.Nonce.until < now))
        row = self._insert(m.Nonce).values(key_id=key_id, nonce=nonce, until=until)
        added = row.on_conflict_do_nothing(index_elements=["key_id", "nonce"]).returning(m.Nonce.nonce)
        return (await self._connection.execute(added)).first() is not None

    # -- inside

    async def _now(self) -> int:
        return int((await self._connection.execute(select(unix_now()))).scalar_one())

    async def _held_key(self, key: str) -> KeyRow:
        row = await self.key(key)
        await self._one(select(m.ApiKey.id).where(m.ApiKey.id == row.id).with_for_update())
        return await self.key(row.id)

    async def _rewrite(self, key: KeyRow) -> None:
        await self._connection.execute(update(m.ApiKey).where(m.ApiKey.id == key.id).values(**self._columns(key)))

    def _columns(self, key: KeyRow) -> dict[str, object]:
        """All that may ever change, and the seal."""
        values: dict[str, object] = {
            "role": key.role.value,
            "chains": canonical(list(key.chains)),
            "rate": key.rate,
            "signed": key.signed,
            "digest": key.proof.digest,
            "signing": seal(self._sealer, _signing_place(key.id), key.proof.signing),
            "previous_digest": None,
            "previous_signing": None,
            "previous_until": key.previous_until,
            "created_at": key.created_at,
            "rotated_at": key.rotated_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
        }
        if key.previous is not None:
            values["previous_digest"] = key.previous.digest
            values["previous_signing"] = seal(self._sealer, _signing_place(key.id), key.previous.signing)
        return values | {"seal": seal(self._sealer, _place(key.id), _digest(key))}


def to_key(row: RowMapping, sealer: Sealer) -> KeyRow:
    try:
        place = _signing_place(row["id"])
        previous = None
        if row["previous_digest"] is not None and row["previous_signing"] is not None:
            previous = Proof(bytes(row["previous_digest"]), unseal(sealer, place, bytes(row["previous_signing"])))
        key = KeyRow(
            id=row["id"],
            name=row["name"],
            role=KeyRole(row["role"]),
            chains=loads(tuple[str, ...], row["chains"]),
            rate=row["rate"],
            signed=row["signed"],
            proof=Proof(bytes(row["digest"]), unseal(sealer, place, bytes(row["signing"]))),
            previous=previous,
            previous_until=row["previous_until"],
            created_at=row["created_at"],
            rotated_at=row["rotated_at"],
            expires_at=row["expires_at"],
            revoked_at=row["revoked_at"],
            used_at=row["used_at"],
        )
        sealed = unseal(sealer, _place(key.id), bytes(row["seal"]))
    except (SwapdError, ValueError, TypeError) as error:
        raise DamagedRow("api_keys", row["id"], str(error)) from error
    if sealed != _digest(key):
        raise DamagedRow("api_keys", row["id"], "it is not what was sealed")
    return key


def _place(key_id: str) -> str:
    return f"api_keys/{key_id}"


def _signing_place(key_id: str) -> str:
    return f"api_keys/{key_id}/signing"


def _digest(key: KeyRow) -> bytes:
    """Of all but the last use."""
    proofs: list[Json] = [[each.digest.hex(), each.signing.hex()] for each in (key.proof, key.previous) if each]
    may: list[Json] = [key.id, key.name, key.role.value, list(key.chains), key.rate, key.signed]
    content: list[Json] = [*may, *proofs, key.previous_until, key.created_at, key.rotated_at, key.expires_at]
    content.append(key.revoked_at)
    return sha256(canonical(content).encode()).digest()
