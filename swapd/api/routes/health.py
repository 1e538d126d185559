"""Whether swapd lives, whether it is ready, how it is, and its figures: docs/metrics.md.

The first two are open, because what starts and stops processes rarely has keys. So they say which part is not well and
why in words of our own, and nothing that a node, the database or a setting said. The rest needs a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from swapd.api.access import Caller, allows, open_route
from swapd.api.forms import Moment, Told, moment, moment_or_none
from swapd.api.problems import Problem
from swapd.api.service import Serving
from swapd.coordinator.daemon import Daemon
from swapd.coordinator.health import STUCK_SECONDS
from swapd.errors import Unavailable
from swapd.store import KeyRole

router = APIRouter(tags=["health"])


class Well(Told):
    """What is said when all is well."""

    ok: bool


class HealthLine(Told):
    """name: of a chain, or store, entry, watchtower. doing: what swapd does about it. needs: what a person has to do.
    until: the next deadline of a swap that depends on it. since: for how long it has been so."""

    name: str
    ok: bool
    says: str
    doing: str
    needs: str
    until: Moment | None
    since: Moment


class HealthTold(Told):
    """ok: of all lines. lines: as they were looked at last, at most some seconds ago."""

    ok: bool
    lines: list[HealthLine]


@router.get("/healthz")
@open_route
async def read_liveness(service: Serving) -> Well:
    """200 while the process lives and its loop turns. 503 says that a restart would help."""
    if service.daemon is not None and service.daemon.pulse.age > STUCK_SECONDS:
        raise Problem("unavailable", "not alive: the loop does not turn", parts=[{"part": "loop", "why": "stuck"}])
    return Well(ok=True)


@router.get("/readyz")
@open_route
async def read_readiness(service: Serving) -> Well:
    """200 when everything open was looked at, the database can be relied on and every chain's nodes answer. Else 503,
    and `parts` names what is not so."""
    parts = [{"part": part, "why": why} for part, why in _unready(service.daemon)]
    if parts:
        raise Problem("unavailable", f"not ready: {', '.join(each['part'] for each in parts)}", parts=parts)
    return Well(ok=True)


def _unready(daemon: Daemon | None) -> Iterator[tuple[str, str]]:
    if daemon is None:
        yield "loop", "not running"
        return
    if daemon.pulse.age > STUCK_SECONDS:
        yield "loop", "stuck"
    if daemon.gate.starting:
        yield "starting", "what is open is looked at first"
    if daemon.house.store.trouble:
        yield "store", "it can not be relied on"
    for name, watcher in daemon.watchers.items():
        if watcher.doubt:
            yield name, "nothing new may rest on its nodes"


@router.get("/v1/health")
async def read_health(
    service: Serving,
    _: Annotated[Caller, Depends(allows(KeyRole.OPERATOR, KeyRole.DISPUTE, KeyRole.AUDITOR, KeyRole.ADMIN))],
) -> HealthTold:
    """A line for each chain, the database and entry: what is wrong, what swapd does about it, what a person has to do,
    and until when. The same as `swapd health`."""
    lines = () if service.daemon is None else service.daemon.health.lines
    told = [
        HealthLine(**{**asdict(line), "until": moment_or_none(line.until), "since": moment(line.since)})
        for line in lines
    ]
    return HealthTold(ok=all(line.ok for line in told), lines=told)


FORMATS = {
    "text/plain": {"schema": {"type": "string"}},
    "application/openmetrics-text": {"schema": {"type": "string"}},
}


@router.get("/metrics", response_class=Response, responses={200: {"content": FORMATS, "description": "Figures"}})
async def read_metrics(
    request: Request,
    service: Serving,
    _: Annotated[Caller, Depends(allows(KeyRole.OPERATOR, KeyRole.AUDITOR))],
) -> Response:
    """For Prometheus, in its own format or OpenMetrics, as `Accept` wants it."""
    if service.daemon is None:
        raise Unavailable("no daemon runs beside this API")
    figures = await service.daemon.observatory.look()
    accept = request.headers.get("accept", "")
    body, content_type = service.house.telemetry.meter.render(figures, accept)
    return Response(body, headers={"Content-Type": content_type})
