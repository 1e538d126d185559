"""The API under load, on real nodes: `python -m bench.api`.

A daemon with ten thousand stored swaps serves fifty clients for a minute: they list, read, quote and create. Then one
key floods it, while ten others go on as before. The clients run on the same processors as daemon and nodes.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from coincurve import PublicKey
from rich.console import Console
from rich.table import Table

from swapd.api import keys
from swapd.chains.base import Sighting, SightingKind
from swapd.devnet.network import Devnet
from swapd.devnet.party import Party
from swapd.devnet.ports import LOOPBACK, free_port
from swapd.protocol.decide import Decision
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from swapd.store import KeyRole, Lease, Store

RESULT = Path(__file__).resolve().parent / "results" / "api.json"

STORED = 10_000
CLIENTS, SHOPS, SECONDS = 50, 10, 60
FLOODERS, OTHERS, FLOOD_SECONDS = 50, 10, 15
MIX = {"list": 30, "read": 40, "events": 10, "quote": 10, "create": 10}
"""Of a hundred requests."""

BITCOIN = (
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry",
)
ETHEREUM = ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")
SIDES = {
    "initiator": {"wallet": "external", "refund_to": BITCOIN[0], "receive_at": ETHEREUM[0]},
    "participant": {"wallet": "external", "refund_to": ETHEREUM[1], "receive_at": BITCOIN[1]},
}
WISH = {"give": "BTC", "give_amount": "1000000", "get": "ETH", "get_amount": "1000000000000000000"}

SETTINGS = {
    "SWAPD__CHAINS__ICP__ENABLED": "false",
    "SWAPD__DAEMON__SWEEP_SECONDS": "600",
    # as by default, not as on a devnet with a block a second
    "SWAPD__CHAINS__BITCOIN__POLL_SECONDS": "2",
    "SWAPD__CHAINS__ETHEREUM__POLL_SECONDS": "3",
    "SWAPD__ENTRY__OPEN_SWAPS_MAX": "100000",
    "SWAPD__API__ENABLED": "true",
    "SWAPD__API__LIMITS__REQUESTS_PER_MINUTE": "100000",
    "SWAPD__API__LIMITS__REQUESTS_PER_MINUTE_ALL": "200000",
    **{
        f"SWAPD__CHAINS__{chain}__TIMING__{margin}": seconds
        for chain in ("BITCOIN", "ETHEREUM")
        for margin, seconds in (("INCLUSION", "60"), ("FUNDING_WINDOW", "900"))
    },
}


@dataclass
class Counted:
    """Seconds of answers by kind of request, and how they ended."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)

    def report(self, took: float) -> dict[str, Any]:
        everything = [each for kind in self.seconds.values() for each in kind]
        return {
            "requests": len(everything),
            "requests_per_second": round(len(everything) / took, 1),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "all": spread(everything),
            **{kind: spread(found) for kind, found in sorted(self.seconds.items())},
        }


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds at these quantiles."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))], 1) for name, q in at.items()}


class Client:
    """One customer's machine: asks, waits for the answer, asks again."""

    def __init__(self, http: httpx.AsyncClient, token: str, ids: Sequence[str], seed: int, counted: Counted) -> None:
        self._http, self._ids, self._counted = http, list(ids), counted
        self._headers = {"Authorization": f"Bearer {token}"}
        self._dice = random.Random(seed)
        self._cursor: str | None = None

    async def run(self, until: float) -> None:
        while time.monotonic() < until:
            await self.ask(self._dice.choices(list(MIX), list(MIX.values()))[0])

    async def ask(self, kind: str) -> None:
        began = time.monotonic()
        answer = await getattr(self, f"_{kind}")()
        self._counted.seconds[kind].append(time.monotonic() - began)
        self._counted.statuses[answer.status_code] += 1
        if kind == "create" and answer.status_code == httpx.codes.CREATED:
            self._ids.append(answer.json()["id"])

    async def _list(self) -> httpx.Response:
        params = {"cursor": self._cursor} if self._cursor else {}
        answer = await self._http.get("/v1/swaps", params=params, headers=self._headers)
        self._cursor = answer.json().get("next")
        return answer

    async def _read(self) -> httpx.Response:
        return await self._http.get(f"/v1/swaps/{self._dice.choice(self._ids)}", headers=self._headers)

    async def _events(self) -> httpx.Response:
        return await self._http.get("/v1/events", headers=self._headers)

    async def _quote(self) -> httpx.Response:
        return await self._http.post("/v1/quotes", json=WISH, headers=self._headers)

    async def _create(self) -> httpx.Response:
        headers = self._headers | {"Idempotency-Key": str(uuid4())}
        return await self._http.post("/v1/swaps", json=WISH | SIDES, headers=headers)


