"""Numbers to matplotlib figures to PNG and SVG bytes: no state, no files, equal bytes for equal input."""

import contextlib
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, LogLocator, NullFormatter

from gan_da_jax.metrics.columns import written
from gan_da_jax.metrics.over_seeds import Curve

# Okabe and Ito's colours, which stay apart for colour-blind readers, without their yellow: too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# Arms beyond the seventh take the colours again, with another marker and line.
STROKES = (("o", "-"), ("s", (0, (4, 1.5))), ("^", (0, (1, 1.2))), ("D", (0, (5, 1, 1, 1))))
INK, MUTED, RULE = "#1f2937", "#6b7280", "#e5e7eb"
REAL: dict[str, Any] = {"color": MUTED, "linewidth": 1.1, "linestyle": (0, (6, 3))}
DIRECTIONS = {
    "disputed": "← better (the paper)   ·   better (the field) →",
    "higher": "higher is better →",
    "lower": "← lower is better",
    "near 0": "near 0 is better",
}
STYLE: dict[Any, Any] = {
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "gan_da_jax",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": MUTED,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}
WIDTH = 4.4  # inches: 422 CSS pixels, so that 8 points stay readable when a phone shrinks the figure to 350


class Ranked(NamedTuple):
    """An arm in the ranking: its label, mean, 95% interval ([low, high] or None) and the values of its seeds."""

    label: str
    mean: float
    ci95: Sequence[float] | None
    values: Sequence[float]


@contextlib.contextmanager
def panel(height: float, width: float = WIDTH) -> Iterator[tuple[Figure, Axes]]:
    """Make a figure of this size in inches with its axes; inside the block the style of the report is set."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        yield figure, axes


def strips(rows: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Draw rows of pictures below each other, each under its label.

    Args:
        rows: a label and uint8 [H, W, 3] a row.
    """
    with rc_context(STYLE):
        heights = [WIDTH * pixels.shape[0] / pixels.shape[1] for _, pixels in rows]
        line = 0.23  # inches of a label
        figure = Figure(figsize=(WIDTH, total := sum(heights) + line * len(rows)))
        top = total
        for (label, pixels), height in zip(rows, heights, strict=True):
            axes = figure.add_axes((0, (top - line - height) / total, 1, height / total))
            axes.set_axis_off()
            axes.imshow(pixels, aspect="auto", interpolation="none")  # in an SVG file: the pixels as they are
            name = label if len(label) <= 70 else f"{label[:69]}…"
            figure.text(0.005, (top - line + 0.04) / total, name, fontweight="bold", va="bottom")
            top -= line + height
        return figure


def look(index: int) -> dict[str, Any]:
    """Return the colour, marker and line of the arm number `index`, the same in every figure of a report."""
    marker, line = STROKES[index // len(COLOURS) % len(STROKES)]
    return {"color": COLOURS[index % len(COLOURS)], "marker": marker, "linestyle": line}


def curves(arms: Mapping[str, tuple[int, Curve]], *, label: str, real: float | None, unit: str) -> Figure:
    """Draw a score over the training: for each arm a line and the shaded range of its seeds; dashed, the real images.

    Args:
        arms: label -> (number of the arm, which picks its look, and its curve), in the order of the legend.
        label: the name of the score.
        real: the score of the real images, or None.
        unit: what the curves count, `epoch` or `kimg`.
    """
    entries = len(arms) + (real is not None)
    columns = 1 if max(map(len, arms), default=0) > 26 else 2  # as many as have room
    with panel(2.8 + 0.16 * -(-entries // columns)) as (figure, axes):
        shade = 0.14 if len(arms) <= 5 else 0.06  # many overlapping bands would turn to mud
        for name, (index, curve) in arms.items():
            style = look(index)
            axes.fill_between(curve.at, curve.low, curve.high, color=style["color"], alpha=shade, linewidth=0)
            style |= {"label": name if len(name) <= 60 else f"{name[:59]}…", "linewidth": 1.4}
            axes.plot(curve.at, curve.mean, markersize=3.2 if len(curve.at) <= 30 else 0, **style)
        if real is not None:
            axes.axhline(real, **REAL, label=f"{written(real)}\u2002real images")
        _progress(axes, unit)
        axes.set_title(label, loc="left", fontsize=9, fontweight="bold")
        axes.margins(x=0.02, y=0.08)
        figure.legend(loc="outside lower left", ncols=columns, handlelength=2.6, columnspacing=1)
        return figure


def ranking(
    places: Sequence[Ranked], *, label: str, real: float | None, better: str, mark: str = "real images"
) -> Figure:
    """Draw the arms' final scores: mean, 95% interval as a bar, seeds as rings.

    Args:
        places: the arms, from the top down.
        label: the name of the score.
        real: the score of the real images, or None.
        better: a key of `DIRECTIONS`: which way the notes at the foot of the figure point.
        mark: what `real` is the number of.
    """
    with panel(1.15 + 0.24 * len(places)) as (figure, axes):
        order = places[::-1]  # y grows upwards
        for y, place in enumerate(order):
            if place.ci95:
                axes.plot(place.ci95, [y, y], color=COLOURS[0], linewidth=5, alpha=0.25, solid_capstyle="butt")
            if len(place.values) > 1:
                axes.scatter([place.mean], [y], s=110, color=COLOURS[0], marker="|", linewidth=2, zorder=3)
                ring: dict[str, Any] = {"s": 12, "facecolor": "white", "edgecolor": COLOURS[0], "linewidth": 0.8}
                axes.scatter(place.values, [y] * len(place.values), **ring, zorder=4)
            else:
                axes.scatter([place.mean], [y], s=32, color=COLOURS[0], zorder=4)
            at_the_edge(axes, y, place.mean)
        if real is not None:
            axes.axvline(real, **REAL, zorder=1)
            axes.annotate(
                f"{mark} {written(real)}",
                (real, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                color=MUTED,
                annotation_clip=False,
            )
        low, high, room = reach(places, [] if real is None else [real])
        axes.set_xlim(low - 0.06 * room, high + 0.06 * room)
        axes.set_ylim(-0.7, len(order) - 0.3)
        name_rows(axes, range(len(order)), [place.label for place in order])
        axes.set_xlabel(f"{label}\n{DIRECTIONS[better]}", linespacing=1.5)
        return figure


def name_rows(axes: Axes, heights: Sequence[float], labels: Sequence[str]) -> None:
    """Write what stands in each row to the left of the picture, in two lines at most, and draw the guides."""
    axes.set_yticks(heights, [textwrap.fill(label, 26, max_lines=2, placeholder="…") for label in labels], color=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.grid(axis="y", color=RULE, linewidth=0.6, linestyle=(0, (1, 2)))


def at_the_edge(axes: Axes, y: float, number: float) -> None:
    """Write a number to the right of the picture, at a height in data units."""
    axes.annotate(
        written(number),
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontweight="bold",
        annotation_clip=False,
    )


def reach(places: Sequence[Ranked], others: Sequence[float]) -> tuple[float, float, float]:
    """Return the ends of an axis, and the room beside its points.

    An interval of two seeds can be many times wider than all the scores: it may leave the picture, they may not. Where
    no score is below 0, the axis is not either.
    """
    points = [number for place in places for number in place.values] + list(others)
    ends = [number for place in places for number in place.ci95 or []]
    room = max(max(points) - min(points), 0.02 * abs(max(points)), 1e-6 if any(points) else 1)
    least = 0 if min(points) >= 0 else -np.inf
    low, high = max(min(ends + points), min(points) - room, least), min(max(ends + points), max(points) + room)
    return low, high if high > low else low + room, room


def losses(seeds: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], *, limits: tuple[float, float]) -> Figure:
    """Draw the losses of one arm over epochs, one pair of lines a seed.

    Args:
        seeds: (epochs, generator loss, discriminator loss) a seed, each float [rows]; NaN breaks the line.
        limits: the ends of the loss axis, shared by the panels of a report so that arms can be compared. The axis is
            logarithmic when both are positive and 30 times apart or more.
    """
    with panel(2.2, width=3.4) as (figure, axes):
        for number, (epochs, generator, discriminator) in enumerate(seeds):
            faint: dict[str, Any] = {"linewidth": 1.3 if number == 0 else 0.9, "alpha": 1 if number == 0 else 0.4}
            axes.plot(epochs, generator, color=COLOURS[0], label="generator" if number == 0 else None, **faint)
            axes.plot(epochs, discriminator, color=COLOURS[1], label="discriminator" if number == 0 else None, **faint)
        if limits[0] > 0 and limits[1] >= 30 * limits[0]:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(limits)
        _progress(axes, "epoch")
        axes.margins(x=0.02)
        figure.legend(loc="outside upper left", ncols=2)
        return figure


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file at 200 dots an inch."""
    return _bytes(figure, "png", {"Software": None})


def svg(figure: Figure) -> bytes:
    """Return the figure as an SVG file; its text is text, set in the reader's system font."""
    style = b'<style type="text/css">'
    font = b"text{font-family:system-ui,sans-serif!important}"
    return _bytes(figure, "svg", {"Date": None, "Creator": None}).replace(style, style + font, 1)


def _progress(axes: Axes, unit: str) -> None:
    axes.set_xlabel({"epoch": "epoch", "kimg": "thousands of images shown (kimg)"}[unit])
    locator = AutoLocator()
    locator.set_params(integer=True)
    axes.xaxis.set_major_locator(locator)


def _bytes(figure: Figure, kind: str, metadata: dict) -> bytes:
    buffer = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
