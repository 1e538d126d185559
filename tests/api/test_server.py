"""The server on real sockets: bounds that only show there, a good end, and troubles that leave the daemon alone."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from swapd.api import app as apps
from swapd.api import server as servers
from swapd.api.server import serving
from swapd.api.service import Service
from swapd.devnet.ports import free_port
from swapd.settings import load
from swapd.store import KeyRole
from tests.api import trial
from tests.api.conftest import CONFIG, Api, problem, until

PATIENCE = 10
"""Seconds in which everything here happens, or never."""


@pytest.fixture(autouse=True)
def trial_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "make_app", lambda service: apps.make_app(service, (*apps.ROUTERS, trial.router)))


@dataclass
class Served:
    port: int
    service: Service
    stopping: asyncio.Event
    headers: dict[str, str]

    async def get(self, path: str, **more: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as http:
            return await http.get(path, headers=self.headers | more)

    async def raw(self, sent: bytes, *later: bytes) -> bytes:
        """All that comes back until the other side closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in (sent, *later):
                writer.write(part)
                await writer.drain()
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    def head(self, *lines: str) -> bytes:
        fixed = ("POST /v1/keys HTTP/1.1", "Host: swapd", f"Authorization: {self.headers['Authorization']}")
        return ("\r\n".join((*fixed, "Content-Type: application/json", *lines)) + "\r\n\r\n").encode()


Serving = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def served(api: Api, variables: dict[str, str]) -> Serving:
    @asynccontextmanager
    async def start(wait: bool = True, **changes: object) -> AsyncIterator[Served]:
        port = int(str(changes.pop("PORT", free_port())))
        given = {f"SWAPD__API__{name}": str(value) for name, value in ({"ENABLED": "true"} | changes).items()}
        settings = load(CONFIG, variables | given | {"SWAPD__API__PORT": str(port)})
        service = Service(api.service.house, settings)
        stopping = asyncio.Event()
        headers = {"Authorization": f"Bearer {api.tokens[KeyRole.ADMIN]}"}
        async with serving(service, stopping):
            if wait:
                await listening(port)
            yield Served(port, service, stopping, headers)

    return start