# -- ten thousand swaps of other days --------------------------------------------------------------------------------


def preimage_of(number: int) -> bytes:
    return hashlib.sha256(b"an old swap %d" % number).digest()


def old_swap(number: int, now: int) -> SwapTerms:
    hashlock = hashlib.sha256(preimage_of(number)).digest()
    made = now - 86_400 * 30 - number
    keys = [
        PublicKey.from_valid_secret(hashlib.sha256(hashlock + side).digest()).format().hex() for side in (b"0", b"1")
    ]
    legs = [
        Leg(
            role=role,
            terms=LegTerms(asset, amount, hashlock, *names, made + timelock, made + fund_by),
            funded_by=Wallet.EXTERNAL,
            claimed_by=Wallet.EXTERNAL,
            pay_to="pay-to",
            refund_to="refund-to",
            claim_by_swapd=True,
            refund_by_swapd=True,
            claim_waived=False,
            confirmations=3,
            lock_by=made + fund_by,
        )
        for role, asset, amount, names, fund_by, timelock in (
            (Role.INITIATOR, Asset("BTC", "bitcoin", 8), 1_000_000, keys, 3_600, 8 * 3_600),
            (Role.PARTICIPANT, Asset("ETH", "ethereum", 18), 10**18, ETHEREUM, 3 * 3_600, 5 * 3_600),
        )
    ]
    return SwapTerms(swap_id_of(hashlock), number, SecretHolder.SELF, legs[0], legs[1], made + 4 * 3_600, made)


def told(terms: SwapTerms, role: Role) -> tuple[LegView, list[Sighting]]:
    """A leg that was locked and claimed, and what was seen of that."""
    lock, claim = (hashlib.sha256(terms.hashlock + role.value.encode() + each).hexdigest() for each in (b"l", b"c"))
    preimage = preimage_of(terms.index)
    ref = f"{lock}:0" if role is Role.INITIATOR else f"0x{lock}"
    view = LegView(LegState.CLAIMED, 100, preimage, lock_ref=ref, lock_txid=lock, spend_txid=claim)
    kinds = ((SightingKind.LOCK, lock, None), (SightingKind.CLAIM, claim, preimage))
    return view, [Sighting(terms.swap_id, role, kind, ref, txid, txid, 1, shown, "") for kind, txid, shown in kinds]


async def fill(store: Store, count: int, owners: Sequence[str]) -> list[str]:
    """Completed ones, spread over the owners, and watched for late money still. Returns their ids."""
    ids, now = [], int(time.time())
    for first in range(0, count, 200):
        async with store.write("bench") as writing:
            for number in range(first, min(first + 200, count)):
                terms = old_swap(number, now)
                await writing.add_swap(terms, dict.fromkeys(Role, 0), dict.fromkeys(Role, "old"), Status.ACCEPTED)
                await writing.own(terms.swap_id, owners[number % len(owners)], {})
                fence = await writing.lease(terms.swap_id, "bench", 60)
                assert fence is not None
                views = {role: told(terms, role) for role in Role}
                for role, (_, sightings) in views.items():
                    await writing.add_sightings(terms.leg(role).terms.chain, sightings)
                row = await writing.swap(terms.swap_id)
                done = Decision(Status.COMPLETED, (), preimage_of(number), None)
                await writing.record_decision(row, fence, done, {role: view for role, (view, _) in views.items()})
                await writing.release(Lease(terms.swap_id, fence))
                ids.append(terms.swap_id)
    return ids


# -- measuring -------------------------------------------------------------------------------------------------------


