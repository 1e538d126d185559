"""The OpenAPI document: complete, and the committed one is the app's (tests/test_generated_docs.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter

from swapd.api.app import ROUTERS, make_document
from swapd.api.doors import doors_of
from swapd.api.problems import KINDS, MEDIA_TYPE
from swapd.store import KeyRole
from tests.api.conftest import Api, Opening, problem
from tests.api.matrix import MATRIX, OPEN

DOCUMENT = make_document()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_openapi_3_1_and_names_every_route() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert {name for name, _ in operations()} == MATRIX.keys() | OPEN


def test_every_route_has_a_name_a_tag_and_a_word_about_it() -> None:
    for name, operation in operations():
        assert operation["operationId"].isidentifier(), name
        assert operation["tags"], name
        assert operation["description"], name


def test_every_route_names_its_roles_and_how_to_show_a_key() -> None:
    for name, operation in operations():
        roles = MATRIX.get(name, frozenset())
        assert operation.get("x-roles", []) == sorted(role.value for role in roles)
        assert ("security" in operation) == bool(roles)
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"key", "signature"}


def test_every_error_is_a_problem() -> None:
    for name, operation in operations():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response == {"$ref": f"#/components/responses/Problem{status}"}, name
    for response in DOCUMENT["components"]["responses"].values():
        assert list(response["content"]) == [MEDIA_TYPE]


def test_every_kind_of_problem_is_named_with_what_it_means() -> None:
    told = " ".join(response["description"] for response in DOCUMENT["components"]["responses"].values())
    assert all(f"`/problems/{name}`" in told and kind.meaning in told for name, kind in KINDS.items())


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for each in value.values():
                yield from references(each)
        if isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in set(references(DOCUMENT)):
        found = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_no_form_takes_a_field_too_many() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if schema.get("type") == "object" and name != "Problem":
            assert schema.get("additionalProperties") is False, name


async def test_the_document_is_not_shown_unless_the_settings_say_so(api: Api, opening: Opening) -> None:
    for path in ("/openapi.json", "/docs", "/redoc"):
        problem(await api.get(path), 401, "unauthorized")
        problem(await api.get(path, KeyRole.ADMIN), 404, "not-found")
    async with opening(SWAPD__API__DOCS="true") as shown:
        assert (await shown.get("/openapi.json")).json() == DOCUMENT
        assert "swagger" in (await shown.get("/docs")).text


def test_a_route_that_names_no_roles_does_not_start() -> None:
    router = APIRouter()

    @router.get("/v1/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(ValueError, match="must name its roles"):
        doors_of((*ROUTERS, router))