async def listening(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


def told(answer: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    return int(head.split()[1]), json.loads(body)


async def test_it_serves_on_this_machine(served: Serving) -> None:
    async with served() as it:
        answer = await it.get("/v1/me")
        assert answer.json()["name"] == "root"
        assert "server" not in answer.headers


async def test_nothing_listens_unless_the_settings_say_so(served: Serving) -> None:
    async with served(wait=False, ENABLED="false") as it:
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", it.port)


async def test_a_body_in_chunks_is_bounded_too(served: Serving) -> None:
    async with served(BODY_BYTES=2_048) as it:
        chunk = b"400\r\n" + b"x" * 1_024 + b"\r\n"
        status, what = told(await it.raw(it.head("Transfer-Encoding: chunked"), *[chunk] * 3))
        assert (status, what["type"]) == (413, "/problems/too-large")


async def test_a_length_that_is_announced_too_long_is_refused_unread(served: Serving) -> None:
    async with served() as it:
        status, what = told(await it.raw(it.head("Content-Length: 10000000000")))
        assert (status, what["type"]) == (413, "/problems/too-large")


async def test_who_is_still_sending_gets_the_answer(served: Serving) -> None:
    async with served() as it:
        status, what = told(await it.raw(it.head("Content-Length: 900000"), b"x" * 900_000))
        assert (status, what["type"]) == (413, "/problems/too-large")


async def test_a_body_that_does_not_come_is_not_waited_for(served: Serving) -> None:
    async with served(BODY_SECONDS=0.3) as it:
        status, what = told(await it.raw(it.head("Content-Length: 100"), b'{"name":'))
        assert (status, what["type"]) == (408, "/problems/too-slow")


async def test_headers_that_do_not_come_are_not_waited_for(served: Serving) -> None:
    async with served(BODY_SECONDS=0.3) as it:
        assert await it.raw(b"") == b""
        assert await it.raw(b"GET /v1/me HTTP/1.1\r\nHost:") == b""
        assert (await it.get("/v1/me")).status_code == 200


async def test_headers_that_trickle_on_a_connection_that_was_good_are_not_waited_for(served: Serving) -> None:
    async with served(BODY_SECONDS=0.3) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        whole = f"GET /v1/me HTTP/1.1\r\nHost: swapd\r\nAuthorization: {it.headers['Authorization']}\r\n\r\n"
        writer.write(whole.encode())
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /v1/me HT")
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()


async def test_a_body_that_nobody_reads_any_more_is_not_waited_for(served: Serving) -> None:
    async with served(BODY_SECONDS=0.3) as it:
        head = it.head("Content-Length: 1000").replace(b"swk_", b"xxx_")
        status, _ = told(await it.raw(head, b"{", b"}"))
        assert status == 401


@pytest.mark.parametrize("sent", [b"\x16\x03\x01hello\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n"])
async def test_what_is_no_http_gets_a_problem(served: Serving, sent: bytes) -> None:
    async with served() as it:
        status, what = told(await it.raw(sent))
        assert (status, what["type"]) == (400, "/problems/malformed")


async def test_headers_without_end_are_refused(served: Serving) -> None:
    async with served() as it:
        status, _ = told(await it.raw(it.head("X-Long: " + "x" * 100_000).rstrip()))
        assert status == 400


async def test_who_has_too_many_connections_leaves_the_next_one_in(served: Serving) -> None:
    async with served(LIMITS__CONNECTIONS_MAX=3, BODY_SECONDS=0.5) as it:
        idle = [await asyncio.open_connection("127.0.0.1", it.port) for _ in range(5)]
        async with asyncio.timeout(PATIENCE):  # all of them are closed: for being too many, or for saying nothing
            assert [await reader.read() for reader, _ in idle] == [b""] * 5
        assert (await it.get("/v1/me")).status_code == 200
        for _, writer in idle:
            writer.close()


async def test_it_ends_in_good_order(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "waiting", asyncio.Event())
    async with served() as it:
        under_way = asyncio.create_task(it.get("/v1/trial/wait"))
        await until(lambda: bool(it.service.rates._lines))
        it.stopping.set()
        await closed(it.port)
        trial.waiting.set()
        assert (await under_way).status_code == 200


async def closed(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_a_request_that_does_not_end_is_cut_off(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "waiting", asyncio.Event())
    monkeypatch.setattr(servers, "GRACE_SECONDS", 0.2)
    async with served() as it:
        under_way = asyncio.create_task(it.get("/v1/trial/wait"))
        await until(lambda: bool(it.service.rates._lines))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(under_way, return_exceptions=True)


async def test_a_port_in_use_is_one_clear_line_and_another_try(served: Serving) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, capture_logs() as lines:
        port = taken.getsockname()[1]
        async with served(wait=False, PORT=port):
            await said("api.not_listening", lines)
            taken.close()
            await listening(port)
    (line,) = (line for line in lines if line["log_level"] == "error")
    assert line["at"] == f"http://127.0.0.1:{port}"
    assert line["reason"].startswith("Address already in use")


async def said(event: str, lines: Sequence[Mapping[str, object]]) -> None:
    await until(lambda: event in [line["event"] for line in lines])


async def test_s8_a_mistake_in_the_api_leaves_the_daemon_alone(
    served: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(service: Service) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(servers, "make_app", broken)
    with capture_logs() as lines:
        async with served(wait=False):
            await said("api.mistake", lines)


async def test_with_a_certificate_it_speaks_https(served: Serving, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(certificate))
    async with (
        served(TLS_CERTIFICATE=certificate, TLS_KEY=key) as it,
        httpx.AsyncClient(base_url=f"https://localhost:{it.port}", verify=trust) as http,
    ):
        assert (await http.get("/v1/me", headers=it.headers)).status_code == 200


async def test_a_certificate_that_is_not_there_is_one_clear_line(served: Serving, tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with served(wait=False, TLS_CERTIFICATE=tmp_path / "none.pem", TLS_KEY=tmp_path / "none.key"):
            await said("api.not_listening", lines)
    assert lines[0]["reason"] == "No such file or directory"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "tls.pem", folder / "tls.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return certificate, private


@pytest.mark.parametrize(("trusted", "own_wait"), [("[]", False), ('["127.0.0.1"]', True)])
async def test_whom_a_trusted_proxy_speaks_for_has_a_lockout_of_its_own(
    served: Serving, trusted: str, own_wait: bool
) -> None:
    async with served(TRUSTED_PROXIES=trusted) as it:
        wrong = {"Authorization": f"Bearer swk_{'0' * 16}_{'0' * 64}"}
        for _ in range(7):
            guessed = await replace(it, headers=wrong).get("/v1/me", **{"X-Forwarded-For": "192.0.2.1"})
        problem(guessed, 429, "too-many-requests")
        other = await it.get("/v1/me", **{"X-Forwarded-For": "192.0.2.2"})
        assert (other.status_code == 200) is own_wait
