"""Where webhooks may lead, and one signed POST there.

Whoever registers a webhook has this machine speak to an address of its choice: so it must not reach what only this
machine can reach (a node, a database, a cloud's metadata). The name is resolved here, every address of it is looked at,
and the connection goes to one of those, not to what the name means a moment later. Redirects are not followed, and of
the answer nothing but its status is kept.

Signatures: https://www.standardwebhooks.com, symmetric (`v1`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httpx

from swapd.errors import Invalid
from swapd.vault.known import KNOWN

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SECRET_BYTES = 32
"""The specification asks for 24 to 64."""

MOST_URL = 2_000
MOST_ADDRESSES = 3
"""Of one name, tried one after the other while nobody answers."""

MOST_ANSWER = 4_096
"""Bytes of an answer that are read before the connection is closed."""

_RESOLVERS = 64
"""Threads for looking names up, which can hang for half a minute: of their own, so that nothing of swapd's waits behind
them, and so many that the names of one tenant's webhooks can not take them all."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ELSEWHERE = (ipaddress.ip_address("168.63.129.16"),)
"""Public by its number, but answered by the cloud's own host (Azure)."""


class Refused(Exception):
    """It may not be posted to; says why."""


@dataclass(frozen=True)
class Answer:
    """What came of a post. status: HTTP's, None if there was none. error: why it did not work, "" if it did."""

    status: int | None
    error: str = ""


@dataclass(frozen=True)
class Doors:
    """Which hosts may be posted to. trusted: `daemon.trusted_hosts`: any address, and over plain http."""

    trusted: Collection[str] = ()

    def check(self, url: str, *, house: bool) -> SplitResult:
        """A URL as it is registered; raises Invalid. house: it is the operator's own, who may also name this machine.
        A tenant may not: what listens here trusts what comes from here."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise Invalid("url", url, "a URL") from None
        if len(url) > MOST_URL or not url.isascii() or not url.isprintable() or " " in url:
            raise Invalid("url", f"{len(url)} characters", f"at most {MOST_URL}, of ASCII, without spaces")
        if parts.scheme not in ("http", "https") or not host:
            raise Invalid("url", url, "https://HOST/...")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise Invalid("url", host, "a URL without user, password and fragment")
        if parts.scheme == "http" and not self._plain(host, house):
            raise Invalid("url", url, "https: plain http can be read and forged on the way")
        literal = _literal(host)
        if literal is not None and (why := self.refusal(host, literal, house=house)):
            raise Invalid("url", url, f"a host that swapd may post to: {why}")
        return parts

    def refusal(self, host: str, address: Address, *, house: bool) -> str:
        """Why this address of the host is not posted to; "" if it may be."""
        if host in self.trusted or (house and address.is_loopback):
            return ""
        for each in (address, *_inner(address)):
            if each in _ELSEWHERE or not each.is_global or each.is_multicast:
                return f"{address} is not a public address; name the host in daemon.trusted_hosts if it is yours"
        return ""

    def _plain(self, host: str, house: bool) -> bool:
        literal = _literal(host)
        here = host == "localhost" if literal is None else literal.is_loopback
        return host in self.trusted or (house and here)


@dataclass
class Postman:
    """Posts. seconds: the longest that one post may take, looking the name up included. trust: whose certificates are
    believed; None for those of this machine."""

    doors: Doors
    seconds: float
    trust: ssl.SSLContext | None = None
    _client: httpx.AsyncClient = field(init=False)
    _resolvers: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="receivers")
        self._client = httpx.AsyncClient(
            verify=self.trust or ssl.create_default_context(),
            timeout=httpx.Timeout(self.seconds),
            # no connection is used twice: two hosts may share an address, and each is to show its own certificate
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, house: bool) -> Answer:
        """Never raises for what can go wrong on the way."""
        try:
            async with asyncio.timeout(self.seconds):
                return await self._post(self.doors.check(url, house=house), body, headers, house)
        except TimeoutError:
            return Answer(None, f"no answer within {self.seconds:g} s")
        except (Invalid, Refused) as error:
            return Answer(None, str(error))

    async def _post(self, url: SplitResult, body: bytes, headers: dict[str, str], house: bool) -> Answer:
        addresses = await self._resolve(url, house)
        answer = Answer(None, "nobody was asked")
        for address in addresses[:MOST_ADDRESSES]:
            answer = await self._post_to(address, url, body, headers)
            if answer.error != _NOBODY:
                break
        return answer

    async def _post_to(self, address: Address, url: SplitResult, body: bytes, headers: dict[str, str]) -> Answer:
        host = str(address) if address.version == 4 else f"[{address}]"
        port = "" if url.port is None else f":{url.port}"
        target = url._replace(netloc=host + port).geturl()
        # the request goes to the address that was looked at; certificate and Host are those of the name
        named = {"Host": url.netloc, **headers}
        try:
            async with self._client.stream(
                "POST", target, content=body, headers=named, extensions={"sni_hostname": url.hostname}
            ) as response:
                await _drain(response)
        except httpx.ConnectError as error:
            return Answer(None, _NOBODY if _unheard(error) else f"no connection: {error}")
        except httpx.HTTPError as error:
            return Answer(None, f"the connection broke: {type(error).__name__}")
        if response.is_success:
            return Answer(response.status_code)
        told = "a redirect, which is not followed" if response.is_redirect else "an answer that is not 2xx"
        return Answer(response.status_code, f"{told}: {response.status_code}")

    async def _resolve(self, url: SplitResult, house: bool) -> Sequence[Address]:
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)

        def look_up() -> Iterable[tuple[object, ...]]:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

        try:
            found = await asyncio.get_running_loop().run_in_executor(self._resolvers, look_up)
        except (OSError, UnicodeError):
            raise Refused(f"the name {host} is not known") from None
        texts = [str(each[4][0]).partition("%")[0] for each in found]  # type: ignore[index]
        addresses = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        for address in addresses:
            if why := self.doors.refusal(host, address, house=house):
                raise Refused(why)
        return addresses


def sign(secrets_: Sequence[bytes], message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks, with one signature for each secret. at: Unix seconds."""
    for each in secrets_:
        KNOWN.add(each, passing=True)  # to the redactor of logs
    signed = f"{message_id}.{at}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(each, signed, hashlib.sha256)).decode() for each in secrets_]
    return {
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": " ".join(f"v1,{each}" for each in signatures),
    }


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """As the specification writes it and its libraries take it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


_NOBODY = "nobody listens there"


def _unheard(error: BaseException) -> bool:
    """Whether nobody was there, so that the next address may be tried; a bad certificate is somebody."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
        if isinstance(error, ssl.SSLError):
            return False
    return isinstance(error, OSError)


async def _drain(response: httpx.Response) -> None:
    read = 0
    async for part in response.aiter_raw():
        read += len(part)
        if read > MOST_ANSWER:
            return


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _inner(address: Address) -> list[Address]:
    """IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in inner if each is not None]
