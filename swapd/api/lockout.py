"""Guessing keys: whoever fails again and again has to wait, longer each time.

Of addresses, not of keys: who guesses at a key must not be able to shut its holder out. And not of a key that was good
a moment ago, from wherever it comes: behind one proxy or one office router the honest share an address with the
guesser.

A secret has 256 bits, so guessing is hopeless anyway; the wait keeps it from costing the database anything.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

ADDRESSES_MAX = 10_000
"""Remembered at a time, the longest quiet forgotten first: a megabyte or two."""

KNOWN_MAX = 1_000
"""Credentials remembered as good."""

FIRST_WAIT = 1.0
"""Seconds after the first failure too many; doubled with each further one."""

NETWORK_BITS = 64
"""Of an IPv6 address: whoever has one has all of its /64."""


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0
    until: float = 0.0


@dataclass
class Lockout:
    """free: failures without a wait. longest: seconds of the longest wait; an address that is quiet for as long after
    it begins anew."""

    free: int
    longest: float
    clock: Callable[[], float] = time.monotonic
    _failures: OrderedDict[str, _Failures] = field(default_factory=OrderedDict, init=False, repr=False)
    _known: OrderedDict[bytes, None] = field(default_factory=OrderedDict, init=False, repr=False)

    def wait(self, address: str, credential: bytes) -> float:
        """Seconds before this address may try again; 0 for a credential that was good before."""
        if credential in self._known:
            return 0.0
        found = self._failures.get(network(address))
        return 0.0 if found is None else max(0.0, found.until - self.clock())

    def failed(self, address: str, credential: bytes) -> None:
        self._known.pop(credential, None)
        now, name = self.clock(), network(address)
        found = self._failures.pop(name, None)
        if found is None or now - max(found.last, found.until) > self.longest:
            found = _Failures()
        found.count, found.last = found.count + 1, now
        over = found.count - self.free
        if over > 0:
            found.until = now + min(self.longest, FIRST_WAIT * 2.0 ** min(over - 1, 32))
        self._failures[name] = found
        if len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, credential: bytes) -> None:
        """It forgives its address nothing: else one good key would make guessing at others free."""
        self._known[credential] = None
        self._known.move_to_end(credential)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)


def network(address: str) -> str:
    """The part of an address that belongs to one party."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # a socket file, or what a trusted proxy says
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, NETWORK_BITS), strict=False).network_address)
    return str(parsed)
