"""The settings that every chain has. Each chain's folder adds its own in its `settings.py`.

Defaults live in `config/default.toml` alone, each with its meaning and reason; here stand only types and bounds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from swapd.protocol.terms import Asset


class Section(BaseModel):
    """A table of the configuration: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _whole(value: object) -> object:
    """Amounts are strings at the edge: a float cannot hold a wei, and TOML integers end at 2^63."""
    if isinstance(value, str) and value.isascii() and value.replace("_", "").isdigit():
        return int(value.replace("_", ""))
    return value


Amount = Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=0)]
"""A whole number of smallest units."""

Seconds = Annotated[int, Field(ge=0)]


class Tier(Section):
    """Confirmations asked of legs up to an amount; the last tier has no bound."""

    up_to: Amount | None = None
    confirmations: Annotated[int, Field(ge=1, le=10_000)]


class AssetSettings(Section):
    token: str = ""
    decimals: Annotated[int, Field(ge=0, le=36)]
    minimum: Amount
    maximum: Amount
    exposure_max: Amount | None = None
    tenant_day_max: Amount | None = None
    party_day_max: Amount | None = None
    approve_from: Amount | None = None
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> AssetSettings:
        if not 0 < self.minimum <= self.maximum:
            raise ValueError("minimum must be above zero and not above maximum")
        bounds = [tier.up_to for tier in self.tiers]
        if bounds[-1] is not None or None in bounds[:-1] or bounds[:-1] != sorted(set(bounds[:-1])):  # type: ignore[type-var]
            raise ValueError("tiers must rise in up_to, and only the last one has none")
        if [t.confirmations for t in self.tiers] != sorted(t.confirmations for t in self.tiers):
            raise ValueError("a larger amount must not need fewer confirmations")
        return self

    def confirmations(self, amount: int) -> int:
        """Blocks after which a leg of this amount is final."""
        return next(t.confirmations for t in self.tiers if t.up_to is None or amount <= t.up_to)


class TimingSettings(Section):
    """See `protocol/timelock.py` for what each means to the plan."""

    arrival: Literal["poisson", "slots", "fixed"]
    block_seconds: Annotated[float, Field(gt=0)]
    missed_share: Annotated[float, Field(ge=0, lt=1)]
    inclusion: Seconds
    clock_ahead: Seconds
    clock_behind: Seconds
    funding_window: Seconds
    outage: Seconds


class ChainSettings(Section):
    """What each `[chains.NAME]` table holds whatever the chain."""

    enabled: bool
    poll_seconds: Annotated[float, Field(gt=0, le=60)]
    timeout_seconds: Annotated[float, Field(gt=0, le=120)]
    timing: TimingSettings
    assets: dict[str, AssetSettings]

    def asset_table(self, chain: str) -> dict[str, Asset]:
        return {s: Asset(s, chain, a.decimals, a.token) for s, a in self.assets.items()}
