"""Bar charts: scores of arms in groups, and the probabilities of classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_da_jax.metrics.columns import written
from gan_da_jax.report.charts.figures import (
    COLOURS,
    DIRECTIONS,
    INK,
    MUTED,
    REAL,
    Figure,
    Ranked,
    at_the_edge,
    name_rows,
    panel,
    reach,
)

PLAIN, PALE = "no augmentation", "#c3c9d2"
FILLS = (COLOURS[0], COLOURS[5], COLOURS[2], COLOURS[3])
HATCHES = ("", "////", "....", "xxxx")  # tell the bars apart where there is no colour


def bars(
    groups: Sequence[Sequence[tuple[str, Ranked]]], *, names: Sequence[str], label: str, real: float | None, better: str
) -> Figure:
    """Draw scores as bars from 0, with 95% intervals as lines (cut where they leave the picture).

    Args:
        groups: from the top down; in each the names of its bars, as the legend tells them apart, with their places. The
            first place's label stands at the group.
        names: all names of bars, in the order of the legend; bars of the name `PLAIN` are pale.
        label: the name of the score.
        real: the score of the real images, or None.
        better: as in `figures.ranking`.
    """
    places = [place for group in groups for _, place in group]
    filled = [name for name in names if name != PLAIN]
    kinds: dict[str, dict[str, Any]] = {name: {"edgecolor": "white", "linewidth": 0, "color": PALE} for name in names}
    for n, name in enumerate(filled):
        kinds[name] |= {"color": FILLS[n % 4], "hatch": HATCHES[n % 4]}
    with panel(1.25 + 0.23 * len(places) + 0.08 * len(groups)) as (figure, axes):
        heights, y = [], 0.0
        for group in groups:
            heights.append(y + (len(group) - 1) / 2)
            for name, place in group:
                axes.barh(y, place.mean, 0.8, **kinds[name])
                if place.ci95:
                    axes.plot(place.ci95, [y, y], color=INK, linewidth=1, marker="|", markersize=6)
                at_the_edge(axes, y, place.mean)
                y += 1
            y += 0.35
        low, high, room = reach(places, [0.0, *([] if real is None else [real])])
        axes.set_xlim(low - (0.03 * room if low < 0 else 0), high + 0.03 * room)
        axes.set_ylim(y - 0.75, -0.6)
        for name, kind in kinds.items():
            axes.barh(-9, 0, **kind, label=name)  # outside the picture: only for the legend
        if real is not None:
            axes.axvline(real, **REAL, label=f"real images {written(real)}")
        name_rows(axes, heights, [group[0][1].label for group in groups])
        axes.set_xlabel(f"{label}\n{DIRECTIONS[better]}", linespacing=1.5)
        figure.legend(loc="outside upper left", ncols=3, handlelength=1.8, columnspacing=1.2)
        return figure


def classes(*, names: Sequence[str], real: np.ndarray | None, samples: np.ndarray, single: np.ndarray) -> Figure:
    """Draw the classes that a classifier sees: p(y) of real images and samples as bars, p(y|x) of single ones as marks.

    Args:
        names: the K classes, from the top down.
        real: p(y) of the real images, float [K], or None.
        samples: p(y) of all samples, float [K].
        single: p(y|x) of up to three samples, float [n, K].
    """
    with panel(1.05 + 0.27 * len(names), width=3.4) as (figure, axes):
        heights = np.arange(len(names))
        shift = 0 if real is None else 0.2
        if real is not None:
            axes.barh(heights - shift, real, 0.38, color=PALE, label="p(y), real images")
        axes.barh(heights + shift, samples, 0.38, color=COLOURS[0], label="p(y), samples")
        for marker, probabilities in zip("os^", single, strict=False):
            ring: dict[str, Any] = {"s": 16, "facecolor": "white", "edgecolor": COLOURS[1], "linewidth": 1}
            axes.scatter(probabilities, heights, marker=marker, zorder=3, clip_on=False, **ring)
        axes.scatter([], [], s=16, facecolor="white", edgecolor=COLOURS[1], label="p(y|x), single samples")
        axes.set_xlim(0, 1)
        axes.set_ylim(len(names) - 0.4, -0.6)
        name_rows(axes, range(len(names)), names)
        axes.set_xlabel("probability", color=MUTED)
        figure.legend(loc="outside upper left", ncols=2, handlelength=1.4, columnspacing=1)
        return figure
