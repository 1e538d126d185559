"""The four ways something can go wrong, and nothing else.

An error says what was tried and what is known. Which of the four it is decides what a caller may do next:
`Unavailable` may be tried again, `Rejected` may not, `Unknown` must be looked up first (rule S10: a timeout says
nothing about the chain), `Invalid` is the caller's own to mend.
"""

from __future__ import annotations


class SwapdError(Exception):
    """Root of every error that swapd raises on purpose. Its text is fit to be shown to a person."""


class Unavailable(SwapdError):
    """Somebody we asked did not answer. Nothing was changed by us; the same call may be tried again."""


class Rejected(SwapdError):
    """Somebody we asked said no, in the words given. The same call would get the same answer."""


class HouseOnly(Rejected):
    """A refusal whose words are about swapd's own money. for_others: what everybody else is told."""

    for_others = "swapd can not take this now"


class Unknown(SwapdError):
    """An effect was attempted and its outcome is not known. It has to be looked up, never guessed or redone."""


class Invalid(SwapdError):
    """The caller's fault. Names the field, the value that was given and what was expected.

    >>> str(Invalid("amount", 0, "a whole number of satoshi from 546"))
    'amount: got 0, expected a whole number of satoshi from 546'
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        self.value = value
        self.expected = expected
        super().__init__(f"{field}: got {value!r}, expected {expected}")
