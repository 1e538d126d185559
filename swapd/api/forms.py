"""The shapes that all routes share: what is asked (`Form`), what is told (`Told`), amounts and times.

Forms are strict: no field too many, and text is no number. So an enum in a form is `Annotated[Kind,
Field(strict=False)]`, because JSON has only its text, and several of something are a `list`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

AMOUNT_PATTERN = "^(0|[1-9][0-9]{0,77})$"
_AMOUNT = re.compile("0|[1-9][0-9]{0,77}")

NO_NUL_PATTERN = r"^[^\x00]*$"
"""Of text in an address, where a NUL is refused before anything is read."""

LARGEST = 2**53 - 1
"""The largest number that every JSON reader has exactly."""

_T = TypeVar("_T")


class Form(BaseModel):
    """What somebody asks for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _one_kind_of_number(cls, given: Any) -> Any:
        """To JSON 60.0 is 60 (JSON Schema, 4.2.3)."""
        if not isinstance(given, dict):
            return given
        return {name: int(each) if _is_whole(each) else each for name, each in given.items()}


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer() and abs(value) < 2**53


class Told(BaseModel):
    """What is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole(value: object) -> int:
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        return int(value)
    raise ValueError("a whole number of the smallest unit, as a string of digits")


def _schema(meaning: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": AMOUNT_PATTERN, "description": meaning, "examples": ["1000000"]}
    )


Amount = Annotated[int, BeforeValidator(_whole), _schema("Whole number of smallest units")]
"""Asked: a decimal string, because JSON numbers end at 2^53 with most readers."""

ToldAmount = Annotated[int, PlainSerializer(str, return_type=str), _schema("Whole number of smallest units")]
"""Told: the same, from a Python int."""


class Moment(Told):
    """One moment, for machines and for people."""

    unix: Annotated[int, Field(description="Unix seconds")]
    rfc3339: Annotated[str, Field(description="The same in UTC (RFC 3339)", examples=["2026-11-23T12:00:00Z"])]


LATEST = 253_402_300_799
"""9999-12-31, the last day that RFC 3339 can write."""


@lru_cache(maxsize=65_536)
def moment(seconds: int) -> Moment:
    """A page of swaps tells hundreds."""
    shown = datetime.fromtimestamp(min(max(seconds, 0), LATEST), UTC)
    return Moment(unix=seconds, rfc3339=f"{shown.replace(tzinfo=None).isoformat()}Z")


def moment_or_none(seconds: int | None) -> Moment | None:
    return None if seconds is None else moment(seconds)


class Listed(Told, Generic[_T]):
    """One page. next: the cursor of the page after it, null on the last one."""

    items: list[_T]
    next: str | None = None
