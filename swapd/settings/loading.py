"""From files and environment to `Settings`, or to an error that names the key, the value and where it came from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

import swapd
from swapd.chains.registry import REGISTRY
from swapd.chains.settings import Section
from swapd.errors import Invalid
from swapd.settings.contradictions import check
from swapd.settings.keys import Key, Leaf, dotted, find
from swapd.settings.models import (
    ApiSettings,
    DaemonSettings,
    DatabaseSettings,
    DevnetSettings,
    EntrySettings,
    EventSettings,
    Settings,
    TracingSettings,
    VaultSettings,
    WatchtowerSettings,
    WebhookSettings,
)
from swapd.settings.sources import Given, GivenKeys, Words, read_environment, read_file

DEFAULTS = Path(swapd.__file__).resolve().parents[1] / "config" / "default.toml"
"""Every setting with its default, meaning and reason. Found in the checkout that swapd runs from."""

DATA_DIR = "{data_dir}"
"""Stands for `daemon.data_dir` in any other setting that is text."""

_DATA_DIR_KEY = ("daemon", "data_dir")

_M = TypeVar("_M", bound=Section)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """`config/default.toml`, then the file at `path` if one is given, then variables `SWAPD__SECTION__KEY`.

    A relative path is relative to the file that states it (a variable's: to the working directory); `~` is the home
    folder and `{data_dir}` is `daemon.data_dir`. Raises Invalid for whatever is unknown, of a wrong type, out of bounds
    or contradictory.
    """
    if not DEFAULTS.is_file():
        raise Invalid("configuration", str(DEFAULTS), "swapd's own defaults there: run it from its checkout")
    given = read_file(DEFAULTS)
    if path is not None:
        given |= read_file(path)
    given |= read_environment(environ, given, Path.cwd())
    return _settings(_resolved(given))


# -- values ------------------------------------------------------------------------------------------------------------


def _resolved(given: GivenKeys) -> GivenKeys:
    """Paths made absolute, `{data_dir}` filled in, "" made None where a setting may be left out."""
    data_dir = _value(_DATA_DIR_KEY, given[_DATA_DIR_KEY], "")
    return {key: Given(_value(key, each, str(data_dir)), each.source, each.folder) for key, each in given.items()}


def _value(key: Key, given: Given, data_dir: str) -> Any:
    node, value = find(key), given.value
    assert isinstance(node, Leaf)  # noqa: S101  (the sources give no other)
    if isinstance(value, float) and not math.isfinite(value):
        raise Invalid(dotted(key), value, f"a finite number (in {given.source})")
    if not isinstance(value, str):
        return value
    if node.optional and not value:
        return None
    value = value.replace(DATA_DIR, data_dir)
    if not node.is_path:
        return value
    if not value:
        raise Invalid(dotted(key), value, f"a path (in {given.source})")
    try:
        return str((given.folder / Path(value).expanduser()).resolve())
    except RuntimeError:
        raise Invalid(
            dotted(key), value, f"a path without ~, because there is no home folder (in {given.source})"
        ) from None


def _shown(key: Key, value: Any) -> Any:
    """The value as an error may show it: of a URL only what is no secret (providers put keys into paths)."""
    if not any(part.endswith(("url", "urls")) for part in key):
        return value
    if isinstance(value, list | tuple):
        return Words("a list of URLs")
    if not isinstance(value, str):
        return value
    try:
        url = urlsplit(value)
        return f"{url.scheme}://{url.hostname or ''}/…" if url.scheme else Words("a text that is no URL")
    except ValueError:
        return Words("a text that is no URL")


# -- sections ----------------------------------------------------------------------------------------------------------


def _settings(given: GivenKeys) -> Settings:
    chains = {name: _section(kind.settings, ("chains", name), given) for name, kind in REGISTRY.items()}
    settings = Settings(
        daemon=_section(DaemonSettings, ("daemon",), given),
        database=_section(DatabaseSettings, ("database",), given),
        vault=_section(VaultSettings, ("vault",), given),
        entry=_section(EntrySettings, ("entry",), given),
        api=_section(ApiSettings, ("api",), given),
        watchtower=_section(WatchtowerSettings, ("watchtower",), given),
        events=_section(EventSettings, ("events",), given),
        webhooks=_section(WebhookSettings, ("webhooks",), given),
        tracing=_section(TracingSettings, ("tracing",), given),
        devnet=_section(DevnetSettings, ("devnet",), given),
        chains=MappingProxyType(chains),
    )
    try:
        check(settings)
    except Invalid as error:
        key = tuple(error.field.split("."))
        raise _with_source(key, error.value, error.expected, given) from None
    return settings


def _section(model: type[_M], key: Key, given: GivenKeys) -> _M:
    """One section, validated strictly: text is no number, 1 is no truth."""
    tree: dict[str, Any] = {}
    for leaf, each in given.items():
        if leaf[: len(key)] == key:
            table = tree
            for part in leaf[len(key) : -1]:
                table = table.setdefault(part, {})
            table[leaf[-1]] = each.value
    try:
        # by way of JSON, because there "strict" still takes text for a path and a list for a tuple
        return model.model_validate_json(json.dumps(tree, default=str), strict=True)
    except ValidationError as error:
        raise _explained(error, key, given) from None


def _explained(error: ValidationError, section: Key, given: GivenKeys) -> Invalid:
    """The first of pydantic's complaints, in our words."""
    first = error.errors(include_url=False)[0]
    key = (*section, *(str(part) for part in first["loc"]))
    message = first["msg"]
    if first["type"] == "missing":
        return _with_source(key, Words("nothing"), "a value", given)
    if first["type"] == "extra_forbidden":
        return _with_source(key, Words("a key that does not exist"), "only known keys", given)
    for opening in ("Value error, ", "Input should be ", "expected "):
        message = message.removeprefix(opening)
    if isinstance(first["input"], dict):  # a check of the whole table, whose values are fine each
        return _with_source(key, Words("a contradiction"), f"settings that agree: {message}", given)
    return _with_source(key, first["input"], message, given)


def _with_source(key: Key, value: Any, expected: str, given: GivenKeys) -> Invalid:
    return Invalid(dotted(key), _shown(key, value), f"{expected} (in {_source(key, given)})")


def _source(key: Key, given: GivenKeys) -> str:
    """Who said so: the key itself, the list that it is an item of, or whoever set something in its table last."""
    for length in range(len(key), 0, -1):
        if key[:length] in given:
            return given[key[:length]].source
    for length in range(len(key), 0, -1):
        below = [each.source for other, each in given.items() if other[:length] == key[:length]]
        if below:
            return " and ".join(dict.fromkeys(source for source in below if source != str(DEFAULTS))) or below[0]
    return "no file and no variable"
