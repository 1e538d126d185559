"""Where webhooks may lead, and what is said there."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from swapd.coordinator.receivers import Answer, Doors, Postman, shown, sign
from swapd.errors import Invalid
from tests.webhooks.receiver import Got, Receiver


async def post(
    url: str, doors: Doors | None = None, *, house: bool = True, trust: ssl.SSLContext | None = None
) -> Answer:
    postman = Postman(doors or Doors(), 2, trust)
    try:
        return await postman.post(url, b"{}", {}, house=house)
    finally:
        await postman.close()


def test_signatures_are_those_of_the_specification() -> None:
    """The example that the libraries of Standard Webhooks test themselves with."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = sign([_bytes(secret)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert shown(_bytes(secret)) == secret
    both = sign([_bytes(secret), b"another"], "id", 1, b"")["Webhook-Signature"].split(" ")
    assert len(both) == 2
    assert all(each.startswith("v1,") for each in both)


def _bytes(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:password@example.org/",
        "https://example.org/#fragment",
        "https://example.org:99999/",
        "https://[::1/",
        "http://example.org/",
        "http://127.0.0.1:8332/",
        "http://localhost/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.100.100.200/",
        "https://168.63.129.16/",
        "https://0.0.0.0/",
        "https://255.255.255.255/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://example.org/\n",
        "https://example.org/ä",
        f"https://example.org/{'x' * 2000}",
    ],
)
async def test_a_tenant_can_not_name_what_only_this_machine_reaches(url: str) -> None:
    with pytest.raises(Invalid, match="url: got"):
        Doors().check(url, house=False)
    answer = await post(url, house=False)
    assert answer.status is None
    assert answer.error


@pytest.mark.parametrize(
    "url", ["https://example.org/hook", "https://93.184.215.14:8443/?a=b", "https://[2606:4700::11]/"]
)
def test_whatever_is_public_may_be_named(url: str) -> None:
    Doors().check(url, house=False)


def test_the_house_may_name_this_machine_and_everybody_the_trusted_hosts() -> None:
    for url in ("http://127.0.0.1:1/", "http://[::1]/", "http://localhost/x"):
        Doors().check(url, house=True)
    trusting = Doors(["10.0.0.7", "hooks.internal", "127.0.0.1"])
    for url in ("http://10.0.0.7/", "http://hooks.internal/x", "http://127.0.0.1:9/"):
        trusting.check(url, house=False)
    with pytest.raises(Invalid):
        trusting.check("http://10.0.0.8/", house=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1"])
async def test_a_name_that_leads_to_a_private_address_is_not_posted_to(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, address: str
) -> None:
    _resolves(monkeypatch, "93.184.215.14", address)
    answer = await post(f"https://rebound.example:{receiver.port}/", house=False)
    assert "is not a public address" in answer.error
    assert receiver.connections == 0


async def test_the_connection_goes_to_the_address_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """A name that means something else a moment later leads nowhere else, and shows its own name all the same."""
    asked = _resolves(monkeypatch, "127.0.0.1")
    assert await post(f"http://hooks.internal:{receiver.port}/x?y=z", Doors(["hooks.internal"])) == Answer(200)
    assert asked == ["hooks.internal"]
    assert receiver.got[0].headers["host"] == f"hooks.internal:{receiver.port}"


async def test_the_next_address_is_tried_when_nobody_listens_at_the_first(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    _resolves(monkeypatch, "127.0.0.2", "127.0.0.1")
    assert await post(f"http://localhost:{receiver.port}/") == Answer(200)


async def test_a_name_that_nobody_knows_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert (await post("https://nowhere.example/")).error == "the name nowhere.example is not known"


async def test_a_certificate_must_be_the_names_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server, client = _certificate("hooks.internal", tmp_path)
    _resolves(monkeypatch, "127.0.0.1")
    doors = Doors(["hooks.internal", "other.internal"])
    async with Receiver(tls=server) as receiver:
        assert await post(f"https://hooks.internal:{receiver.port}/", doors, trust=client) == Answer(200)
        wrong_name = await post(f"https://other.internal:{receiver.port}/", doors, trust=client)
        unknown_issuer = await post(f"https://hooks.internal:{receiver.port}/", doors)
        assert "ertificate" in wrong_name.error
        assert "ertificate" in unknown_issuer.error
        assert len(receiver.got) == 1


async def test_an_endless_answer_is_not_read_to_its_end(receiver: Receiver) -> None:
    receiver.answer_bytes = 50_000_000
    assert await post(receiver.url) == Answer(200)


async def test_who_says_nothing_is_waited_for_only_so_long(receiver: Receiver) -> None:
    async def hang(_: Got) -> int:
        await asyncio.sleep(60)
        return 200

    receiver.behave = hang
    assert (await post(receiver.url)).error == "no answer within 2 s"


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await post(receiver.url) == Answer(200)


def _resolves(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Every name means these addresses; returns the names that were looked up."""
    asked: list[str] = []

    def look_up(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr("swapd.coordinator.receivers.socket.getaddrinfo", look_up)
    return asked


def _certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS for this name, and a client's that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


def test_these_addresses_are_what_python_takes_them_for() -> None:
    assert ipaddress.ip_address("64:ff9b::a9fe:a9fe").is_global, "so it is looked into"
