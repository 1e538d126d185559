"""`docs/safety.md` is true: every rule is there, and every test that it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "safety.md").read_text()
ROWS = {int(number): tests for number, tests in re.findall(r"^\| S(\d+) \|[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE)}
RULES = range(1, 15)

EXISTING = {
    node.name
    for file in TESTS.rglob("test_*.py")
    for node in ast.walk(ast.parse(file.read_text()))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
}


@pytest.mark.parametrize("number", RULES)
def test_every_rule_is_told_and_has_its_row(number: int) -> None:
    assert f"- **S{number} " in PAGE
    assert number in ROWS


@pytest.mark.parametrize("number", RULES)
def test_every_rule_has_a_test_that_bears_its_number(number: int) -> None:
    assert any(name.startswith(f"test_s{number}_") for name in re.findall(r"`(\w+)`", ROWS[number]))


def test_every_test_that_is_named_exists() -> None:
    named = {name for tests in ROWS.values() for name in re.findall(r"`(\w+)`", tests)}
    assert len(named) > len(RULES)
    assert named <= EXISTING, named - EXISTING


def test_what_is_left_for_later_is_said() -> None:
    assert "Left for later: " in PAGE
