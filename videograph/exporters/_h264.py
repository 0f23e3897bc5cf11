"""What an H.264 stream says of itself, as far as joining two streams needs it (ITU-T H.264, 7.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SLICE, IDR_SLICE, SPS, PPS, DELIMITER = 1, 5, 7, 8, 9
"""Kinds of NAL units."""
PARTITIONS = (2, 3, 4)
"""Slices cut in three, of the Extended profile, which nothing plays."""
START_CODE = b"\0\0\0\1"
PROFILES = {66: "baseline", 77: "main", 100: "high"}
"""Profiles in 4:2:0 and 8 bits, by number, as x264 names them."""


@dataclass(frozen=True)
class Sequence:
    """A sequence parameter set, as far as it is read."""

    number: int
    """Its id."""
    profile: int
    """`profile_idc`."""
    level: int
    """`level_idc`: 31 for level 3.1."""
    progressive: bool
    """Whether all pictures are whole frames."""


class Unreadable(ValueError):
    """A parameter set that ends early or holds what is not read here."""


def units(data: bytes, length_size: int) -> list[bytes]:
    """The NAL units of a packet.

    Args:
        data: the packet.
        length_size: bytes of the number before each unit; 0 where start codes part them (Annex B).

    Raises:
        Unreadable: it is cut off.
    """
    return list(_prefixed(data, length_size) if length_size else _parted(data))


def kind(unit: bytes) -> int:
    """Type of a NAL unit."""
    return unit[0] & 31


def stored_sets(extradata: bytes) -> tuple[int, list[bytes]]:
    """The length size of the packets, 0 for Annex B, and the parameter sets beside the stream.

    Raises:
        Unreadable: neither an `avcC` record nor Annex B.
    """
    if extradata[:1] != b"\1":
        return 0, [u for u in _parted(extradata) if kind(u) in (SPS, PPS)]
    found, at = [], 5
    try:
        for mask in (31, 255):  # how many SPS, then how many PPS
            n, at = extradata[at] & mask, at + 1
            for _ in range(n):
                size = int.from_bytes(extradata[at : at + 2], "big")
                found.append(extradata[at + 2 : at + 2 + size])
                at += 2 + size
        if not all(found):
            raise Unreadable("an empty parameter set")
        return (extradata[4] & 3) + 1, found
    except IndexError as error:
        raise Unreadable("an avcC record that ends early") from error


def sequence(unit: bytes) -> Sequence:
    """What a sequence parameter set says (7.3.2.1.1).

    Raises:
        Unreadable: it ends early, or scales its matrices.
    """
    bits = _Bits(unit[1:])
    profile, _, level = bits.fixed(8), bits.fixed(8), bits.fixed(8)
    number = bits.golomb()
    if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128):
        if bits.golomb() != 1:
            raise Unreadable("not 4:2:0")
        if bits.golomb() or bits.golomb():
            raise Unreadable("more than 8 bits")
        bits.fixed(1)
        if bits.fixed(1):
            raise Unreadable("scaling matrices")
    bits.golomb()  # log2_max_frame_num
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.fixed(1)
        bits.golomb()
        bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb()  # max_num_ref_frames
    bits.fixed(1)
    bits.golomb()  # width
    bits.golomb()  # height
    return Sequence(number, profile, level, bool(bits.fixed(1)))


def set_number(unit: bytes) -> int:
    """The id of a parameter set of either kind."""
    return sequence(unit).number if kind(unit) == SPS else _Bits(unit[1:]).golomb()


class _Bits:
    """Bits of a NAL unit, one after the other, its emulation prevention undone (7.3.1)."""

    def __init__(self, unit: bytes) -> None:
        payload = unit.replace(b"\0\0\3", b"\0\0")
        self._bits = "".join(f"{byte:08b}" for byte in payload)
        self._at = 0

    def fixed(self, n: int) -> int:
        """An unsigned number of `n` bits."""
        self._at += n
        if self._at > len(self._bits):
            raise Unreadable("a parameter set that ends early")
        return int(self._bits[self._at - n : self._at], 2)

    def golomb(self) -> int:
        """A number in the code of Exp-Golomb (9.1); signed ones are read as well, as something else."""
        n_zeros = self._bits.find("1", self._at) - self._at
        if n_zeros < 0:
            raise Unreadable("a parameter set that ends early")
        self._at += n_zeros
        return self.fixed(n_zeros + 1) - 1


def _prefixed(data: bytes, length_size: int) -> Iterator[bytes]:
    at = 0
    while at + length_size < len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        if at + size > len(data):
            raise Unreadable("a packet that ends early")
        if size:
            yield data[at : at + size]
        at += size


def _parted(data: bytes) -> Iterator[bytes]:
    """A unit ends where the next start code begins; zeros before that belong to neither."""
    for unit in data.split(b"\0\0\1")[1:]:
        whole = unit.rstrip(b"\0")
        if whole:
            yield whole
