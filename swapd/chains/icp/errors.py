"""What the client of the Internet Computer adds to the four errors of `swapd/errors.py`."""

from __future__ import annotations

from swapd.errors import Rejected, Unavailable


class Untrusted(Unavailable):
    """An answer that should carry a proof carries none, or one that does not hold. Nothing in it may be used.

    Anybody between us and the network can cause it, so it says nothing about the chain itself: ask again, or elsewhere.
    """


class Refusal(Rejected):
    """The network or a canister rejected a message (IC interface specification, "Reject codes").

    code: 1 system, fatal; 2 system, transient; 3 no such destination; 4 canister rejected; 5 canister trapped or did
    not reply; 6 outcome unknown (best-effort calls). error_code: like "IC0503", empty if none was given.
    """

    def __init__(self, method: str, code: int, message: str, error_code: str = "") -> None:
        self.code = code
        self.message = message
        self.error_code = error_code
        super().__init__(f"{method}: rejected: {message} (code {code}{f', {error_code}' if error_code else ''})")
