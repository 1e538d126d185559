"""schemathesis at the API: one run of all its phases (examples, coverage, fuzzing, and stories of several requests,
each with the ids that the one before told) with all of its checks, as whoever may use a route."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response, hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from swapd.api.app import make_document
from swapd.store import KeyRole
from tests.api.matrix import MATRIX, OPEN

PATIENCE = 30
SEED = 20261123
ENDLESS = "/v1/events/stream"
"""Its answers do not end: tests/api/test_events.py."""

REFUSED = ["400", "404", "405", "406", "409", "412", "413", "415", "422", "428", "431"]
"""What data that does not fit the document may get: it may be too long to be looked at, or of nothing that there is."""

LIMITS = {
    f"SWAPD__API__LIMITS__{name}": "1000000"
    for name in ("REQUESTS_PER_MINUTE", "REQUESTS_PER_MINUTE_ALL", "WRONG_KEYS")
}
"""Settings under which no limit hides an answer."""


Known = Mapping[str, Sequence[str | int]]


def holder(operation: str) -> KeyRole | None:
    """Somebody who may use the route; None for an open one."""
    return None if operation in OPEN else min(MATRIX[operation])


@schemathesis.check
def takes_what_the_document_promises(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """In place of `positive_data_acceptance`: data that fits the document is not refused for its form. It may be
    refused for what it means, which no schema says: an address of no chain, an asset that is not traded, a cursor that
    was made up. Then the problem names the field and has no list of faults of the form."""
    if response.status_code == 422 and "errors" not in response.json():
        assert response.json()["field"]
        return
    positive_data_acceptance(ctx, response, case)


@dataclass
class Findings:
    """faults: what is wrong, each once. answers: how often each operation answered with which status."""

    faults: list[str] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def reached(self, operation: str) -> bool:
        """Whether the operation did, at least once, what it is for."""
        return any(label == operation and status < 400 for label, status in self.answers)


def let_it_run(
    base_url: str, tokens: Mapping[KeyRole, str], *, examples: int, known: Known, but_not: str = "$^"
) -> Findings:
    """tokens: a key of each role. examples: for each operation, besides those that its schema asks for. known: ids of
    what there is, by the name of the parameter; drawn half of the time. An id of a key must not be one of `tokens`.
    but_not: a pattern of paths to leave out."""
    config = SchemathesisConfig.from_dict(_config(base_url, tokens, examples, known))
    schema = schemathesis.openapi.from_dict(make_document(), config=config).exclude(path_regex=but_not)
    own = {token.split("_")[1] for token in tokens.values()}

    @schemathesis.hook
    def before_call(_: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
        """A story may find the keys that the machine itself uses, and must not take them from it."""
        if case.path_parameters.get("key_id") in own and case.method != "GET":
            case.path_parameters["key_id"] = known["key_id"][0]

    try:
        return _findings(from_schema(schema).execute())
    finally:
        hooks.unregister(before_call)


def _findings(stream: Iterable[events.EngineEvent]) -> Findings:
    found = Findings()
    for event in stream:
        if isinstance(event, events.ScenarioFinished):
            _take(event, found)
        elif isinstance(event, events.NonFatalError):
            found.faults.append(f"{event.label}: {event.value}")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.EngineFinished):
            found.faults += [str(failure) for failure in event.failures]
    found.faults = list(dict.fromkeys(found.faults))
    return found


def _take(event: events.ScenarioFinished, found: Findings) -> None:
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        if interaction.response is not None and case_id in recorder.cases:
            label = recorder.cases[case_id].value.operation.label
            found.answers[label, interaction.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.status is Status.FAILURE and check.failure_info is not None:
                label = recorder.cases[case_id].value.operation.label
                failure = check.failure_info
                found.faults.append(f"{label}: {check.name}: {failure.failure}\n{failure.code_sample}")


def _config(base_url: str, tokens: Mapping[KeyRole, str], examples: int, known: Known) -> dict[str, Any]:
    return {
        "seed": SEED,
        "base-url": base_url,
        "request-timeout": PATIENCE,
        "continue-on-failure": True,
        "dictionaries": {name: {"values": list(values)} for name, values in known.items()},
        "parameters": {f"path.{name}": {"dictionary": name, "probability": 0.5} for name in known},
        "generation": {
            "max-examples": examples,
            "deterministic": True,
            "no-shrink": True,
            "database": "none",
            "with-security-parameters": False,  # it would spend most requests on keys that it made up
        },
        "checks": {
            "positive_data_acceptance": {"enabled": False},
            "negative_data_rejection": {"expected-statuses": REFUSED},
        },
        "operations": [
            {"include-path": ENDLESS, "enabled": False},
            *(
                {"include-name": name, "headers": {"Authorization": f"Bearer {tokens[role]}"}}
                for name in MATRIX
                if (role := holder(name)) is not None
            ),
        ],
    }


@contextmanager
def in_a_thread(serve: Callable[[], AbstractAsyncContextManager[str]]) -> Iterator[str]:
    """The base URL of an API that is served in a thread and loop of its own: the machine does not know asyncio."""
    stop, ready, told = threading.Event(), threading.Event(), []

    async def run() -> None:
        async with serve() as base_url:
            async with asyncio.timeout(PATIENCE):
                while not await asyncio.to_thread(_answers, base_url):  # noqa: ASYNC110 - there is no event
                    await asyncio.sleep(0.05)
            told.append(base_url)
            ready.set()
            await asyncio.to_thread(stop.wait)

    def thread() -> None:
        try:
            asyncio.run(run())
        finally:
            ready.set()

    running = threading.Thread(target=thread)
    running.start()
    try:
        ready.wait()
        assert told, "it did not start: see the log"
        yield told[0]
    finally:
        stop.set()
        running.join()


def _answers(base_url: str) -> bool:
    try:
        return requests.get(f"{base_url}/healthz", timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False
