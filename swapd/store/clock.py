"""The database's own clock: one for all workers, whatever their machines believe."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class unix_now(FunctionElement[int]):  # noqa: N801 - written like the SQL functions it stands among
    """Unix seconds, rounded down."""

    type = BigInteger()
    inherit_cache = True


@compiles(unix_now, "sqlite")
def _sqlite(element: unix_now, compiler: Any, **options: Any) -> str:
    return "CAST(strftime('%s', 'now') AS INTEGER)"


@compiles(unix_now, "postgresql")
def _postgresql(element: unix_now, compiler: Any, **options: Any) -> str:
    return "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp())) AS BIGINT)"
