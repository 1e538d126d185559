"""`python -m tests.soak --minutes N --seed S`. See docs/soak.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.crash.page import Page


def _main() -> int:
    with tempfile.TemporaryDirectory(prefix="swapd-soak-page-") as folder:
        file = Path(folder) / "page"
        page = Page(file)
        page.install()  # before anything of swapd is imported, which may keep the clock that it finds

        from tests.soak.soak import main

        return main(page, file)


if __name__ == "__main__":
    sys.exit(_main())
