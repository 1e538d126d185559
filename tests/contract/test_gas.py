"""Gas is a promise too: at or under the best measured elsewhere, and as the committed table says."""

from __future__ import annotations

import json

from bench.gas import PEERS, RESULT, measured


async def test_no_row_costs_more_than_the_best_peer_and_the_committed_rows_are_true() -> None:
    rows = await measured()
    assert {name: rows[name] for name, (_, best) in PEERS.items() if rows[name] > best} == {}
    assert rows == json.loads(RESULT.read_text()), "run `python -m bench.gas` and commit its result"
