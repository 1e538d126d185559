"""The settings in force, fit to be shown: of a URL only where it leads, because providers and databases have keys in
theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from swapd.chains.settings import Amount
from swapd.settings import Settings

HIDDEN = "(hidden)"
_AMOUNT = get_args(Amount)[1]
_SECRET = ("password", "passphrase", "secret", "token_secret", "private_key", "api_key")


def shown(settings: Settings) -> dict[str, Any]:
    """By section and key. Amounts are strings, paths are text."""
    sections = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return {name: _shown(name, value) for name, value in sections.items()}


def _shown(key: str, value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {name: _field(name, field, getattr(value, name)) for name, field in fields.items()}
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
    return value


def _field(name: str, field: FieldInfo, value: Any) -> Any:
    return str(value) if value is not None and _is_amount(field) else _shown(name, value)


def _is_amount(field: FieldInfo) -> bool:
    """More than a JSON number holds: it is told as it is written, as text."""
    return _AMOUNT in field.metadata or any(_AMOUNT in get_args(each) for each in get_args(field.annotation))


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
