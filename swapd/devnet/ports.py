"""Free ports on loopback."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A TCP port on loopback that nobody else is given for the next minute.

    The kernel hands out a port, and one connection to it is made and closed. What remains of that connection
    (TIME_WAIT, 60 s) keeps the kernel from handing the port to anybody else, while a server that asks for it by
    number with SO_REUSEADDR, as ours all do, gets it.
    """
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((LOOPBACK, 0))
        server.listen(1)
        port: int = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)):
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first is the one in TIME_WAIT: it must be ours
    return port
