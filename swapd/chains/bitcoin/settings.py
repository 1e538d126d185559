"""The settings of the `[chains.bitcoin]` table. Their defaults, meanings and reasons: `config/default.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from swapd.chains.settings import ChainSettings, Seconds, Section

Network = Literal["main", "test", "testnet4", "signet", "regtest"]
"""As `getblockchaininfo` calls them."""

Rate = Annotated[int, Field(ge=1, le=1_000_000)]
"""sat/vB."""

File = Annotated[
    Path | None, BeforeValidator(lambda text: text or None), AfterValidator(lambda path: path and path.expanduser())
]
"""Empty: none. A leading ~ is the user's home."""

Share = Annotated[float, Field(gt=0, lt=1)]


def _absolute(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_absolute():
        raise ValueError("expected a path from / or ~ on")
    return path


class FeeSettings(Section):
    """See `fees.py` for how these make one schedule.

    floor_rate: never less. fallback_rate: when the node has no estimate. cap_rate: never more, except what the network
    asks at least, and near the deadline of a claim or refund. cap_share: of the amount, what a transaction may cost
    while its deadline is far; the cap of a claim or refund yields over the last `rush_seconds`, over which the rate
    also grows to `rush_multiple` times the estimate. step: a replacement is made when the right rate is this share
    above the last one's. batch_seconds: for how long a claim or refund with time waits for others to go with; 0: never.
    """

    floor_rate: Rate
    fallback_rate: Rate
    cap_rate: Rate
    cap_share: Share
    step: Annotated[float, Field(gt=0, le=1)]
    rush_seconds: Annotated[int, Field(gt=0)]
    rush_multiple: Annotated[float, Field(ge=1, le=100)]
    batch_seconds: Annotated[float, Field(ge=0, le=10)]

    @model_validator(mode="after")
    def _in_order(self) -> FeeSettings:
        if not self.floor_rate <= self.fallback_rate <= self.cap_rate:
            raise ValueError("floor_rate, fallback_rate and cap_rate must not fall in this order")
        return self


class BitcoinSettings(ChainSettings):
    """rpc_url: without user and password; those come from the node's cookie file, or from a user name and a file.
    wallet: a descriptor wallet of the node that nobody but swapd uses; "" where swapd only watches and sends what was
    signed elsewhere. scan_blocks: the most that one scan reads.
    mempool_batch: the most new mempool transactions that one look reads. clock_alarm_seconds: `doctor` complains when
    the node's clock and this machine's differ by more.
    """

    network: Network
    rpc_url: Annotated[str, Field(repr=False)]  # providers put a key into it
    rpc_cookie_file: File = None
    rpc_user: str = ""
    rpc_password_file: File = None
    more_rpc_urls: Annotated[tuple[str, ...], Field(repr=False)]
    more_rpc_cookie_files: tuple[Annotated[Path, AfterValidator(_absolute)], ...]
    quorum: Annotated[int, Field(ge=1)]
    wallet: Annotated[str, Field(min_length=1)]
    fee: FeeSettings
    scan_blocks: Annotated[int, Field(ge=1, le=1_000)]
    mempool_batch: Annotated[int, Field(ge=0, le=10_000)]
    clock_alarm_seconds: Seconds

    @model_validator(mode="after")
    def _one_way_in(self) -> BitcoinSettings:
        _require_url("rpc_url", self.rpc_url, "rpc_cookie_file, or rpc_user and its file")
        for url in self.more_rpc_urls:
            _require_url("more_rpc_urls", url, "more_rpc_cookie_files")
        if len(self.more_rpc_cookie_files) != len(self.more_rpc_urls):
            raise ValueError("more_rpc_cookie_files must name one file for each of more_rpc_urls, in their order")
        if len({self.rpc_url, *self.more_rpc_urls}) < 1 + len(self.more_rpc_urls):
            raise ValueError("each of rpc_url and more_rpc_urls is another node")
        if self.quorum > 1 + len(self.more_rpc_urls):
            raise ValueError("quorum must not be above the number of nodes in rpc_url and more_rpc_urls")
        by_password = bool(self.rpc_user) and self.rpc_password_file is not None
        if by_password == (self.rpc_cookie_file is not None) or bool(self.rpc_user) != bool(self.rpc_password_file):
            raise ValueError("give either rpc_cookie_file, or both rpc_user and rpc_password_file")
        unknown = [f"{symbol}: token {asset.token!r}" for symbol, asset in self.assets.items() if asset.token]
        if unknown or any(asset.decimals != 8 for asset in self.assets.values()):
            raise ValueError("assets of Bitcoin have no token and 8 decimals")
        return self


def _require_url(key: str, text: str, instead: str) -> None:
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"{key} must be an http or https URL")
    if url.username or url.password:
        raise ValueError(f"{key} must not hold user or password: use {instead}")
