"""Signed requests: HTTP message signatures (RFC 9421) in one fixed profile.

    Content-Digest: sha-256=:<base64 of the body's SHA-256>:                                              (RFC 9530)
    Signature-Input: sig1=("@method" "@path" "@query" "content-digest");created=1800000000;nonce="...";
                     keyid="0f3a91c25be07d64";alg="hmac-sha256"
    Signature: sig1=:<base64 of the HMAC>:

These four parts, in this order; these four parameters, in any order; one signature. So there is nothing to negotiate
and little to parse, and libraries that speak the standard can make it. Host and scheme are not covered: a proxy may
change them, and the key is of this one service. The secret itself never travels; HMAC's key is `keys.signing_key`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

SKEW_SECONDS = 60
"""By which the signer's clock may differ from ours. Machines that keep time differ by a second; this forgives the
rest."""

COVERED = '("@method" "@path" "@query" "content-digest")'
_INPUT = re.compile(
    rf"(?P<label>[a-z*][a-z0-9_.*-]{{0,31}})=(?P<params>{re.escape(COVERED)}(?P<rest>;[\x20-\x7e]{{1,400}}))"
)
_PARAMETER = re.compile(
    r';(?:created=(?P<created>[0-9]{1,12})|nonce="(?P<nonce>[A-Za-z0-9+/=_.-]{16,64})"'
    r'|keyid="(?P<keyid>[0-9a-f]{16})"|alg="(?P<alg>hmac-sha256)")'
)
_SIGNATURE = re.compile(r"(?P<label>[a-z*][a-z0-9_.*-]{0,31})=:(?P<value>[A-Za-z0-9+/]{43}=):")
_DIGEST = re.compile(r"sha-256=:(?P<value>[A-Za-z0-9+/]{43}=):")


class BadSignature(Exception):
    """Why a signature is not taken. For tests and the log: the caller hears that it is not authorized."""


@dataclass(frozen=True)
class Signature:
    """What a request's headers claim. created: Unix seconds. base: what was signed."""

    key_id: str
    created: int
    nonce: str
    value: bytes
    base: bytes
    content_digest: bytes

    def require_fits(self, body: bytes, now: int) -> None:
        if not hmac.compare_digest(hashlib.sha256(body).digest(), self.content_digest):
            raise BadSignature("the body is not the one that was signed")
        if abs(now - self.created) > SKEW_SECONDS:
            raise BadSignature(f"signed at {self.created}, and it is {now}")

    def made_with(self, *signing_keys: bytes) -> bool:
        """As slow whichever of them it is, or none."""
        found = [hmac.compare_digest(hmac.digest(key, self.base, "sha256"), self.value) for key in signing_keys]
        return any(found)

    @property
    def until(self) -> int:
        """From when on it is too old: until then its nonce is remembered."""
        return self.created + SKEW_SECONDS + 1


def is_signed(headers: Headers) -> bool:
    return "signature-input" in headers or "signature" in headers


def read(method: str, raw_path: bytes, query: bytes, headers: Headers) -> Signature:
    """What the request claims. Raises `BadSignature` unless it is of the one profile."""
    claimed = _INPUT.fullmatch(_one(headers, "signature-input"))
    made = _SIGNATURE.fullmatch(_one(headers, "signature"))
    digest_line = _one(headers, "content-digest")
    digest = _DIGEST.fullmatch(digest_line)
    if claimed is None or made is None or digest is None or claimed["label"] != made["label"]:
        raise BadSignature("not of the profile")
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(claimed["rest"]):
        name = str(match.lastgroup)
        if name in parameters:
            raise BadSignature(f"{name} comes twice")
        parameters[name] = match[name]
    if parameters.keys() != {"created", "nonce", "keyid", "alg"} or _PARAMETER.sub("", claimed["rest"]):
        raise BadSignature("not the parameters of the profile")
    return Signature(
        key_id=parameters["keyid"],
        created=int(parameters["created"]),
        nonce=parameters["nonce"],
        value=_decoded(made["value"]),
        base=signature_base(method, raw_path, query, digest_line, claimed["params"]),
        content_digest=_decoded(digest["value"]),
    )


def signature_base(method: str, raw_path: bytes, query: bytes, content_digest: str, parameters: str) -> bytes:
    """RFC 9421, section 2.5. parameters: from the parenthesis on, as in Signature-Input."""
    lines = (
        f'"@method": {method}',
        f'"@path": {raw_path.decode("latin-1") or "/"}',
        f'"@query": ?{query.decode("latin-1")}',
        f'"content-digest": {content_digest}',
        f'"@signature-params": {parameters}',
    )
    return "\n".join(lines).encode("latin-1")


def sign(
    signing_key: bytes, key_id: str, method: str, path: str, query: str, body: bytes, *, created: int, nonce: str
) -> dict[str, str]:
    """The three headers of a signed request: what a client does."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    parameters = f'{COVERED};created={created};nonce="{nonce}";keyid="{key_id}";alg="hmac-sha256"'
    base = signature_base(method, path.encode(), query.encode(), digest, parameters)
    value = base64.b64encode(hmac.digest(signing_key, base, "sha256")).decode()
    return {"Content-Digest": digest, "Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{value}:"}


def _one(headers: Headers, name: str) -> str:
    found: Sequence[str] = headers.getlist(name)
    if len(found) != 1:
        raise BadSignature(f"{len(found)} headers {name}")
    return found[0]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadSignature("not base64") from None
