"""The pictures of the sample video: a day in seven looks, each a painter from time to picture.

A painter is made once per scene, with colours and places drawn from a seeded generator; it prepares what
stays (sky, hills, sprites with smooth edges) so that a frame costs about a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 640, 360
SMOOTH = 3
"""Sprites are drawn this many times larger and shrunk, which smooths their edges."""

Colour = tuple[int, int, int]
Painter = Callable[[float, float], Image.Image]
"""Seconds since the scene began, and the same as a share of its length -> an RGB picture."""


@dataclass(frozen=True)
class Look:
    """One kind of scene."""

    title: str
    """As a chapter would be called."""
    line: str
    """What the subtitle says."""
    weight: float
    """Length in proportion to the other scenes."""
    notes: tuple[int, ...]
    """Melody, in Hz; all below 700, out of the way of the clicks."""
    paint: Callable[[np.random.Generator], Painter]
    """Makes the scene's painter."""
    dull: bool = False
    """True where next to nothing happens: what a summary should leave out."""


def _gradient(top: Colour, bottom: Colour) -> Image.Image:
    share = np.linspace(0, 1, HEIGHT)[:, None, None]
    rows = np.array(top) * (1 - share) + np.array(bottom) * share
    return Image.fromarray(np.broadcast_to(rows, (HEIGHT, WIDTH, 3)).astype(np.uint8))


def _sprite(
    width: int, height: int, draw: Callable[[ImageDraw.ImageDraw, int], None]
) -> Image.Image:
    """A small RGBA picture; `draw` gets a canvas that is `SMOOTH` times larger, and that factor."""
    large = Image.new("RGBA", (width * SMOOTH, height * SMOOTH), (0, 0, 0, 0))
    draw(ImageDraw.Draw(large), SMOOTH)
    return large.resize((width, height), Image.Resampling.BOX)


