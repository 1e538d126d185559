"""Named places at which a test may let the process die: `crashpoint("store.commit.before")`.

One stands at every edge of storing, signing and sending, under a name of its own. It does nothing, unless a test in
this very process has set a hook: nothing outside of the process can. `docs/crash-matrix.md` tells how it is used.
"""

from __future__ import annotations

from collections.abc import Callable

_hook: Callable[[str], None] | None = None


def crashpoint(name: str) -> None:
    """Here the process may die, and whoever starts it again must be none the worse."""
    if _hook is not None:
        _hook(name)


def arm(hook: Callable[[str], None] | None) -> None:
    """Call this at each point with its name; None: nothing any more. For tests alone."""
    global _hook
    _hook = hook
