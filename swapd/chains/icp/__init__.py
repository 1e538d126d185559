"""The Internet Computer: ICP and ICRC-2 legs in one escrow canister, seen through any boundary node.

`chain.py` is the adapter; it only connects the rest. From the wire upwards:

- `transport.py`    HTTP with bounds; `cbor.py` what strangers may send
- `bls.py`          signatures; `hashtree.py` trees with parts left out; `certificate.py` what the network has certified
- `envelope.py`     signed requests; `agent.py` calls, their fate, queries, certified state; `errors.py`
- `candid/`         arguments and replies; `interface.py` their types; `principal.py` principals and accounts in text
- `escrow.py`       what a lock commits to; `canister.py` the swap canister; `ledger.py` ICRC-1 and 2; `log.py` ICRC-3
- `view.py`         one leg as certified state shows it; `watch.py` what the log shows; `stray.py` what looks like a leg
- `act.py`          locks, claims, refunds; `outcome.py` what was answered; `board.py` requests from marketplaces
- `cooperate.py`    a receiver's consent to an early refund; `handover.py` what other people call
- `prove.py`        what shows a leg to somebody who does not believe swapd
- `people.py`       accounts, limits and instructions; `examine.py` what `doctor` looks at
- `settings.py`     what `[chains.NAME]` holds; `kind.py` the chain in the registry
"""