def _disc(radius: int, colour: Colour, shine: int = 40) -> Image.Image:
    def draw(canvas: ImageDraw.ImageDraw, s: int) -> None:
        canvas.ellipse((0, 0, 2 * radius * s - 1, 2 * radius * s - 1), fill=colour)
        light = tuple(min(255, c + shine) for c in colour)
        canvas.ellipse(
            (radius * s // 2, radius * s // 3, radius * s, radius * s * 5 // 6), fill=light
        )

    return _sprite(2 * radius, 2 * radius, draw)


def _put(picture: Image.Image, sprite: Image.Image, x: float, y: float) -> None:
    """Paste a sprite with its middle at x, y."""
    picture.paste(sprite, (round(x - sprite.width / 2), round(y - sprite.height / 2)), sprite)


def _hills(rng: np.random.Generator, base: int, swing: int, colour: Colour) -> Image.Image:
    """A full-size RGBA layer of rolling hills."""
    x = np.arange(WIDTH)
    phase = rng.uniform(0, 2 * np.pi, 3)
    ridge = sum(np.sin(x * f + p) for f, p in zip((0.008, 0.017, 0.031), phase, strict=True))
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    below = np.arange(HEIGHT)[:, None] > base + swing * ridge / 3
    layer[below] = (*colour, 255)
    return Image.fromarray(layer)


def _jitter(rng: np.random.Generator, colour: Colour, by: int = 18) -> Colour:
    r, g, b = (int(np.clip(c + rng.integers(-by, by + 1), 0, 255)) for c in colour)
    return r, g, b


def sunrise(rng: np.random.Generator) -> Painter:
    """The sun climbs over hills and the sky turns from violet to gold."""
    night, day = _gradient((38, 24, 72), (190, 84, 90)), _gradient((120, 170, 230), (255, 214, 140))
    back = _hills(rng, 250, 40, _jitter(rng, (96, 70, 110)))
    front = _hills(rng, 300, 30, _jitter(rng, (44, 62, 58)))
    sun = _disc(38, (255, 226, 120))
    x = rng.integers(200, 440)

    def paint(_: float, share: float) -> Image.Image:
        picture = Image.blend(night, day, share)
        _put(picture, sun, x + 60 * share, 330 - 240 * share)
        picture.paste(back, (0, 0), back)
        picture.paste(front, (0, 0), front)
        return picture

    return paint


def ball(rng: np.random.Generator) -> Painter:
    """A red ball bounces across a meadow."""
    meadow = _gradient((140, 205, 250), (222, 240, 250))
    grass = _hills(rng, 285, 12, _jitter(rng, (88, 176, 72)))
    meadow.paste(grass, (0, 0), grass)
    toy = _disc(30, _jitter(rng, (220, 50, 48)))
    shadow = _sprite(70, 14, lambda c, s: c.ellipse((0, 0, 70 * s, 14 * s), fill=(30, 80, 30, 120)))
    pace, hop = rng.uniform(170, 230), rng.uniform(1.0, 1.4)

    def paint(seconds: float, _: float) -> Image.Image:
        picture = meadow.copy()
        x = 40 + (pace * seconds) % 1120
        x = x if x < 600 else 1200 - x
        _put(picture, shadow, x, 322)
        _put(picture, toy, x, 290 - 190 * abs(math.sin(math.pi * hop * seconds)))
        return picture

    return paint


def waiting(rng: np.random.Generator) -> Painter:
    """An empty bench in the fog; only the fog moves, a little."""
    fog = _gradient((172, 176, 180), (150, 152, 154))
    canvas = ImageDraw.Draw(fog)
    left = int(rng.integers(200, 300))
    for box in (
        (0, 30, 180, 38),
        (0, 48, 180, 56),
        (0, 78, 190, 88),
        (10, 88, 18, 124),
        (166, 88, 174, 124),
    ):
        x0, y0, x1, y1 = box
        canvas.rectangle((left + x0, 170 + y0, left + x1, 170 + y1), fill=(112, 106, 100))
    wisp = _sprite(
        300, 60, lambda c, s: c.ellipse((0, 0, 300 * s, 60 * s), fill=(186, 190, 194, 60))
    )

    def paint(seconds: float, _: float) -> Image.Image:
        picture = fog.copy()
        _put(picture, wisp, 200 + 3 * seconds, 120)
        return picture

    return paint


def balloons(rng: np.random.Generator) -> Painter:
    """Balloons of many colours rise past the clouds."""
    sky = _gradient((90, 160, 235), (190, 225, 250))
    for _ in range(6):
        x, y, w = rng.integers(0, 560), rng.integers(20, 260), int(rng.integers(80, 170))
        cloud = _sprite(
            w, 34, lambda c, s, w=w: c.ellipse((0, 0, w * s, 34 * s), fill=(255, 255, 255, 170))
        )
        sky.paste(cloud, (int(x), int(y)), cloud)
    colours = [
        (235, 64, 82),
        (250, 190, 40),
        (90, 200, 110),
        (150, 90, 220),
        (255, 130, 60),
        (40, 190, 200),
    ]
    flock = [
        (_balloon(colours[i % 6], int(rng.integers(20, 36))), rng.uniform(40, 600), rng.uniform(0, 420),
         rng.uniform(45, 95), rng.uniform(0, 6.28))
        for i in range(12)
    ]  # fmt: skip

    def paint(seconds: float, _: float) -> Image.Image:
        picture = sky.copy()
        for sprite, x, y, pace, phase in flock:
            height = 410 - (y + pace * seconds) % 470
            _put(picture, sprite, x + 14 * math.sin(seconds * 1.3 + phase), height)
        return picture

    return paint


def _balloon(colour: Colour, r: int) -> Image.Image:
    def draw(c: ImageDraw.ImageDraw, s: int) -> None:
        c.line((r * s, 2 * r * s, r * s, 4 * r * s), fill=(90, 90, 90), width=s)
        c.ellipse((0, 0, 2 * r * s - 1, int(2.3 * r * s)), fill=colour)
        c.ellipse(
            (r * s // 2, r * s // 3, r * s * 4 // 5, r * s * 4 // 5), fill=(255, 255, 255, 150)
        )

    return _sprite(2 * r, 4 * r, draw)


def rain(rng: np.random.Generator) -> Painter:
    """An umbrella walks home through the rain."""
    street = _gradient((58, 72, 92), (96, 106, 120))
    ImageDraw.Draw(street).rectangle((0, 310, WIDTH, HEIGHT), fill=(52, 56, 66))
    walker = _umbrella(_jitter(rng, (240, 200, 40)))
    drops = rng.uniform((0, 0, 300), (WIDTH, HEIGHT, 460), (110, 3))

    def paint(seconds: float, share: float) -> Image.Image:
        picture = street.copy()
        canvas = ImageDraw.Draw(picture)
        _put(picture, walker, 60 + 500 * share, 236 + 5 * math.sin(seconds * 9))
        for x, y, pace in drops:
            at = (y + pace * seconds) % HEIGHT
            canvas.line((x, at, x - 4, at + 14), fill=(170, 190, 215))
        return picture

    return paint


def _umbrella(colour: Colour) -> Image.Image:
    def draw(c: ImageDraw.ImageDraw, s: int) -> None:
        c.pieslice((0, 0, 120 * s, 110 * s), 180, 360, fill=colour)
        c.line((60 * s, 50 * s, 60 * s, 110 * s), fill=(40, 34, 30), width=3 * s)
        c.ellipse((48 * s, 66 * s, 72 * s, 90 * s), fill=(236, 196, 160))
        c.rounded_rectangle((44 * s, 88 * s, 76 * s, 140 * s), 8 * s, fill=(180, 50, 70))
        c.rectangle((48 * s, 138 * s, 56 * s, 160 * s), fill=(40, 44, 60))
        c.rectangle((64 * s, 138 * s, 72 * s, 160 * s), fill=(40, 44, 60))

    return _sprite(120, 160, draw)


def chase(rng: np.random.Generator) -> Painter:
    """A fox chases a mouse around the snow, and the mouse is quicker."""
    snow = _gradient((205, 222, 240), (245, 248, 252))
    for _ in range(9):
        x, y = int(rng.integers(10, 620)), int(rng.integers(110, 340))
        ImageDraw.Draw(snow).polygon([(x, y - 44), (x - 15, y), (x + 15, y)], fill=(48, 110, 90))
    fox, mouse = _animal(_jitter(rng, (226, 110, 36)), 54), _animal((96, 96, 108), 24)
    turn, phase = rng.uniform(1.5, 2.1), rng.uniform(0, 6.28)

    def paint(seconds: float, _: float) -> Image.Image:
        picture = snow.copy()
        for sprite, behind in ((mouse, 0.0), (fox, 0.42 + 0.1 * math.sin(seconds))):
            at = turn * (seconds - behind) + phase
            right = math.cos(at) > 0
            turned = sprite if right else sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            _put(picture, turned, 320 + 250 * math.sin(at), 210 + 100 * math.sin(2.3 * at))
        return picture

    return paint


def _animal(colour: Colour, size: int) -> Image.Image:
    def draw(c: ImageDraw.ImageDraw, s: int) -> None:
        u = size * s / 10
        c.ellipse((2 * u, 3 * u, 8 * u, 7 * u), fill=colour)
        c.ellipse((6.5 * u, 1.5 * u, 9.5 * u, 4.5 * u), fill=colour)
        c.polygon([(7 * u, 2 * u), (7.2 * u, 0), (8.2 * u, 1.6 * u)], fill=colour)
        c.polygon([(2.6 * u, 4.4 * u), (0, 2 * u), (0.8 * u, 5.2 * u)], fill=colour)
        for leg in (3, 4.4, 6, 7):
            c.rectangle((leg * u, 6 * u, (leg + 0.6) * u, 8.4 * u), fill=colour)
        c.ellipse((8.3 * u, 2.4 * u, 8.8 * u, 2.9 * u), fill=(20, 20, 20))

    return _sprite(size, size, draw)


def city(rng: np.random.Generator) -> Painter:
    """Cars pass through a city at night."""
    night = _gradient((10, 12, 34), (44, 36, 74))
    canvas = ImageDraw.Draw(night)
    for x, y in rng.uniform((0, 0), (WIDTH, 120), (60, 2)):
        canvas.point((x, y), fill=(230, 230, 255))
    _houses(canvas, rng)
    canvas.rectangle((0, 300, WIDTH, HEIGHT), fill=(30, 30, 38))
    colours = [(220, 60, 60), (70, 140, 230), (240, 210, 90), (230, 230, 235)]
    cars = [
        (_car(colours[i % 4]), rng.uniform(0, 900), rng.uniform(130, 260), i % 2) for i in range(6)
    ]

    def paint(seconds: float, _: float) -> Image.Image:
        picture = night.copy()
        for sprite, x, pace, lane in cars:
            at = (x + pace * seconds) % 820 - 90
            if lane:
                _put(picture, sprite, at, 338)
            else:
                _put(picture, sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT), WIDTH - at, 312)
        return picture

    return paint


def _houses(canvas: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    x = 0
    while x < WIDTH:
        wide, top = int(rng.integers(44, 84)), int(rng.integers(90, 220))
        canvas.rectangle((x, top, x + wide - 4, 300), fill=_jitter(rng, (36, 34, 52), 8))
        for wx in range(x + 7, x + wide - 14, 13):
            for wy in range(top + 10, 286, 18):
                if rng.random() < 0.5:
                    canvas.rectangle(
                        (wx, wy, wx + 6, wy + 9), fill=_jitter(rng, (250, 214, 120), 25)
                    )
        x += wide


def _car(colour: Colour) -> Image.Image:
    def draw(c: ImageDraw.ImageDraw, s: int) -> None:
        c.polygon([(96 * s, 18 * s), (150 * s, 6 * s), (150 * s, 34 * s)], fill=(255, 240, 170, 90))
        c.rounded_rectangle((16 * s, 0, 72 * s, 24 * s), 9 * s, fill=colour)
        c.rounded_rectangle((0, 12 * s, 98 * s, 30 * s), 7 * s, fill=colour)
        c.rectangle((26 * s, 5 * s, 62 * s, 14 * s), fill=(150, 190, 210))
        for x in (14, 66):
            c.ellipse((x * s, 22 * s, (x + 18) * s, 40 * s), fill=(16, 16, 20))

    return _sprite(150, 40, draw)


def end_card(rng: np.random.Generator) -> Painter:
    """A calm card with a ring that closes."""
    card = _gradient(_jitter(rng, (24, 60, 72)), (12, 30, 44))

    def paint(_: float, share: float) -> Image.Image:
        picture = card.copy()
        canvas = ImageDraw.Draw(picture)
        canvas.arc((250, 110, 390, 250), -90, -90 + 360 * share, fill=(250, 214, 120), width=10)
        canvas.polygon([(305, 150), (305, 210), (352, 180)], fill=(240, 244, 246))
        return picture

    return paint


STORY = (
    Look("Sunrise", "The sun comes up over the hills.", 1.1, (262, 330, 392, 523), sunrise),
    Look("The ball", "A red ball bounces across the meadow.", 0.9, (330, 392, 440, 523), ball),
    Look("Waiting", "Then nothing happens for a long time.", 2.2, (196,), waiting, dull=True),
    Look("Balloons", "Balloons rise into the sky.", 1.0, (392, 494, 587, 659), balloons),
    Look("Rain", "It rains, and an umbrella walks home.", 1.0, (220, 262, 330), rain),
    Look("The chase", "A fox chases a mouse through the snow.", 0.9, (440, 523, 494, 587), chase),
    Look("Night", "At night, cars pass through the city.", 1.1, (147, 175, 220), city),
)
"""The looks of a day, in its order; a longer sample begins another day."""
END = Look("The end", "That was the day.", 0.5, (262, 196), end_card)
