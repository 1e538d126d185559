"""What `[chains.NAME]` holds for Ethereum. Meanings and reasons stand in `config/default.toml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from swapd.chains.ethereum.address import checksummed
from swapd.chains.settings import Amount, ChainSettings, Seconds
from swapd.errors import Invalid


class EthereumSettings(ChainSettings):
    """Fees are in wei per gas. `contract` is empty until the contract is deployed."""

    chain_id: Annotated[int, Field(ge=1)]
    rpc_url: Annotated[str, Field(pattern=r"^https?://", repr=False)]  # providers put a key into it
    more_rpc_urls: Annotated[tuple[Annotated[str, Field(pattern=r"^https?://")], ...], Field(repr=False)]
    quorum: Annotated[int, Field(ge=1)]
    contract: str
    from_block: Annotated[int, Field(ge=0)]
    finalized_from: Annotated[int, Field(ge=2)]
    log_range: Annotated[int, Field(ge=1, le=100_000)]
    priority_floor: Annotated[Amount, Field(ge=1)]
    urgency_factor: Annotated[int, Field(ge=1, le=1_000)]
    ramp_seconds: Annotated[Seconds, Field(ge=1)]
    fee_cap: Amount
    fee_cap_at_deadline: Amount
    bump_percent: Annotated[int, Field(ge=13, le=100)]  # nodes refuse a replacement below 10 %, some below 12.5 %

    @field_validator("contract")
    @classmethod
    def _checksummed(cls, value: str) -> str:
        try:
            return checksummed("contract", value) if value else value
        except Invalid as error:
            raise ValueError(f"expected {error.expected}") from None  # the loader names key and value

    @property
    def rpc_urls(self) -> dict[str, str]:
        """By the names of their settings: a URL itself is not to be shown."""
        return {"rpc_url": self.rpc_url} | {f"more_rpc_urls {n}": url for n, url in enumerate(self.more_rpc_urls, 1)}

    @model_validator(mode="after")
    def _enough_nodes(self) -> EthereumSettings:
        if len({self.rpc_url, *self.more_rpc_urls}) < len(self.rpc_urls):
            raise ValueError("each of rpc_url and more_rpc_urls is another node")
        if self.quorum > len(self.rpc_urls):
            raise ValueError("quorum must not be above the number of nodes in rpc_url and more_rpc_urls")
        return self

    @model_validator(mode="after")
    def _fees_in_order(self) -> EthereumSettings:
        if not self.priority_floor <= self.fee_cap <= self.fee_cap_at_deadline:
            raise ValueError("priority_floor must not be above fee_cap, nor fee_cap above fee_cap_at_deadline")
        return self
