"""Keys over the API: shown once, stored hashed, and closed when they should be."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from swapd.api import keys
from swapd.errors import Invalid, Rejected
from swapd.store import DamagedRow, KeyRole
from tests.api.conftest import Api, problem

HOUR = 3_600


async def issue(api: Api, **form: object) -> dict[str, Any]:
    answer = await api.post("/v1/keys", KeyRole.ADMIN, json={"name": "shop-2", "role": "marketplace"} | form)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def status(api: Api, token: str) -> int:
    return (await api.get("/v1/me", token)).status_code


async def test_a_key_that_was_issued_opens_what_its_role_may(api: Api) -> None:
    told = await issue(api, networks=["icp", "bitcoin"], requests_per_minute=7)
    assert keys.TOKEN.fullmatch(told["token"])
    me = (await api.get("/v1/me", told["token"])).json()
    assert me == {
        "key_id": told["key"]["id"],
        "name": "shop-2",
        "role": "marketplace",
        "tenant": "shop-2",
        "networks": ["bitcoin", "icp"],
    }
    problem(await api.get("/v1/keys", told["token"]), 403, "forbidden")


async def test_only_a_marketplace_is_a_tenant_of_its_own(api: Api) -> None:
    tenants = {role: (await api.get("/v1/me", role)).json()["tenant"] for role in KeyRole}
    assert tenants.pop(KeyRole.MARKETPLACE) == "shop"
    assert set(tenants.values()) == {""}


async def test_a_secret_is_in_no_answer_but_the_first_and_in_no_database(api: Api) -> None:
    told = await issue(api)
    secret = told["token"].rpartition("_")[2]
    for path in ("/v1/keys", f"/v1/keys/{told['key']['id']}"):
        assert secret not in (await api.get(path, KeyRole.ADMIN)).text
    file = Path(str(api.service.settings.daemon.data_dir)) / "swapd.db"
    with sqlite3.connect(file) as connection:
        dump = "\n".join(connection.iterdump())
    assert secret not in dump
    assert keys.signing_key(secret).hex() not in dump.lower()
    assert keys.proof_of(secret).digest.hex() in dump.lower()


async def test_a_name_is_given_out_once_and_for_ever(api: Api) -> None:
    told = await issue(api)
    again = await api.post("/v1/keys", KeyRole.ADMIN, json={"name": "shop-2", "role": "admin"})
    problem(again, 409, "refused")
    await api.delete(f"/v1/keys/{told['key']['id']}", KeyRole.ADMIN)
    again = await api.post("/v1/keys", KeyRole.ADMIN, json={"name": "shop-2", "role": "marketplace"})
    problem(again, 409, "refused")


async def test_a_revoked_key_is_closed_at_once_and_for_ever(api: Api) -> None:
    told = await issue(api)
    path = f"/v1/keys/{told['key']['id']}"
    assert await status(api, told["token"]) == 200
    answer = await api.delete(path, KeyRole.ADMIN)
    assert answer.json()["state"] == "revoked"
    assert await status(api, told["token"]) == 401
    assert (await api.delete(path, KeyRole.ADMIN)).json() == answer.json()
    problem(await api.post(f"{path}/rotate", KeyRole.ADMIN, json={"grace": 0}), 409, "refused")


async def test_an_expired_key_is_closed_until_it_is_rotated_with_a_new_end(api: Api) -> None:
    told = await issue(api, expires_in=HOUR)
    path = f"/v1/keys/{told['key']['id']}"
    api.clock.ahead = HOUR - 30
    assert await status(api, told["token"]) == 200
    api.clock.ahead = HOUR
    assert await status(api, told["token"]) == 401
    assert (await api.get(path, KeyRole.ADMIN)).json()["state"] == "expired"


async def test_after_a_rotation_the_old_secret_is_good_for_the_grace_and_no_longer(api: Api) -> None:
    told = await issue(api)
    path = f"/v1/keys/{told['key']['id']}/rotate"
    fresh = (await api.post(path, KeyRole.ADMIN, json={"grace": HOUR})).json()
    assert fresh["key"]["id"] == told["key"]["id"]
    assert fresh["key"]["previous_secret_until"] is not None
    assert [await status(api, each["token"]) for each in (told, fresh)] == [200, 200]
    api.clock.ahead = HOUR + 1
    assert [await status(api, each["token"]) for each in (told, fresh)] == [401, 200]


async def test_a_secret_that_leaked_is_closed_at_once(api: Api) -> None:
    told = await issue(api)
    fresh = (await api.post(f"/v1/keys/{told['key']['id']}/rotate", KeyRole.ADMIN, json={"grace": 0})).json()
    assert [await status(api, each["token"]) for each in (told, fresh)] == [401, 200]


async def test_of_two_rotations_within_the_grace_only_the_last_two_secrets_are_good(api: Api) -> None:
    first = await issue(api)
    path = f"/v1/keys/{first['key']['id']}/rotate"
    second = (await api.post(path, KeyRole.ADMIN, json={"grace": HOUR})).json()
    third = (await api.post(path, KeyRole.ADMIN, json={"grace": HOUR})).json()
    assert [await status(api, each["token"]) for each in (first, second, third)] == [401, 200, 200]


async def test_a_rotation_can_be_bound_to_what_was_seen(api: Api) -> None:
    told = await issue(api)
    path = f"/v1/keys/{told['key']['id']}"
    tag = (await api.get(path, KeyRole.ADMIN)).headers["etag"]
    assert (await api.get(path, KeyRole.ADMIN, headers={"If-None-Match": tag})).status_code == 304
    first = await api.post(f"{path}/rotate", KeyRole.ADMIN, json={"grace": 0}, headers={"If-Match": tag})
    assert first.status_code == 200
    late = await api.post(f"{path}/rotate", KeyRole.ADMIN, json={"grace": 0}, headers={"If-Match": tag})
    problem(late, 412, "precondition-failed")
    assert await status(api, first.json()["token"]) == 200


async def test_all_that_can_be_wrong_with_a_key_looks_alike(api: Api) -> None:
    good = await issue(api)
    revoked, expired = await issue(api, name="gone"), await issue(api, name="late", expires_in=1)
    await api.delete(f"/v1/keys/{revoked['key']['id']}", KeyRole.ADMIN)
    api.clock.ahead = 10
    unknown = f"swk_{'0' * 16}_{'0' * 64}"
    wrong = good["token"][:-64] + "0" * 64
    answers = [await api.get("/v1/me", token) for token in (unknown, wrong, revoked["token"], expired["token"])]
    told = [problem(answer, 401, "unauthorized") for answer in answers]
    for each in told:
        del each["request_id"]
    assert all(each == told[0] for each in told)
    assert all(answer.headers["www-authenticate"] == 'Bearer realm="swapd"' for answer in answers)


@pytest.mark.parametrize("token", ["", "swk_", "Basic abc", "swk_0_0", "x" * 300, "swk_" + "g" * 16 + "_" + "0" * 64])
async def test_what_is_no_key_opens_nothing(api: Api, token: str) -> None:
    problem(await api.get("/v1/me", token), 401, "unauthorized")
    problem(await api.http.get("/v1/me", headers={"Authorization": token}), 401, "unauthorized")


async def test_a_key_that_somebody_writes_into_the_database_opens_nothing(api: Api) -> None:
    told = await issue(api)
    file = Path(str(api.service.settings.daemon.data_dir)) / "swapd.db"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE api_keys SET role = 'admin' WHERE name = 'shop-2'")
    problem(await api.get("/v1/me", told["token"]), 401, "unauthorized")
    async with api.service.house.store.read() as reading:
        with pytest.raises(DamagedRow):
            await reading.key("shop-2")


async def test_the_audit_chain_says_who_did_what_with_which_key(api: Api) -> None:
    told = await issue(api)
    path = f"/v1/keys/{told['key']['id']}"
    await api.post(f"{path}/rotate", KeyRole.ADMIN, json={"grace": 0})
    await api.delete(path, KeyRole.ADMIN)
    assert (await api.trail())[-3:] == ["admin:root: key issued", "admin:root: key rotated", "admin:root: key revoked"]


async def test_keys_are_listed_page_by_page(api: Api) -> None:
    names, path = [], "/v1/keys?limit=2"
    while path:
        page = (await api.get(path, KeyRole.ADMIN)).json()
        names += [each["name"] for each in page["items"]]
        path = f"/v1/keys?limit=2&cursor={page['next']}" if page["next"] else ""
    assert sorted(names) == sorted(["shop", "olga", "dora", "aud", "root"])


async def test_the_last_use_of_a_key_is_written_now_and_then_and_not_at_each_request(api: Api) -> None:
    path = f"/v1/keys/{api.rows[KeyRole.AUDITOR].id}"
    await api.get("/v1/me", KeyRole.AUDITOR)
    assert (await api.get(path, KeyRole.ADMIN)).json()["last_used"] is None
    await api.service.uses.write(api.service.house.store)
    assert (await api.get(path, KeyRole.ADMIN)).json()["last_used"]["unix"] == pytest.approx(api.clock(), abs=5)
    await api.service.uses.write(api.service.house.store)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Shop"}, "name"),
        ({"name": "0123456789abcdef"}, "name"),
        ({"name": "abcdefabcdefabcd"}, "name"),
        ({"role": "owner"}, "role"),
        ({"networks": ["dogecoin"]}, "networks"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"requests_per_minute": "5"}, "requests_per_minute"),
        ({"signed": 1}, "signed"),
        ({"expires_in": 0}, "expires_in"),
        ({"secret": "mine"}, "secret"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_issued(api: Api, change: dict[str, object], field: str) -> None:
    before = await api.trail()
    form = {"name": "shop-2", "role": "marketplace"} | change
    assert problem(await api.post("/v1/keys", KeyRole.ADMIN, json=form), 422, "invalid")["field"] == field
    assert await api.trail() == before


async def test_the_store_holds_its_bounds_without_the_form(api: Api) -> None:
    with pytest.raises(Invalid):
        await api.issue("shop-2", rate=0)
    with pytest.raises(Rejected):
        await api.issue("shop")
