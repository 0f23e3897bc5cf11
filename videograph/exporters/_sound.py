"""The exact skim's sound: every sample of the spans at its place, silence where a file has none."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

import numpy as np
from av import AudioFrame, AudioResampler
from av.container import OutputContainer

from videograph.exporters._frames import Frames
from videograph.exporters._spans import Piece

RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Samples a second that AAC knows; any other rate becomes `FALLBACK_RATE`."""
FALLBACK_RATE = 48000
BITS = {"mono": 96_000, "stereo": 160_000}
"""Bits a second."""
BLOCK = 1024
"""Samples in an AAC packet."""
JITTER_SECONDS = Fraction(1, 200)
"""Stamps of neighbouring frames that disagree by less are rounding: a webm counts milliseconds."""
FADE_SECONDS = Fraction(4, 1000)
"""Sound fades at both ends of a span for so long: a hard cut in a wave is heard as a click."""
LEAD_SECONDS = Fraction(1, 4)
"""Sound is decoded from so long before a span: codecs need a few packets to come to themselves."""


def add_audio(out: OutputContainer, source: Any) -> Any:
    rate = source.rate if source.rate in RATES else FALLBACK_RATE
    layout = "mono" if source.codec_context.channels == 1 else "stereo"
    stream: Any = out.add_stream("aac", rate=rate, layout=layout)
    stream.codec_context.bit_rate = BITS[layout]
    stream.codec_context.time_base = Fraction(1, rate)
    return stream


def encoded(stream: Any, frames: Frames, pieces: list[Piece]) -> Iterator[Any]:
    rate, layout = stream.codec_context.sample_rate, stream.codec_context.layout
    chunks = chain.from_iterable(_sound(frames, piece, rate, layout) for piece in pieces)
    at = 0
    for block in _blocks(chunks):
        frame = AudioFrame.from_ndarray(block, format="fltp", layout=layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        at += block.shape[1]
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _sound(frames: Frames, piece: Piece, rate: int, layout: Any) -> Iterator[np.ndarray]:
    """All samples of a piece and no other, silent where the file has none; (n_channels, n) float32."""
    cursor, end = round(piece.at * rate), round(piece.at_end * rate)
    first, n_channels = cursor, layout.nb_channels
    heard = frames.between(piece.start - LEAD_SECONDS, piece.end)
    for seconds, samples in _joined(heard, rate, layout):
        at = round((piece.at + seconds - piece.start) * rate)
        samples = samples[:, max(0, cursor - at) : max(0, end - at)]
        at = max(at, cursor)
        if samples.shape[1]:
            yield np.zeros((n_channels, at - cursor), np.float32)
            yield samples * _fade(at, samples.shape[1], first, end, rate)
            cursor = at + samples.shape[1]
    while cursor < end:
        n = min(end - cursor, rate)
        yield np.zeros((n_channels, n), np.float32)
        cursor += n


def _fade(at: int, n: int, first: int, end: int, rate: int) -> np.ndarray:
    """Loudness of samples `at` to `at + n` of a span, rising from 0 and falling to 0 at its ends."""
    inside = np.arange(at, at + n) + 0.5
    steps = np.minimum(inside - first, end - inside) / float(FADE_SECONDS * rate)
    return np.minimum(steps, 1).astype(np.float32)


def _joined(
    heard: Iterator[tuple[Fraction, Any]], rate: int, layout: Any
) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Samples at `rate` with the time of the first, put end to end where stamps differ by rounding only.

    Where they differ by more the file has a gap or an overlap, and the stamp is believed.
    """
    resampler, form = None, None
    expected = at = Fraction(0)
    for seconds, frame in heard:
        frame_form = (frame.sample_rate, frame.layout.name, frame.format.name)
        if resampler is None or abs(seconds - expected) > JITTER_SECONDS or frame_form != form:
            if resampler is not None:
                yield from _timed(resampler.resample(None), at, rate)
            resampler, form = AudioResampler("fltp", layout, rate), frame_form
            expected = at = seconds
        expected += Fraction(frame.samples, frame.sample_rate)
        frame.pts = None
        for start, samples in _timed(resampler.resample(frame), at, rate):
            yield start, samples
            at = start + Fraction(samples.shape[1], rate)
    if resampler is not None:
        yield from _timed(resampler.resample(None), at, rate)


def _timed(frames: list[Any], at: Fraction, rate: int) -> Iterator[tuple[Fraction, np.ndarray]]:
    for frame in frames:
        yield at, frame.to_ndarray()
        at += Fraction(frame.samples, rate)


def _blocks(chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same samples in blocks of `BLOCK`, the last one shorter."""
    held: list[np.ndarray] = []
    n = 0
    for chunk in chunks:
        held.append(chunk)
        n += chunk.shape[1]
        if n >= BLOCK:
            whole = np.concatenate(held, axis=1)
            n %= BLOCK
            for start in range(0, whole.shape[1] - n, BLOCK):
                yield np.ascontiguousarray(whole[:, start : start + BLOCK])
            held = [whole[:, whole.shape[1] - n :]]
    if n:
        yield np.ascontiguousarray(np.concatenate(held, axis=1))
