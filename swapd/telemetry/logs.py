"""What swapd and its libraries log: one line an event, text for people or JSON for machines, never a secret.

Every line carries what is bound to the context it comes from: the swap that is worked on, the request that is answered.
Libraries log through the standard library, and their lines go the same way, through the redactor.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from swapd.telemetry.redact import Redactor

WITHHELD = "log.withheld"
"""Said in place of a line in which a secret was found only when it was whole."""

MOST_OF_A_LINE = 200_000
"""Characters. What is longer is not looked through, and so not written."""

_OURS = ("level", "timestamp", "logger")
"""Fields that are made here, of nothing that anybody said."""


Form = Literal["text", "json"]
Stream = Literal["stdout", "stderr"]


def log_as(level: str, form: Form, to: Stream = "stdout") -> None:
    """For a process that runs for long. level: the least that is logged, of libraries warnings at the least."""
    number = log_lines(level, form, to)
    handler = _Handler(to)
    handler.setFormatter(_Foreign(form))
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(number, logging.WARNING))  # libraries speak up only when something is wrong
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a look that takes longer than its pause is no news
    logging.captureWarnings(True)
    sys.excepthook = _last_words


def log_lines(level: str, form: Form, to: Stream) -> int:
    """swapd's own lines alone, for a command that ends in a moment. Returns the level's number."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=processors(form),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(getattr(sys, to)),
    )
    return number


def processors(form: Form) -> list[Processor]:
    """What a line goes through, the redactor after everything that adds to it."""
    redactor = Redactor()
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # without local variables: a frame of ours may hold a secret (rule S9)
        structlog.processors.format_exc_info,
        _Redacting(redactor),
        _Rendering(form, redactor),
    ]


class _Redacting:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, logger: WrappedLogger, name: str, line: EventDict) -> EventDict:
        ours = {key: line[key] for key in _OURS if key in line}
        shown = self._redactor.value({key: line[key] for key in line if key not in _OURS})
        return {**(shown if isinstance(shown, dict) else {"event": WITHHELD}), **ours}


class _Rendering:
    """Looks at the finished line once more: a secret may have come together from fields that had a part of it each."""

    def __init__(self, form: Form, redactor: Redactor) -> None:
        self._as_json = form == "json"
        self._render: Processor = (
            structlog.processors.JSONRenderer() if self._as_json else structlog.dev.ConsoleRenderer(colors=False)
        )
        self._redactor = redactor

    def __call__(self, logger: WrappedLogger, name: str, line: EventDict) -> str:
        withheld = {"event": WITHHELD, **{key: line[key] for key in _OURS if key in line}}
        whole = str(self._render(logger, name, line))
        if len(whole) <= MOST_OF_A_LINE and not self._redactor.finds(whole):
            return whole
        return json.dumps(withheld) if self._as_json else " ".join(map(str, withheld.values()))


class _Handler(logging.Handler):
    """To whatever the stream is at that moment."""

    def __init__(self, to: Stream) -> None:
        super().__init__()
        self._to = to

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a line that can not be written must not end what it tells of
            line = WITHHELD  # the standard library would show the record as it stands
        with suppress(OSError, ValueError):
            print(line, file=getattr(sys, self._to), flush=True)


class _Foreign(logging.Formatter):
    """Lines of libraries, as ours."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._processors: Sequence[Processor] = processors(form)

    def format(self, record: logging.LogRecord) -> str:
        line: Any = {"event": _said(record), "logger": record.name}
        if record.exc_info:
            line["exc_info"] = record.exc_info
        for processor in self._processors:
            line = processor(None, record.levelname.lower(), line)
        return str(line)


def _said(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a library's own mistake in a message is no reason to lose it
        return f"{record.msg} ({type(error).__name__} in its arguments)"


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody caught ends the process, and is said as everything is: Python would print it as it stands."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger().critical("uncaught", exc_info=(kind, error, trace))
