"""Who hears of each request to a node: how long it took, and what became of it. Nobody, unless somebody asks to.

Chains know nothing of who listens. Of a node its host is told and nothing else of its URL, which may hold a key.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol
from urllib.parse import urlsplit


class Observer(Protocol):
    def __call__(self, endpoint: str, method: str) -> AbstractContextManager[None]:
        """Around one request. endpoint: of `host_of`. method: what is asked, in the node's own terms."""


def nobody(endpoint: str, method: str) -> AbstractContextManager[None]:
    return nullcontext()


def host_of(url: str) -> str:
    """Host and port, without user, password, path and query.

    >>> host_of("https://me:secret@node.example:8545/v3/key?token=x")
    'node.example:8545'
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return f"{host}:{parts.port}" if parts.port else host
    except ValueError:
        return ""
