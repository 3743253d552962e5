"""The built-in source: procedural cartoon faces in any number, with known attributes and no download."""

import contextlib

import numpy as np

from gan_da_jax.data.sources.source import Drawings, Source

ATTRIBUTES = {
    "hair": ("black", "brown", "blond", "red"),
    "accessory": ("none", "glasses", "hat"),
    "skin": ("light", "tan", "brown", "dark"),
    "length": ("short", "long"),
    "mouth": ("neutral", "smile"),
}
CLASSES = tuple(f"{hair} hair, {thing}" for hair in ATTRIBUTES["hair"] for thing in ATTRIBUTES["accessory"])

# sRGB, 0 to 255.
_HAIR = ((38, 33, 38), (112, 70, 42), (232, 192, 108), (196, 84, 38))
_SKIN = ((252, 222, 198), (232, 184, 142), (178, 122, 84), (120, 79, 57))
_IRIS = ((92, 58, 34), (64, 116, 178), (76, 132, 84), (112, 126, 140), (148, 106, 48))
_SKY = ((118, 178, 232), (124, 200, 214), (164, 170, 226), (236, 178, 150), (150, 204, 168))
_CLOTH = ((206, 74, 72), (66, 104, 172), (78, 140, 98), (238, 196, 84), (132, 92, 160), (72, 78, 92), (236, 232, 222))
_LIP, _WHITE, _INK, _ROSE = (188, 82, 84), (252, 251, 247), (36, 28, 30), (232, 106, 96)

_DRAWS = 64  # uniform numbers that each face owns: at least as many as it takes to draw one
_BLOCK_PIXELS = 1 << 16  # faces drawn together: few enough that the arrays stay in the processor's cache


def class_of(labels: np.ndarray) -> np.ndarray:
    """Join hair colour and accessory into one class: labels int [n, attributes] -> int32 [n], indices into CLASSES."""
    return (labels[:, 0] * len(ATTRIBUTES["accessory"]) + labels[:, 1]).astype(np.int32)


