"""The settings in force, fit to be shown: of a URL only where it leads, because providers and databases have keys in
theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from swapd.settings import Settings

HIDDEN = "(hidden)"
_SECRET = ("password", "passphrase", "secret", "token_secret", "private_key", "api_key")


def shown(settings: Settings) -> dict[str, Any]:
    """By section and key. Amounts are strings, paths are text."""
    sections = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return {name: _shown(name, value) for name, value in sections.items()}


def _shown(key: str, value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _shown(name, getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {name: _shown(name, each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_shown(key, each) for each in value]
    if key.endswith(_SECRET):
        return None if value is None else HIDDEN
    if isinstance(value, str) and (key.endswith(("url", "urls")) or "://" in value):
        return _without_secrets(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and key in _AMOUNTS:
        return str(value)
    return value


_AMOUNTS = frozenset(
    {"minimum", "maximum", "up_to", "exposure_max", "tenant_day_max", "party_day_max", "approve_from"}
    | {"priority_floor", "fee_cap", "fee_cap_at_deadline"}
)
"""Keys of amounts in smallest units: more than a JSON number holds."""


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    if not parts.scheme:
        return HIDDEN
    rest = "/…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{rest}"
