"""What swapd remembers: swaps, what chains showed of them, what was signed for them, and the audit chain.

SQLite by default, PostgreSQL for a fleet; the same tables, the same queries, the same tests. No secret is in it: see
`docs/store.md`.
"""

from swapd.store.backup import Backup
from swapd.store.errors import AuditBroken, Conflict, DamagedRow, LeaseLost, NotHere
from swapd.store.keys import KeyRole, KeyRow, KeyState, Proof
from swapd.store.people import FirstAnswer
from swapd.store.records import (
    ApprovalRow,
    Attempt,
    AuditEntry,
    AuditHead,
    DisputeRow,
    DisputeState,
    EffectRow,
    EffectState,
    Found,
    FoundRequests,
    Lease,
    LegRow,
    RequestRow,
    RequestState,
    SwapRow,
)
from swapd.store.restore import Owner, Restored
from swapd.store.sealing import Sealer
from swapd.store.store import Store
from swapd.store.transaction import Reading, Transaction

__all__ = [
    "ApprovalRow",
    "Attempt",
    "AuditBroken",
    "AuditEntry",
    "AuditHead",
    "Backup",
    "Conflict",
    "DamagedRow",
    "DisputeRow",
    "DisputeState",
    "EffectRow",
    "EffectState",
    "FirstAnswer",
    "Found",
    "FoundRequests",
    "KeyRole",
    "KeyRow",
    "KeyState",
    "Lease",
    "LeaseLost",
    "LegRow",
    "NotHere",
    "Owner",
    "Proof",
    "Reading",
    "RequestRow",
    "RequestState",
    "Restored",
    "Sealer",
    "Store",
    "SwapRow",
    "Transaction",
]
