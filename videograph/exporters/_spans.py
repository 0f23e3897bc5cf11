"""What both ways to make a skim share: where spans go, and reading a file as far as it can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard


@dataclass(frozen=True)
class Piece:
    """A span and its place in the skim, all in seconds."""

    start: Fraction
    """Start in the source."""
    end: Fraction
    """End in the source."""
    at: Fraction
    """Start in the skim: the exact sum of the spans before it."""

    @property
    def at_end(self) -> Fraction:
        """End in the skim."""
        return self.at + self.end - self.start


def pieces_of(spans: Iterable[tuple[Fraction, Fraction]]) -> list[Piece]:
    """The spans laid end to end."""
    pieces: list[Piece] = []
    for start, end in spans:
        pieces.append(Piece(start, end, pieces[-1].at_end if pieces else Fraction(0)))
    return pieces


def only(container: InputContainer, index: int) -> Any:
    """The stream of that number; packets of the others are not even read, where a format allows."""
    for stream in container.streams:
        stream.discard = Discard.default if stream.index == index else Discard.all
    return container.streams[index]


def seek(container: InputContainer, stream: Any, seconds: Fraction) -> None:
    """Go to the last key frame before a time of the file's own clock; before all, to the first one.

    Raises:
        FFmpegError: the file has no way to be entered but at its start.
    """
    try:
        container.seek(int(seconds // stream.time_base), stream=stream)
    except FFmpegError:  # some formats refuse to go to before their start, others need it
        container.seek(max(0, int(seconds // stream.time_base)), stream=stream)


def readable(packets: Iterator[Any]) -> Iterator[Any]:
    """Packets up to where the file ends or cannot be read any more."""
    try:
        yield from packets
    except FFmpegError:
        return


def decode_time(packet: Any) -> Fraction:
    """When a packet of the skim is decoded, in seconds: the order in which a file holds packets."""
    return packet.dts * packet.time_base
