"""The report in words: a table of endings by pair, and the tightest margins with the swaps that had them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.simulation.campaign import MARGINS, Tally

ENDINGS = {
    "own claimed, counter claimed": "completed",
    "own refunded, counter refunded": "both back",
    "own refunded, counter none": "ours back",
    "own none, counter refunded": "theirs back",
    "own none, counter none": "nothing locked",
    "own locked, counter claimed": "paid, theirs left",
    "own none, counter locked": "theirs left",
    "own refunded, counter locked": "ours back, theirs left",
}
"""In the table; whatever else there is, is summed up as "other". "Left": its owner never fetched it."""


def lines(tallies: Mapping[str, Tally]) -> Iterator[str]:
    heads = ["pair", "swaps", "losses", *ENDINGS.values(), "other", "got both"]
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "|".join([" --- ", *[" ---: "] * (len(heads) - 1)]) + "|"
    for pair, tally in tallies.items():
        known = [tally.endings[ending] for ending in ENDINGS]
        figures = [tally.swaps, len(tally.losses), *known, tally.swaps - sum(known), tally.both]
        yield f"| {pair} | " + " | ".join(f"{figure:,}" for figure in figures) + " |"
    yield ""
    yield "| pair | " + " | ".join(MARGINS) + " |"
    yield "|" + "|".join([" --- "] * (len(MARGINS) + 1)) + "|"
    for pair, tally in tallies.items():
        yield f"| {pair} | " + " | ".join(_margin(tally, what) for what in MARGINS) + " |"
    yield ""


def last_line(total: Tally) -> str:
    tightest = "; ".join(f"{what} {total.worst[what][0]:.0f} s" for what in MARGINS if what in total.worst)
    return f"simulation: {total.swaps} swaps, {len(total.losses)} losses, tightest margin {tightest or 'none'}"


def _margin(tally: Tally, what: str) -> str:
    if what not in tally.worst:
        return "none"
    seconds, name = tally.worst[what]
    return f"{seconds:,.0f} s ({name.split(':', 1)[1]})"
