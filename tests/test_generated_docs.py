"""Pages that follow from the code say what the code says."""

from __future__ import annotations

import pytest

from docs.generate import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run: python -m docs.generate"
