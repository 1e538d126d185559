"""`python -m tests.simulation`: see docs/simulation.md. Exits with 1 if the honest side lost anything."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.campaign import Tally, batches, run
from tests.simulation.report import last_line, lines
from tests.simulation.setup import PAIRS, places
from tests.simulation.weaken import WEAKER


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--swaps", type=int, default=100_000, help="for each ordered pair")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--pair", choices=PAIRS, help="only this one, the initiator leg's asset first")
    parser.add_argument("--weaken", choices=sorted(WEAKER), default="", help="swapd without this rule")
    parser.add_argument("--show-losses", type=int, default=10, help="how many to list, with what plays them again")
    given = parser.parse_args(arguments)
    pairs = [given.pair] if given.pair else list(PAIRS)
    tallies = {pair: Tally() for pair in pairs}
    work = [batch for pair in pairs for batch in batches(pair, given.swaps, given.seed, given.weaken)]
    places()  # a setting that is wrong is said here, once, and not by every process
    began = time.monotonic()
    with ProcessPoolExecutor(given.jobs) as pool:
        for batch, tally in zip(work, pool.map(run, work), strict=True):
            tallies[batch.pair].merge(tally)
            if tallies[batch.pair].swaps == given.swaps:
                print(f"{batch.pair}: {len(tallies[batch.pair].losses)} losses", file=sys.stderr, flush=True)
    print("\n".join(lines(tallies)))
    total = Tally.of(tallies.values())
    for loss in total.losses[: given.show_losses]:
        print(f"loss {loss}")
    print(f"seed {given.seed}, {given.jobs} jobs, {time.monotonic() - began:.0f} s")
    print(last_line(total))
    return 1 if total.losses else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
