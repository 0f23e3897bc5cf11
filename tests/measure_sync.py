"""How far apart flash and click are in any cut of the drawn sample video."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from videograph.sample import CLICK_SECONDS, HEIGHT, LAMP_BOX, WIDTH

PAIR_SECONDS = 0.3
"""Clicks are at least half a second apart: one farther off than this belongs to another flash."""


def offsets(path: str | Path) -> list[float]:
    """Seconds from each flash to its click, in order of time; positive where the sound is late.

    A flash without a click near it counts with the distance to the nearest one, so that lost sound shows.
    """
    clicks = click_seconds(path)
    flashes = flash_seconds(path)
    if not len(clicks):
        raise AssertionError(f"no click is heard in {path}")
    nearest = clicks[np.abs(clicks[None] - flashes[:, None]).argmin(1)]
    return (nearest - flashes).tolist()


def flash_seconds(path: str | Path) -> np.ndarray:
    """When the upper half of the lamp turns white, from the frames' own time stamps, (n,) float64."""
    times, light = [], []
    left, top, right, bottom = LAMP_BOX
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            luma = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)
            down, across = frame.height / HEIGHT, frame.width / WIDTH
            rows = slice(round((top + 8) * down), round(((top + bottom) // 2 - 3) * down))
            columns = slice(round((left + 8) * across), round((right - 7) * across))
            times.append(float(frame.time))
            light.append(luma[rows, columns].mean())
    white = np.array(light) > 128
    return np.array(times)[white & ~np.concatenate([[False], white[:-1]])]


def click_seconds(path: str | Path) -> np.ndarray:
    """When a click begins, from the samples of the sound, (n,) float64."""
    wave, rate, start = _sound(path)
    loud = _click_loudness(wave, rate)
    bar = 0.3 * np.sort(loud)[-max(1, len(loud) // 2000)]
    if bar < 0.01:
        return np.zeros(0)
    above = np.flatnonzero(loud > bar)
    apart = np.diff(above, prepend=-rate) > 5 * CLICK_SECONDS * rate
    return start + above[apart] / rate


def _sound(path: str | Path) -> tuple[np.ndarray, int, float]:
    """Mono wave by its time stamps, samples a second, and when it starts."""
    parts: list[tuple[int, np.ndarray]] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono")
        for frame in container.decode(stream):
            start = round(float(frame.time) * frame.sample_rate)
            for mono in resampler.resample(frame):
                parts.append((start, mono.to_ndarray()[0]))
        rate = stream.rate
    first = parts[0][0]
    wave = np.zeros(max(at + len(p) for at, p in parts) - first, np.float32)
    for at, part in parts:
        wave[at - first : at - first + len(part)] = part
    return wave, rate, first / rate


def _click_loudness(wave: np.ndarray, rate: int) -> np.ndarray:
    """The wave without its melody: the difference over half a click's wavelength, smoothed."""
    lag = max(
        1, rate // 4000
    )  # half a wave of 2 kHz: clicks double, notes of 300 Hz all but vanish
    sharp = np.abs(wave[lag:] - wave[:-lag])
    width = max(1, rate // 1000)
    total = np.cumsum(np.concatenate([np.zeros(width), sharp]))
    return (total[width:] - total[:-width]) / width
