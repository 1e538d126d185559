"""Bitcoin: hash-time-locked outputs in P2WSH, funded by the node's wallet, spent with keys of the vault.

script.py       what the HTLC says, and the identities it commits to     (pure)
address.py      addresses of every network, to scripts and back          (pure)
transaction.py  claim and refund, built, weighed and signed              (pure)
fees.py         what to pay, as a function of the time that is left      (pure)
rpc.py          the node's JSON-RPC, its failures sorted into our errors
blocks.py       blocks and transactions read from the node
hints.py        where the sightings of a leg lead, and which to follow first
search.py       what spent an output, when no sighting tells
look.py         a leg as the chain shows it now
watch.py        what happened since a cursor, and what is pending
market.py       what the node says about fees, made fit for the schedule
pool.py         questions to the mempool about one transaction
funding.py      a lock, paid by the node's wallet
stuck.py        a lock that hangs: replaced, or taken back
spending.py     a claim or a refund, with the fee that is right now
batch.py        several of them in one transaction
ahead.py        claims and refunds signed in advance, for a watchtower
psbt.py         partially signed transactions, read and written          (pure)
message.py      messages signed by the owner of an address (BIP 322)      (pure)
cooperate.py    a refund before the timelock, with the receiver's signature
handover.py     what others sign for their own claims and refunds
prove.py        what shows a leg to somebody who does not believe swapd
fate.py         what became of a transaction
health.py       what is right and wrong with the node
chain.py        all of it as one `HtlcChain`
"""

from swapd.chains.bitcoin.chain import BitcoinChain
from swapd.chains.bitcoin.settings import BitcoinSettings

__all__ = ["BitcoinChain", "BitcoinSettings"]
