"""The sections that do not belong to a chain. Meanings and reasons of all keys stand in `config/default.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from swapd.chains.settings import ChainSettings, Seconds, Section
from swapd.vault import Network

Pause = Annotated[float, Field(gt=0, le=3_600)]
"""Seconds between two looks, or a bound on a wait."""


class DaemonSettings(Section):
    network: Network
    data_dir: Path
    worker: Annotated[str, Field(max_length=64)]
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["text", "json"]
    tick_seconds: Pause
    sweep_seconds: Pause
    lease_seconds: Annotated[int, Field(ge=1, le=3_600)]
    stop_seconds: Pause
    trusted_hosts: tuple[str, ...]


class DatabaseSettings(Section):
    url: Annotated[str, Field(pattern=r"^(sqlite:////|postgresql://)", repr=False)]  # it may hold a password


class VaultSettings(Section):
    key_file: Path
    passphrase_file: Path | None
    scrypt: Literal["strong", "light"]


class EntrySettings(Section):
    halted: bool
    open_swaps_max: Annotated[int, Field(ge=1, le=1_000_000)]
    tenant_open_swaps_max: Annotated[int, Field(ge=1, le=1_000_000)]
    party_open_swaps_max: Annotated[int, Field(ge=1, le=1_000_000)]
    approvals: Annotated[int, Field(ge=1, le=20)]
    approval_seconds: Annotated[int, Field(ge=60, le=30 * 86_400)]
    clock_slack_seconds: Seconds


class ApiLimits(Section):
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)]
    requests_per_minute_all: Annotated[int, Field(ge=1, le=10_000_000)]
    concurrent_per_key: Annotated[int, Field(ge=1, le=1_000)]
    concurrent_all: Annotated[int, Field(ge=1, le=10_000)]
    waiting_per_key: Annotated[int, Field(ge=0, le=10_000)]
    streams_per_key: Annotated[int, Field(ge=0, le=1_000)]
    connections_max: Annotated[int, Field(ge=1, le=100_000)]
    wrong_keys: Annotated[int, Field(ge=0, le=1_000_000)]
    lockout_seconds: Annotated[int, Field(ge=1, le=86_400)]


class ApiSettings(Section):
    enabled: bool
    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[int, Field(ge=0, le=65_535)]
    tls_certificate: Path | None
    tls_key: Path | None
    behind_proxy: bool
    trusted_proxies: tuple[str, ...]
    docs: bool
    body_bytes: Annotated[int, Field(ge=1_024, le=16 * 1024 * 1024)]
    body_seconds: Pause
    header_bytes: Annotated[int, Field(ge=2_048, le=1024 * 1024)]
    json_depth: Annotated[int, Field(ge=2, le=100)]
    idempotency_days: Annotated[int, Field(ge=1, le=3_650)]
    limits: ApiLimits


class WatchtowerSettings(Section):
    folder: Path | None
    gas_key_file: Path | None
    look_seconds: Pause
    grace_seconds: Seconds


class EventSettings(Section):
    poll_seconds: Pause
    heartbeat_seconds: Pause
    streams_max: Annotated[int, Field(ge=1, le=10_000)]
    send_seconds: Pause


class WebhookSettings(Section):
    most: Annotated[int, Field(ge=0, le=1_000)]
    most_per_owner: Annotated[int, Field(ge=0, le=1_000)]
    timeout_seconds: Annotated[float, Field(gt=0, le=120)]
    at_once: Annotated[int, Field(ge=1, le=32)]
    retry_seconds: Annotated[float, Field(gt=0, le=86_400)]
    retry_max_seconds: Annotated[float, Field(gt=0, le=604_800)]
    tries: Annotated[int, Field(ge=1, le=1_000)]
    rotation_seconds: Annotated[int, Field(ge=0, le=2_592_000)]
    keep_seconds: Annotated[int, Field(ge=0, le=31_536_000)]


class TracingSettings(Section):
    otlp_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None  # it may hold a key
    share: Annotated[float, Field(ge=0, le=1)]


class DevnetSettings(Section):
    bitcoind: Path | None
    anvil: Path | None
    postgres: Path | None


SECTIONS: Mapping[str, type[Section]] = {
    "daemon": DaemonSettings,
    "database": DatabaseSettings,
    "vault": VaultSettings,
    "entry": EntrySettings,
    "api": ApiSettings,
    "watchtower": WatchtowerSettings,
    "events": EventSettings,
    "webhooks": WebhookSettings,
    "tracing": TracingSettings,
    "devnet": DevnetSettings,
}


@dataclass(frozen=True)
class Settings:
    """Everything that was decided. All paths are absolute.

    chains: by the name of their table; each is an instance of the model that its chain registered.
    """

    daemon: DaemonSettings
    database: DatabaseSettings = field(repr=False)
    vault: VaultSettings
    entry: EntrySettings
    api: ApiSettings
    watchtower: WatchtowerSettings
    events: EventSettings
    webhooks: WebhookSettings
    tracing: TracingSettings = field(repr=False)
    devnet: DevnetSettings
    chains: Mapping[str, ChainSettings] = field(repr=False)

    def enabled_chains(self) -> dict[str, ChainSettings]:
        return {name: chain for name, chain in self.chains.items() if chain.enabled}
