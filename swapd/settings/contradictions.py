"""Settings that are fine each and wrong together. Raises Invalid naming one key, and the other in what is expected."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from swapd.chains.registry import REGISTRY
from swapd.chains.settings import ChainSettings, TimingSettings
from swapd.errors import Invalid
from swapd.settings.models import ApiSettings, Settings
from swapd.vault import Network

LEASE_WAITS = 2
"""Node timeouts within a lease: a worker that waits for both legs' nodes in turn must still hold the swap after."""

POLLS_IN_INCLUSION = 2
"""Looks at a chain within its inclusion margin: with fewer, the margin is spent before swapd has seen that it began."""

LEAST_ON_MAINNET = {"inclusion": 30, "funding_window": 600, "outage": 600}
"""Seconds. Below, a restart of the machine or a person who reads twice loses the swap; such margins are for devnet."""

assert LEASE_WAITS >= 2  # noqa: S101  (a swap has two legs)


def check(settings: Settings) -> None:
    """Everything that can be known to be wrong before a node is asked. Disabled chains are not looked at."""
    _daemon(settings)
    _vault(settings)
    _api(settings.api)
    _symbols(settings)
    for name, chain in settings.enabled_chains().items():
        _waits(name, chain, settings)
        _addresses(name, chain, settings)
        if settings.daemon.network is Network.MAINNET:
            _margins(f"chains.{name}.timing", chain.timing)
        try:
            REGISTRY[name].check(chain, settings.daemon.network)
        except Invalid as error:
            raise Invalid(f"chains.{name}.{error.field}", error.value, error.expected) from None


def _daemon(settings: Settings) -> None:
    daemon = settings.daemon
    if daemon.sweep_seconds < daemon.tick_seconds:
        raise Invalid("daemon.sweep_seconds", daemon.sweep_seconds, f"at least tick_seconds, {daemon.tick_seconds:g}")
    if daemon.lease_seconds <= daemon.tick_seconds:
        raise Invalid("daemon.tick_seconds", daemon.tick_seconds, f"less than lease_seconds, {daemon.lease_seconds}")


def _vault(settings: Settings) -> None:
    if settings.vault.scrypt == "light" and settings.daemon.network is not Network.DEVNET:
        raise Invalid(
            "vault.scrypt",
            "light",
            f"'strong', because daemon.network is {settings.daemon.network.value}: light is for devnet",
        )
    if settings.vault.key_file == settings.vault.passphrase_file:
        raise Invalid("vault.passphrase_file", str(settings.vault.passphrase_file), "another file than key_file")


def _api(api: ApiSettings) -> None:
    """Whoever hears a key on the way has it: no plain http but on this machine, unless somebody says why not."""
    if (api.tls_certificate is None) != (api.tls_key is None):
        missing = "tls_key" if api.tls_key is None else "tls_certificate"
        raise Invalid(
            f"api.{missing}", "nothing", "a file, because the other one of tls_certificate and tls_key is set"
        )
    if not (_is_this_machine(api.host) or api.tls_certificate or api.behind_proxy):
        raise Invalid(
            "api.host",
            api.host,
            "this machine, or tls_certificate and tls_key, or behind_proxy: keys travel in headers",
        )
    for each in api.trusted_proxies:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise Invalid("api.trusted_proxies", each, "addresses or networks, such as 10.0.0.0/8") from None
    limits = api.limits
    if limits.requests_per_minute > limits.requests_per_minute_all:
        raise Invalid(
            "api.limits.requests_per_minute",
            limits.requests_per_minute,
            f"at most requests_per_minute_all, {limits.requests_per_minute_all}: else one key takes everything",
        )


def _symbols(settings: Settings) -> None:
    """A person names an asset by its symbol alone, so it must mean one thing."""
    homes: dict[str, str] = {}
    for name, chain in settings.enabled_chains().items():
        for symbol in chain.assets:
            home = homes.setdefault(symbol.upper(), name)
            if home != name:
                raise Invalid(f"chains.{name}.assets.{symbol}", symbol, f"another symbol, chains.{home} has this one")
        if len({symbol.upper() for symbol in chain.assets}) < len(chain.assets):
            raise Invalid(
                f"chains.{name}.assets", ", ".join(chain.assets), "symbols that differ in more than their case"
            )
        tokens = [asset.token.lower() for asset in chain.assets.values()]
        if len(set(tokens)) < len(tokens):
            raise Invalid(f"chains.{name}.assets", ", ".join(chain.assets), "a token of its own for each asset")


def _waits(name: str, chain: ChainSettings, settings: Settings) -> None:
    lease = settings.daemon.lease_seconds
    if LEASE_WAITS * chain.timeout_seconds > lease:
        raise Invalid(
            f"chains.{name}.timeout_seconds",
            chain.timeout_seconds,
            f"at most {lease / LEASE_WAITS:g}, so that {LEASE_WAITS} waits fit into daemon.lease_seconds, {lease}",
        )
    if chain.timing.inclusion < POLLS_IN_INCLUSION * chain.poll_seconds:
        raise Invalid(
            f"chains.{name}.timing.inclusion",
            chain.timing.inclusion,
            f"at least {POLLS_IN_INCLUSION} times poll_seconds, {chain.poll_seconds:g}",
        )
    if chain.timing.funding_window < chain.timing.inclusion:
        raise Invalid(
            f"chains.{name}.timing.funding_window",
            chain.timing.funding_window,
            f"at least inclusion, {chain.timing.inclusion}: the leg must be in a block when the window ends",
        )
    if chain.timing.arrival != "slots" and chain.timing.missed_share:
        raise Invalid(
            f"chains.{name}.timing.missed_share",
            chain.timing.missed_share,
            f"0, because arrival is {chain.timing.arrival!r} and only 'slots' can be missed",
        )


def _margins(key: str, timing: TimingSettings) -> None:
    for margin, least in LEAST_ON_MAINNET.items():
        if getattr(timing, margin) < least:
            raise Invalid(f"{key}.{margin}", getattr(timing, margin), f"at least {least} s on mainnet")


def _addresses(name: str, chain: ChainSettings, settings: Settings) -> None:
    """What a node says decides over money (rule S1), so nobody on the way may be able to say it instead."""
    for key, address in _urls(chain):
        url = urlsplit(address)
        host = url.hostname or ""
        if url.scheme == "http" and not _is_this_machine(host) and host not in settings.daemon.trusted_hosts:
            raise Invalid(
                f"chains.{name}.{key}",
                address,
                f"https, or this machine, or {host!r} in daemon.trusted_hosts: plain http can be forged on the way",
            )


def _urls(chain: ChainSettings) -> Iterator[tuple[str, str]]:
    for key in type(chain).model_fields:
        if key.endswith("_url"):
            yield key, getattr(chain, key)
        if key.endswith("_urls"):
            yield from ((key, url) for url in getattr(chain, key))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
