"""Ethereum: ETH and ERC-20 legs in one HTLC contract, seen through one node's JSON-RPC.

`chain.py` is the adapter; it only connects the rest:

- `settings.py`  what `[chains.NAME]` holds
- `rpc.py`       one JSON-RPC endpoint and its ways to fail; `node.py` what is asked of it, in typed values
- `abi.py`       encoding by the contract's artifact; `htlc.py` the contract in swapd's words: ids, calls, events
- `fees.py`      what to bid, as a pure function of the time left
- `view.py`      one leg as the chain shows it; `watch.py` what new blocks and the mempool show
- `act.py`       locks, claims, refunds and their replacements; `transactions.py` calls, drafts, signed bytes
- `cooperate.py` a receiver's word to give a lock back early; `handover.py` what other people's wallets send
- `prove.py`     what shows a leg to somebody who does not believe swapd; `trie.py` the way to a receipt
- `people.py`    addresses, limits and instructions; `wallet.py` balances and costs; `examine.py` what `doctor` looks at
- `deploy.py`    the contract's birth
"""
