"""Addresses of every network, to output scripts and back (BIP 173, BIP 350, base58check).

Not by python-bitcoinlib's address classes: those follow a process-wide `SelectParams` and know no bech32m.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitcoin import segwit_addr
from bitcoin.base58 import Base58ChecksumError as ChecksumError
from bitcoin.base58 import CBase58Data, InvalidBase58Error

from swapd.chains.bitcoin.settings import Network
from swapd.errors import Invalid


@dataclass(frozen=True)
class _Form:
    """How a family of networks writes its addresses."""

    hrp: str
    pubkey_hash: int
    script_hash: int


_TEST = _Form("tb", 0x6F, 0xC4)
_FORMS: dict[Network, _Form] = {
    "main": _Form("bc", 0x00, 0x05),
    "test": _TEST,
    "testnet4": _TEST,
    "signet": _TEST,
    "regtest": _Form("bcrt", 0x6F, 0xC4),
}
_NAMES = {"bc": "main", "tb": "test or signet", "bcrt": "regtest"}
_BECH32, _BECH32M = 1, 0x2BC830A3  # checksum constants of BIP 173 and BIP 350


def output_script(text: str, network: Network, field: str) -> bytes:
    """The script that an address stands for: P2PKH, P2SH, P2WPKH, P2WSH or P2TR.

    Raises Invalid naming `field` for anything else, and for addresses of another network.
    """
    form = _FORMS[network]
    expected = f"an address for {network}"
    if text.lower().startswith(tuple(f"{known}1" for known in _NAMES)):
        hrp, version, program = _segwit(text, field, expected)
        if hrp != form.hrp:
            raise Invalid(field, text, f"{expected}; this one is for {_NAMES[hrp]}")
        return _witness_script(version, program, text, field, expected)
    version, digest = _base58(text, field, expected)
    if version == form.pubkey_hash:
        return b"\x76\xa9\x14" + digest + b"\x88\xac"  # DUP HASH160 <digest> EQUALVERIFY CHECKSIG
    if version == form.script_hash:
        return b"\xa9\x14" + digest + b"\x87"  # HASH160 <digest> EQUAL
    others = {0x00: "main", 0x05: "main", 0x6F: "test networks", 0xC4: "test networks"}
    whose = f"; this one is for {others[version]}" if version in others else ""
    raise Invalid(field, text, expected + whose)


def witness_address(program: bytes, network: Network) -> str:
    """The address of a version 0 witness program: 20 bytes for P2WPKH, 32 for P2WSH."""
    return str(segwit_addr.encode(_FORMS[network].hrp, 0, program))


def address_of(script: bytes, network: Network) -> str:
    """The reverse of `output_script`. Raises ValueError for a script of another form."""
    form = _FORMS[network]
    if len(script) == 25 and script.startswith(b"\x76\xa9\x14"):
        return str(CBase58Data.from_bytes(script[3:23], form.pubkey_hash))
    if len(script) == 23 and script.startswith(b"\xa9\x14"):
        return str(CBase58Data.from_bytes(script[2:22], form.script_hash))
    if script[:1] == b"\x00":
        return witness_address(script[2:], network)
    if len(script) == 34 and script.startswith(b"\x51\x20"):
        data = [1, *segwit_addr.convertbits(script[2:], 8, 5)]
        expanded = segwit_addr.bech32_hrp_expand(form.hrp) + data
        checksum = segwit_addr.bech32_polymod([*expanded, *[0] * 6]) ^ _BECH32M
        tail = [checksum >> 5 * (5 - place) & 31 for place in range(6)]
        return form.hrp + "1" + "".join(segwit_addr.CHARSET[value] for value in (*data, *tail))
    raise ValueError(f"no address stands for the script {script.hex()}")


def _segwit(text: str, field: str, expected: str) -> tuple[str, int, bytes]:
    """Human-readable part, version and program of a segwit address with a good checksum."""
    if text not in (text.lower(), text.upper()) or len(text) > 90:
        raise Invalid(field, text, f"{expected}, all lower or all upper case")
    hrp, _, data = text.lower().rpartition("1")
    if len(data) < 7 or not set(data) <= set(segwit_addr.CHARSET) or hrp not in _NAMES:
        raise Invalid(field, text, expected)
    values = [segwit_addr.CHARSET.index(character) for character in data]
    checksum = segwit_addr.bech32_polymod(segwit_addr.bech32_hrp_expand(hrp) + values)
    if checksum != (_BECH32 if values[0] == 0 else _BECH32M):
        raise Invalid(field, text, f"{expected}; the checksum of this one is wrong")
    program = segwit_addr.convertbits(values[1:-6], 5, 8, False)
    if program is None:
        raise Invalid(field, text, expected)
    return hrp, values[0], bytes(program)


def _witness_script(version: int, program: bytes, text: str, field: str, expected: str) -> bytes:
    if (version, len(program)) not in ((0, 20), (0, 32), (1, 32)):
        # what has no rules yet can be spent by anyone: money sent there is lost
        raise Invalid(field, text, f"{expected} of a kind in use: P2WPKH, P2WSH or P2TR")
    return bytes([0x50 + version if version else 0, len(program)]) + program


def _base58(text: str, field: str, expected: str) -> tuple[int, bytes]:
    try:
        data = CBase58Data(text)
    except ChecksumError:
        raise Invalid(field, text, f"{expected}; the checksum of this one is wrong") from None
    except (InvalidBase58Error, ValueError, IndexError):
        raise Invalid(field, text, expected) from None
    if len(data) != 20:
        raise Invalid(field, text, expected)
    return int(data.nVersion), bytes(data)
