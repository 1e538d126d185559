"""What went wrong for others, and the attacks on swaps that are known: each is held by a test whose name begins alike.

Compiled in November 2026 from the projects' own repositories and trackers; `sources` are their issues. The page is
docs/anchors.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """begins: the names of its tests do. failures: how many different ones it is made of, each with a test at least."""

    number: int
    words: str
    begins: str
    sources: tuple[str, ...] = ()
    failures: int = 1


WHAT_WENT_WRONG = (
    Item(
        1,
        "Nonce gap: 24 missing nonces wedged everything after; replaced transactions lost silently",
        "test_01_",
        ("boltz-backend #1201", "dcrdex #1467"),
        2,
    ),
    Item(
        2,
        "Confirmed locks missed after a restart or an RPC error: scan cursor moved on although the call failed",
        "test_02_",
        ("boltz-backend #1096",),
    ),
    Item(
        3,
        "Expiry fired although a claim was pending; refund sent because a claim was unconfirmed",
        "test_03_",
        ("boltz-backend #1407", "komodo #774"),
        2,
    ),
    Item(
        4,
        "Over- and underpayments refunded by hand; locks after expiry stuck",
        "test_04_",
        ("boltz-backend #504", "boltz-client #615"),
        2,
    ),
    Item(
        5,
        'Out-of-gas claim recorded as success; "already imported" recorded as failure',
        "test_05_",
        ("komodo #2175", "komodo #491"),
        2,
    ),
    Item(
        6,
        "Pre-signed fee under the mempool minimum trapped funds; never-mined low-fee lock hangs; fee cap blocked the"
        " sweep",
        "test_06_",
        ("xmr-btc-swap #1453", "dcrdex #3135", "loop #300"),
        3,
    ),
    Item(
        7,
        "Transaction id not stored before waiting for the receipt; it mined two hours later",
        "test_07_",
        ("athanor #443",),
    ),
    Item(
        8,
        "Data folder lost in the middle of a swap; `abandon` left an expired HTLC unswept",
        "test_08_",
        ("loop #948", "loop #1074"),
        2,
    ),
    Item(
        9,
        "One unrelated row ended the loop over a block, so other confirmations waited",
        "test_09_",
        ("dcrdex, by reading",),
    ),
    Item(
        10,
        "Refund needs the server or the wallet; people want to see when the refund comes",
        "test_10_",
        ("dcrdex #952", "dcrdex #1947"),
        2,
    ),
    Item(
        11,
        "Fake records planted in a database made a solver lock real money",
        "test_11_",
        ("reported July 2026",),
    ),
    Item(
        12,
        "Refund rejected as non-final because median time lags; machine clock off",
        "test_12_",
        ("komodo #544", "komodo #1437"),
    ),
)

ATTACKS = (
    Item(1, "Preimage of another length claims on one chain only", "test_preimage_of_another_length_"),
    Item(2, "Different hash functions per chain", "test_different_hash_functions_per_chain"),
    Item(3, "Claim so late that the other side has no time", "test_claim_so_late_", failures=2),
    Item(4, "Mempool leak and front-running", "test_mempool_leak_and_front_running_", failures=3),
    Item(5, "Reorg after reveal", "test_reorg_after_reveal"),
    Item(6, "Duplicate id griefing", "test_duplicate_id_griefing"),
    Item(
        7,
        "Fee-on-transfer, rebasing, blacklisting, non-standard ERC-20",
        "test_fee_on_transfer_rebasing_blacklisting_non_standard_erc20_",
        failures=4,
    ),
    Item(
        8, "Recipient contract refuses ETH or needs more than 2300 gas", "test_recipient_contract_refuses_eth_or_needs_"
    ),
    Item(9, "Replay across chains or contracts", "test_replay_across_chains_or_contracts_", failures=3),
    Item(10, "Free option, griefing", "test_free_option_and_griefing_", failures=3),
    Item(11, "RBF pinning, replacement cycling", "test_rbf_pinning_and_replacement_cycling"),
    Item(12, "Block timestamp games", "test_block_timestamp_games_", failures=2),
    Item(13, "Malicious boundary node or RPC", "test_malicious_boundary_node_or_rpc_", failures=3),
    Item(14, "Poisoned database or queue", "test_poisoned_database_or_queue_", failures=2),
)
