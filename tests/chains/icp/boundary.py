"""A boundary node that answers over HTTP whatever a test wants, right or wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from swapd.chains.icp import cbor

CUT = b""
"""An answer that is none: the connection is closed."""


@dataclass
class Boundary:
    """answers: what comes for each kind of request (call, query, read_state, status), by its body: the bytes of an HTTP
    response, or None to keep silent. seen: kind and body of all requests."""

    url: str = ""
    answers: dict[str, Callable[[bytes], bytes | None]] = field(default_factory=dict)
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def always(self, kind: str, *answers: bytes | None) -> None:
        """Give these answers one after the other, and the last one from then on."""
        left = list(answers)
        self.answers[kind] = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
            kind = path.rsplit("/", 1)[1]
            self.paths.append(path)
            self.seen.append((kind, body))
            answer = self.answers[kind](body)
            if answer is None:
                await reader.read()  # until the other side gives up
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side had enough
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def boundary() -> AsyncIterator[Boundary]:
    node = Boundary()
    server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
    node.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield node


def http(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def ok(value: object) -> bytes:
    return http(200, cbor.encode(value))
