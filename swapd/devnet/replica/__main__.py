"""`python -m swapd.devnet.replica --port N --folder DIR`: a replica whose state is in DIR."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import get_args

from swapd.devnet.replica import persistence
from swapd.devnet.replica.certificates import Delegated
from swapd.devnet.replica.replica import Replica
from swapd.devnet.replica.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m swapd.devnet.replica", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="its state: loaded if there, saved at the end")
    parser.add_argument("--rounds-ms", type=int, default=0, help="time between rounds; 0: messages run at once")
    parser.add_argument("--seed", default="swapd", help="of the root key, for a new state")
    parser.add_argument("--delegated", choices=get_args(Delegated), default="none", help="for a new state")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if persistence.exists(options.folder):
        replica = Replica.load(options.folder)
    else:
        replica = Replica(seed=options.seed.encode(), delegated=options.delegated)
    serve(replica, options.port, options.folder, options.rounds_ms / 1000)


if __name__ == "__main__":
    main()