def render(seed: int, indices: np.ndarray, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw faces `indices` of the endless sequence that belongs to `seed`.

    A face depends on (seed, index) alone: not on what else is drawn with it, and every size shows the same face. The
    light falls from the upper left, the parting and the mole are always on the viewer's left, hair is above and
    shoulders below: a flipped or inverted face is a different picture, as it is for photographs.

    Args:
        seed: which sequence, 0 <= seed < 2**64.
        indices: int [n], each 0 <= index < 2**64; in any order, repeats allowed.
        image_size: S, side in pixels.

    Returns:
        pixels uint8 [n, S, S, 3], sRGB; labels int32 [n, len(ATTRIBUTES)], each an index into that attribute's values,
        all values equally likely. Labels are exact everywhere; pixels may differ by 1 between processors.
    """
    indices = np.asarray(indices)
    draws = np.array([_uniforms(seed, int(index)) for index in indices]).reshape(-1, _DRAWS)
    labels = np.stack([draws[:, i] * len(values) for i, values in enumerate(ATTRIBUTES.values())], 1).astype(np.int32)
    pixels = np.empty((len(indices), image_size, image_size, 3), np.uint8)
    block = max(1, _BLOCK_PIXELS // image_size**2)
    for start in range(0, len(indices), block):
        part = slice(start, start + block)
        pixels[part] = _draw(draws[part], labels[part], image_size)
    return pixels, labels


def _uniforms(seed: int, index: int) -> np.ndarray:
    # Raw Philox output is what NumPy promises to keep between versions; float64 in [0, 1).
    raw = np.random.Philox(key=np.array([seed, index], np.uint64)).random_raw(_DRAWS)
    return (raw >> np.uint64(11)) * 2.0**-53


def _draw(draws: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    """Paint one block, back to front: draws float64 [n, _DRAWS], labels int32 [n, attributes] -> uint8 [n, S, S, 3].

    Coordinates: x to the right and y down, the picture spans -1 to 1; the head is centred near 0. A shape is a signed
    distance (negative inside), which becomes the share of each pixel that it covers.
    """
    columns = iter(draws.T[len(ATTRIBUTES) :].astype(np.float32)[:, :, None, None])

    def vary(low: float, high: float) -> np.ndarray:
        return low + (high - low) * next(columns)

    def pick(palette: tuple, spread: float = 0.05) -> np.ndarray:
        choice = (next(columns).ravel() * len(palette)).astype(int)
        return shade_of(palette, choice, spread)

    def shade_of(palette: tuple, choice: np.ndarray, spread: float) -> np.ndarray:
        tint = np.array(palette, np.float32)[choice].T[:, :, None, None] / 255
        return tint * vary(1 - spread, 1 + spread)

    def trait(name: str, value: str) -> np.ndarray:
        column = list(ATTRIBUTES).index(name)
        return (labels[:, column] == ATTRIBUTES[name].index(value)).astype(np.float32)[:, None, None]

    def paint(share: np.ndarray, colour: np.ndarray | tuple) -> None:
        values = np.array(colour, np.float32) / 255 if isinstance(colour, tuple) else colour
        for plane, value in zip(canvas, values, strict=True):
            plane += share * (value - plane)

    hair, skin = shade_of(_HAIR, labels[:, 0], 0.1), shade_of(_SKIN, labels[:, 2], 0.04)
    glasses, hat = trait("accessory", "glasses"), trait("accessory", "hat")
    long, smile = trait("length", "long"), trait("mouth", "smile")

    # The picture's axes, then the head's: shifted, scaled, tilted.
    axis = ((np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1).astype(np.float32)
    across, down = axis[None, None, :], axis[None, :, None]
    zoom = vary(0.92, 1.08)
    body_x, body_y = (across - vary(-0.09, 0.09)) / zoom, (down - vary(-0.07, 0.03)) / zoom
    tilt = vary(-0.11, 0.11)
    x = body_x + tilt * body_y
    y = body_y - tilt * body_x
    pixel = 2 / size / zoom

    def fill(distance: np.ndarray) -> np.ndarray:
        return np.clip(0.5 - distance / pixel, 0, 1)

    # Sky: bright above, deeper below, a glow where the light comes from.
    sky, glow = pick(_SKY, 0.06), _ramp(1.9, 0.0, np.sqrt((across + 0.9) ** 2 + (down + 1) ** 2))
    height = (down + 1) / 2
    canvas = np.stack([np.broadcast_to(c * (1.02 - 0.34 * height), (len(draws), size, size)) for c in sky])
    paint(0.62 * glow, _WHITE)

    # Head shape and the hair that hangs behind it.
    wide, tall, jaw = vary(0.41, 0.48), vary(0.53, 0.59), vary(0.02, 0.3)
    volume, curl = vary(0.05, 0.12), vary(0.0, 0.022)
    wave = curl * np.sin(19 * x + 1) * np.sin(17 * y)
    reach = vary(0.5, 0.85)
    mane = _ellipse(x, y - reach * 0.33, wide + volume + 0.07, 0.42 + reach * 0.55) + wave
    mane = np.maximum(mane, y - reach)
    paint(fill(mane) * long, hair * 0.72)

    # Shoulders, neck and the chin's shadow on it.
    cloth, stripes = pick(_CLOTH), (next(columns) < 0.3) * 0.22
    slope, neck = vary(0.74, 0.95), vary(0.17, 0.21)
    shoulders = _ellipse(body_x, body_y - 1.2, slope, 0.52)
    shadow = 1 - 0.28 * _ramp(-0.1, 0.75, body_x)
    knit = 1 - stripes * (np.sin(30 * body_y) > 0)
    paint(fill(shoulders), cloth * (shadow * knit))
    paint(fill(_ellipse(body_x, body_y - 0.78, neck + 0.1, 0.17)), skin * shadow * 0.9)
    paint(fill(np.maximum(np.abs(body_x) - neck, np.abs(body_y - 0.5) - 0.32)), skin * shadow * 0.86)
    paint(0.5 * fill(np.maximum(np.abs(body_x) - neck, _ellipse(x, y - 0.16, wide, tall))), skin * 0.62)

    # Ears and face; the right cheek lies in the shade.
    side = np.abs(x)
    light = 1.04 - 0.3 * _ramp(-0.12, 0.5, x + 0.15 * y) - 0.06 * _ramp(0.1, 0.7, y)
    paint(fill(_ellipse(side - wide - 0.01, y - 0.08, 0.075, 0.12)), skin * light * 0.9)
    narrow = x / (1 - jaw * np.clip(y, 0, 1))
    face = _ellipse(narrow, y - 0.04, wide, tall)
    paint(fill(face), np.minimum(skin * light, 1))

    # The features turn a little with the head.
    u, v = x - vary(-0.045, 0.045), y
    cheeks = vary(0.1, 0.34)
    paint(cheeks * _ramp(0.15, 0.02, np.sqrt((np.abs(u) - 0.25) ** 2 + (v - 0.25) ** 2)), _ROSE)

    # Eyes: w is the distance from the centre of the nearer one, so both are drawn at once.
    apart, eye_y, open_ = vary(0.175, 0.205), vary(0.0, 0.06), vary(0.066, 0.092)
    w = u - np.copysign(apart, u)
    e = v - eye_y
    lid = _ellipse(w, e, 0.108, open_)
    white = fill(lid)
    paint(fill(_ellipse(w, e + 0.016, 0.118, open_ + 0.008)), _INK)
    paint(white, _WHITE)
    gaze_x, gaze_y, iris = vary(-0.024, 0.024), vary(-0.008, 0.012), pick(_IRIS)
    ball = np.sqrt((w - gaze_x) ** 2 + (e - gaze_y) ** 2)
    paint(white * fill(ball - 0.063), iris)
    paint(white * fill(ball - 0.034), _INK)
    paint(white * fill(np.sqrt((w - gaze_x + 0.024) ** 2 + (e - gaze_y + 0.026) ** 2) - 0.019), _WHITE)
    brow_y, arch, thick, tip = vary(0.15, 0.19), vary(0.6, 3.0), vary(0.016, 0.03), vary(-0.25, 0.2)
    outward = w * np.sign(u)
    brow = np.abs(e + brow_y - arch * w * w - tip * outward) - thick * (1 - 2.5 * outward)
    paint(fill(np.maximum(brow, np.abs(w) - 0.12)), hair * 0.62)

    # Nose: a shaded flank on the right and a soft tip; mouth: closed lips, or a smile with teeth.
    long_nose, broad = vary(0.2, 0.26), vary(0.055, 0.085)
    tip_y = v - long_nose
    paint(0.5 * fill(_ellipse(u - 0.012, tip_y, broad, 0.042)), skin * 0.72)
    paint(fill(_ellipse(u + 0.006, tip_y + 0.012, broad * 0.95, 0.04)), np.minimum(skin * (light + 0.03), 1))
    mouth_y, lips, bend = v - vary(0.38, 0.43), vary(0.12, 0.17), vary(0.2, 0.9)
    arc = mouth_y + (bend + 1.1 * smile) * u * u
    grin = np.maximum(_ellipse(u, mouth_y + 0.035, lips + 0.02, 0.12), -0.036 - arc)
    paint(fill(grin) * smile, (122, 40, 46))
    paint(fill(np.maximum(grin + 0.008, arc - 0.018)) * smile, _WHITE)
    paint(0.75 * fill(_ellipse(u, arc - 0.018, lips * 0.7, 0.034)) * (1 - smile), _LIP)
    paint(fill(np.maximum(np.abs(arc) - 0.012, np.abs(u) - lips)) * (1 - smile), (128, 52, 54))
    mole_x, mole_y = vary(0.2, 0.27), vary(0.3, 0.37)
    paint(fill(np.sqrt((u + mole_x) ** 2 + (v - mole_y) ** 2) - 0.022), skin * 0.36)

    # Hair on the head: everything of the skull above a fringe that is parted on the left.
    part, fringe, sweep = vary(-0.24, -0.12), vary(-0.3, -0.2), vary(0.16, 0.3)
    from_part = x - part
    hairline = fringe - 0.1 + np.where(from_part > 0, sweep * 1.1, 1.5) * from_part**2 / 0.36
    hairline = hairline + 0.1 * _ramp(0.0, 0.12, from_part)
    sides = 0.02 + 0.1 * long
    skull = _ellipse(x, y + 0.06, wide + volume, tall + volume * 0.8) + wave
    mop = np.maximum(skull, np.minimum(y - hairline, wide - 0.05 - side + np.maximum(y - sides, 0) * 2))
    strands = 1 + 0.09 * np.sin(34 * x + 26 * from_part * y) - 0.2 * _ramp(-0.1, 0.55, x)
    sheen = 0.26 * _ramp(0.12, 0.0, np.abs(y + 0.42 - 0.5 * (x + 0.15) ** 2)) * _ramp(0.3, -0.2, x)
    paint(fill(mop), np.minimum(hair * strands + sheen * (0.25 + hair) * 0.6, 1))
    clip_x, clip_y, clip = x + 0.33, y + 0.3, pick(_CLOTH)
    pin = np.maximum(np.abs(clip_x + clip_y) - 0.03, np.abs(clip_x - clip_y) - 0.11)
    paint(fill(pin) * long, clip)

    # Accessories.
    frame, round_ = pick((_INK, (120, 62, 40), (176, 44, 52), (52, 74, 130))), vary(0.12, 0.14)
    rim = _ellipse(w, e, round_ + 0.012, round_)
    paint(0.16 * fill(rim) * glasses, _WHITE)
    paint(0.5 * fill(np.maximum(rim, np.abs(w + e + 0.07) - 0.02)) * glasses, _WHITE)
    temples = np.maximum(0.3 - np.abs(u), side - wide)
    bar = np.maximum(np.abs(e + 0.035) - 0.014, np.minimum(np.abs(u) - 0.07, temples))
    paint(fill(np.minimum(np.abs(rim) - 0.017, bar)) * glasses, frame)
    felt, band, brim, crown = pick(_CLOTH), pick(_CLOTH), vary(0.6, 0.78), vary(0.36, 0.47)
    top = y + 0.36 + 0.05 * x
    dome = np.maximum(_ellipse(x, top, wide + volume, crown), top)
    lit = 1.05 - 0.35 * _ramp(-0.3, 0.5, x)
    paint(0.3 * fill(np.maximum(face, np.abs(top - 0.08) - 0.08)) * hat, (40, 24, 20))
    paint(fill(dome) * hat, np.minimum(felt * lit, 1))
    paint(fill(np.maximum(dome, -0.15 - top)) * hat, np.minimum(band * lit * 0.9, 1))
    paint(fill(_ellipse(x, top + 0.25 * x * x, brim, 0.062)) * hat, np.minimum(felt * lit * 0.93, 1))

    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 3, 0)


def _ellipse(x: np.ndarray, y: np.ndarray, a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    # First-order distance to the ellipse with half axes a and b: exact at the outline, where coverage is decided.
    x, y = x / a, y / b
    radius = np.sqrt(x * x + y * y)
    return radius * (radius - 1) / np.sqrt((x / a) ** 2 + (y / b) ** 2 + 1e-12)


def _ramp(start: float, end: float, value: np.ndarray) -> np.ndarray:
    # Smooth step: 0 at `start` and before, 1 at `end` and beyond (also where end < start).
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


SOURCE = Source(
    opened=lambda location: contextlib.nullcontext(
        Drawings("face", lambda seed, indices, image_size: render(seed, indices, image_size)[0])
    ),
    draws=True,
)
