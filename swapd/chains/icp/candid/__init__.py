"""Candid: what canisters are told and answer, mostly one argument a method.

ic-py has a Candid of its own, which is not used here. It decodes without any bound on what a stranger's bytes may ask
for, in a time that grows with the square of their length; takes legal answers for wrong ones (a field or a case more or
less than expected) and wrong ones for right (bytes that are left over); and raises whatever Python comes across. The
tests read what ours writes with ic-py's, and the other way round.

In Python: record → dict, tuple → tuple, variant → dict of the one case, opt → None or the value, vec → list, blob and
principal → bytes, func → (principal, method), null and reserved → None.

- `types.py`     the types, as values
- `encoding.py`  `encode`, `encode_all`; what does not fit its type is Invalid
- `decoding.py`  `decode`; what does not fit the type expected is Unavailable: nobody has given an answer
- `reader.py`    a message's bytes; `table.py` its own types; `textual.py` Candid as people type it
"""

from swapd.chains.icp.candid.decoding import decode
from swapd.chains.icp.candid.encoding import NO_ARGUMENTS, encode, encode_all

__all__ = ["NO_ARGUMENTS", "decode", "encode", "encode_all"]