async def measure(stored: int, seconds: int, flood_seconds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="swapd-bench-", ignore_cleanup_errors=True) as name:
        async with AsyncExitStack() as stack:
            devnet = await stack.enter_async_context(Devnet(Path(name) / "nodes"))
            party = Party("house", Path(name), devnet.state)
            port = free_port()
            party.overrides |= SETTINGS | {"SWAPD__API__PORT": str(port)}
            await devnet.bitcoind.create_wallet("house")
            await party.init()
            found = await party.ask("wallet", "addresses")
            await devnet.anvil.set_balance(found["ethereum"]["ETH"], 100 * 10**18)
            party.overrides["SWAPD__CHAINS__ETHEREUM__CONTRACT"] = (await party.ask("contract", "deploy"))["contract"]
            shops = [f"shop-{number}" for number in range(SHOPS)]
            async with party.store() as store:
                ids = await fill(store, stored, shops)
                tokens = [(await keys.issue(store, "bench", shop, KeyRole.MARKETPLACE))[1] for shop in shops]
                _, flooding = await keys.issue(store, "bench", "flood", KeyRole.MARKETPLACE, rate=600)
            stack.push_async_callback(party.stop)
            await party.start()
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=CLIENTS)
            base = f"http://{LOOPBACK}:{port}"
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=base, timeout=60, limits=limits))
            await ready(http)
            mine = [ids[number::SHOPS] for number in range(SHOPS)]
            ordinary = await crowd(http, list(zip(tokens, mine, strict=True)), CLIENTS, seconds)
            flood, others = await asyncio.gather(
                crowd(http, [(flooding, mine[0])], FLOODERS, flood_seconds),
                crowd(http, list(zip(tokens, mine, strict=True)), OTHERS, flood_seconds),
            )
            return {
                "stored_swaps": stored,
                "clients": CLIENTS,
                "seconds": seconds,
                "mix_percent": MIX,
                "ordinary": ordinary,
                "while_one_key_floods": {"others": others, "the_flood": flood},
            }


async def ready(http: httpx.AsyncClient) -> None:
    """A minute at most: everything that was stored is looked at first."""
    for _ in range(300):
        if (await http.get("/readyz")).status_code == httpx.codes.OK:
            return
        await asyncio.sleep(0.2)
    raise SystemExit("the daemon did not become ready")


async def crowd(
    http: httpx.AsyncClient, shops: Sequence[tuple[str, Sequence[str]]], clients: int, seconds: int
) -> dict[str, Any]:
    counted, began = Counted(), time.monotonic()
    await asyncio.gather(
        *(Client(http, *shops[number % len(shops)], number, counted).run(began + seconds) for number in range(clients))
    )
    return counted.report(time.monotonic() - began)


def tables(found: Mapping[str, Any]) -> Iterable[Table]:
    ordinary, flooded = found["ordinary"], found["while_one_key_floods"]["others"]
    table = Table("ms", title=f"{found['clients']} clients, {found['stored_swaps']} stored swaps")
    for heading in ("p50", "p95", "p99", "max"):
        table.add_column(heading, justify="right")
    for kind in ("all", *MIX):
        table.add_row(kind, *(f"{ordinary[kind][q]:g}" for q in ("p50", "p95", "p99", "max")))
    table.add_row("others, in a flood", *(f"{flooded['all'][q]:g}" for q in ("p50", "p95", "p99", "max")), style="bold")
    yield table
    yield _statuses("ordinary", ordinary)
    yield _statuses("others, in a flood", flooded)
    yield _statuses("the flood", found["while_one_key_floods"]["the_flood"])


def _statuses(title: str, found: Mapping[str, Any]) -> Table:
    table = Table("requests a second", *found["statuses"], title=title)
    table.add_row(f"{found['requests_per_second']:g}", *map(str, found["statuses"].values()))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument("--stored", type=int, default=STORED)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--flood-seconds", type=int, default=FLOOD_SECONDS)
    given = parser.parse_args()
    found = asyncio.run(measure(given.stored, given.seconds, given.flood_seconds))
    if given.stored == STORED and given.seconds == SECONDS:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    for table in tables(found):
        Console().print(table)


if __name__ == "__main__":
    main()
