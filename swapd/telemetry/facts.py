"""Every figure that says how things are, with its labels and what it means. Read when somebody asks, not counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

Figures: TypeAlias = Mapping[str, Mapping[tuple[str, ...], float]]
"""By name and by the values of its labels."""


@dataclass(frozen=True)
class Fact:
    means: str
    labels: tuple[str, ...] = ()


FACTS: Mapping[str, Fact] = MappingProxyType(
    {
        "swapd_swaps": Fact("Swaps by status.", ("status",)),
        "swapd_swaps_frozen": Fact("Swaps that stand still because of a dispute."),
        "swapd_disputes_open": Fact("Disputes that nobody has decided."),
        "swapd_damaged_rows": Fact("Rows of what is open that can not be what swapd wrote."),
        "swapd_nearest_deadline_seconds": Fact(
            "Until the nearest deadline of an effect that is wanted and in no block; below 0 it has passed.", ("kind",)
        ),
        "swapd_unsent_deadline_seconds": Fact("The same of effects of which nothing was sent.", ("kind",)),
        "swapd_next_deadline_seconds": Fact("Until the next moment at which money of an open swap hangs on something."),
        "swapd_effects_open": Fact("Effects that have not ended, by how far they are.", ("kind", "state")),
        "swapd_fees_paid_total": Fact(
            "Network fees of transactions in blocks, in the smallest unit of the chain's coin; a float.", ("chain",)
        ),
        "swapd_hot_balance": Fact("What swapd's wallet can spend, in the smallest unit; a float.", ("chain", "asset")),
        "swapd_hot_promised": Fact("What of it is promised to legs and not paid yet; a float.", ("asset",)),
        "swapd_exposure": Fact(
            "What swapd's wallets have in swaps that have not ended, or promised to them; a float.", ("asset",)
        ),
        "swapd_exposure_max": Fact("What they may have there by the settings; a float.", ("asset",)),
        "swapd_leases": Fact("Swaps that some worker holds at this moment."),
        "swapd_queue_depth": Fact("What waits for its turn.", ("queue",)),
        "swapd_webhook_dead_letters": Fact("Events that were tried for the last time, and wait for a person."),
        "swapd_chain_up": Fact("1 if something new may rest on the chain's nodes, else 0.", ("chain",)),
        "swapd_chain_height": Fact("The block up to which the chain was read.", ("chain",)),
        "swapd_chain_clock_drift_seconds": Fact(
            "This machine's clock less the chain's; on some chains an hour is ordinary.", ("chain",)
        ),
        "swapd_chain_clock_beyond_margins": Fact("1 if that is more than plans allow for, else 0.", ("chain",)),
        "swapd_conditions": Fact("Conditions that hold, as swapd warns of them in its log.", ("chain", "condition")),
        "swapd_store_trouble": Fact("1 while the database can not be relied on, else 0."),
        "swapd_lifeboat_afloat": Fact("1 while exits go on from memory, without the database, else 0."),
        "swapd_entry_open": Fact("1 if new money may go in, else 0."),
        "swapd_starting": Fact("1 until everything open was looked at once, else 0."),
        "swapd_loop_age_seconds": Fact("Since the loop last did something."),
    }
)
