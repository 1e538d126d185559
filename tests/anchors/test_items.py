"""Every item of both lists has its tests, and docs/anchors.md tells of all of them and of no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.anchors.items import ATTACKS, WHAT_WENT_WRONG, Item

HERE = Path(__file__).resolve().parent
PAGE = (HERE.parents[1] / "docs" / "anchors.md").read_text()
LISTS = {"test_what_went_wrong.py": WHAT_WENT_WRONG, "test_attacks.py": ATTACKS}
ITEMS = [pytest.param(file, item, id=item.begins.strip("_")) for file, items in LISTS.items() for item in items]


def names_in(file: str) -> list[str]:
    """Names of the tests that a file has, in their order."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse((HERE / file).read_text())
    return [node.name for node in tree.body if isinstance(node, functions) and node.name.startswith("test_")]


def of_item(item: Item, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(item.begins)]


def rows(text: str) -> list[tuple[int, str, list[str]]]:
    """(number, words, tests) of every item on a page."""
    found = re.findall(r"^\| (\d+) \| (.+?) \| .+? \| (.+?) \|$", text, re.MULTILINE)
    return [(int(number), words, re.findall(r"`(test_\w+)`", tests)) for number, words, tests in found]


def test_both_lists_are_whole() -> None:
    assert [item.number for item in WHAT_WENT_WRONG] == list(range(1, 13))
    assert [item.number for item in ATTACKS] == list(range(1, 15))


@pytest.mark.parametrize(("file", "item"), ITEMS)
def test_every_item_has_a_test_for_each_of_its_failures(file: str, item: Item) -> None:
    assert len(of_item(item, names_in(file))) >= item.failures


@pytest.mark.parametrize("file", LISTS)
def test_every_test_is_of_an_item(file: str) -> None:
    names = names_in(file)
    assert sorted(name for item in LISTS[file] for name in of_item(item, names)) == sorted(names)


def test_the_page_tells_every_item_with_its_sources_and_its_tests() -> None:
    expected = [
        (
            item.number,
            " ".join([item.words, *(f"({source})" for source in item.sources)]),
            of_item(item, names_in(file)),
        )
        for file, items in LISTS.items()
        for item in items
    ]
    assert rows(PAGE) == expected


def test_an_item_without_a_test_would_be_found() -> None:
    assert not of_item(Item(1, "something else", "test_99_"), names_in("test_what_went_wrong.py"))


def test_a_page_that_lost_a_test_would_be_found() -> None:
    assert rows(PAGE.replace("`test_05_already_imported_is_no_failure`", "")) != rows(PAGE)
