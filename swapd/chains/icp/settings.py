"""What `[chains.NAME]` holds for the Internet Computer. Meanings and reasons stand in `config/default.toml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from swapd.chains.icp.bls import is_key
from swapd.chains.icp.principal import parse as parse_principal
from swapd.chains.settings import Amount, ChainSettings, Seconds
from swapd.errors import Invalid


class IcpSettings(ChainSettings):
    """Fees are in the smallest unit of each asset's ledger. `canister` is empty until the canister is deployed."""

    network: Literal["mainnet", "local"]
    api_url: Annotated[str, Field(pattern=r"^https?://")]
    more_api_urls: tuple[Annotated[str, Field(pattern=r"^https?://")], ...]
    root_key: Annotated[str, Field(pattern=r"^([0-9a-f]{266})?$")]
    canister: str
    module_hashes: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...]
    certificate_age: Annotated[Seconds, Field(ge=5, le=300)]
    request_seconds: Annotated[Seconds, Field(ge=10, le=240)]
    most_blocks: Annotated[int, Field(ge=1, le=100)]
    marketplaces: tuple[str, ...]
    ledger_fees: dict[str, Amount]

    @field_validator("canister")
    @classmethod
    def _canonical(cls, value: str) -> str:
        return _principal(value) if value else value

    @field_validator("marketplaces")
    @classmethod
    def _all_canonical(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_principal, value))

    @model_validator(mode="after")
    def _complete(self) -> IcpSettings:
        if self.root_key and not is_key(bytes.fromhex(self.root_key)):
            raise ValueError("root_key is the DER form of a BLS12-381 public key")
        if set(self.ledger_fees) != set(self.assets):
            raise ValueError("ledger_fees and assets name the same symbols")
        if any(tier.confirmations != 1 for asset in self.assets.values() for tier in asset.tiers):
            raise ValueError("what the subnet has certified is final: 1 confirmation for every amount")
        return self


def _principal(value: str) -> str:
    try:
        parse_principal("principal", value)
    except Invalid as error:
        raise ValueError(f"expected {error.expected}") from None  # the loader names key and value
    return value
