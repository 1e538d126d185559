"""What swapd's own locks carry along, so that the seed and the chains are enough (rule S14)."""

from __future__ import annotations

from collections.abc import Sequence

from swapd.chains.abilities import Hides
from swapd.coordinator.house import House
from swapd.protocol.note import Agreed, Note, Unseen, tag_of
from swapd.protocol.terms import LegTerms, Role, SwapTerms


def note_of(house: House, terms: SwapTerms, role: Role) -> bytes:
    """The note of the lock of this leg. The same swap gives the same note, always."""
    unseen = None
    for leg in (terms.leg(role), terms.leg(role.other)):
        chain = house.chain(leg.terms.chain)
        if isinstance(chain, Hides):
            unseen = chain.unseen(leg)
            break
    return Note(terms.index, tag(house, terms.index, [leg.terms for leg in terms.legs], unseen), unseen).encode()


def tag(house: House, index: int, legs: Sequence[LegTerms], unseen: Unseen | None) -> int:
    """legs: initiator's first. The key is the preimage of the swap's index, of which a tag tells nothing; once it is
    public, nothing rests on tags any more."""
    agreed = [
        Agreed(role, house.chain(leg.chain).fingerprint(leg), leg.amount) for role, leg in zip(Role, legs, strict=True)
    ]
    return tag_of(house.secrets.preimage(index), agreed, unseen)
