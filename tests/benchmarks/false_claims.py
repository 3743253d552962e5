"""How often the report would claim what is not so, and miss what is, as tables in Markdown.

    python tests/benchmarks/false_claims.py [--studies 2000]

Simulated studies of 2 to 12 arms, the control among them, and 2 to 9 seeds: score = seed + residual, so that no arm
differs. A study counts as wrong if any arm is claimed to. Then one arm of twelve is better by a number of standard
deviations of a paired difference, and counts if it is claimed. The report's rule is `comparison.compare` itself.
"""

import argparse
from collections.abc import Callable

import numpy as np

from gan_da_jax.metrics import largest_t
from gan_da_jax.metrics.comparison import LEVEL, Family, compare

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
RULES = ("the report", "Dunnett alone", "ranks, Holm")


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal(shape)


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_t(3, shape)


def spreading(place: int, times: float) -> Draw:
    """Normal residuals, those of one arm larger; the arm in place 0 is the control."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        residuals = rng.standard_normal(shape)
        residuals[place] *= times
        return residuals

    return draw


def missing(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.where(rng.random(shape) < 0.1, np.nan, rng.standard_normal(shape))


KINDS: dict[str, Draw] = {
    "normal": normal,
    "normal, one run in ten missing": missing,
    "t with 3 degrees of freedom": heavy,
    "one arm with 3 times the spread": spreading(-1, 3),
    "one arm with 10 times the spread": spreading(-1, 10),
    "the control with 3 times the spread": spreading(0, 3),
}


def claims(scores: np.ndarray) -> np.ndarray:
    """Say which arms each of `RULES` claims to differ: bool [rules, arms - 1], for float [arms, seeds] or NaN."""
    control, *arms = ({seed: one for seed, one in enumerate(row) if not np.isnan(one)} for row in scores)
    found = compare([Family(control, dict(enumerate(arms)))], relative=False)
    claimed = np.zeros((len(RULES), len(arms)), bool)
    claimed[1] = dunnett_alone(scores)
    for arm, one in found.items():
        claimed[0, arm], claimed[2, arm] = one.claimed, one.p_rank <= LEVEL
    return claimed


def dunnett_alone(scores: np.ndarray) -> np.ndarray:
    """Test with the mean square of all arms, whatever their spread; nothing is claimed where runs are missing."""
    arms, seeds = scores.shape
    residuals = scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()
    df = (arms - 1) * (seeds - 1)
    error = np.sqrt(2 * np.sum(residuals**2) / df / seeds)
    differences = (scores[1:] - scores[0]).mean(1)
    return np.abs(differences) / error > largest_t.complete(arms - 1).critical(df, LEVEL)


def wrong(draw: Draw, studies: int) -> dict[int, np.ndarray]:
    """Find the shares of studies with a wrong claim, under the number of seeds."""
    rng = np.random.default_rng(0)
    found: dict[int, list[np.ndarray]] = {seeds: [] for seeds in range(2, 10)}
    for study in range(studies):
        seeds, arms = 2 + study % 8, 2 + study // 8 % 11
        scores = rng.standard_normal(seeds) + draw(rng, (arms, seeds))
        found[seeds].append(claims(scores).any(axis=1))
    return {seeds: np.mean(each, axis=0) for seeds, each in found.items()}


def power(effect: float, seeds: int, studies: int) -> np.ndarray:
    """Find the shares of studies that claim the one arm of twelve that differs by this effect."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(studies):
        scores = rng.standard_normal(seeds) + rng.standard_normal((12, seeds))
        scores[1] += effect * np.sqrt(2)
        found.append(claims(scores)[:, 0])
    return np.mean(found, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    print(f"| residuals | {' | '.join(RULES)} | the report with 2, 3, 4, 5, 9 seeds |")
    print("| --- | --- | --- | --- | --- |")
    for name, draw in KINDS.items():
        found = wrong(draw, studies)
        means = [f"{mean:.1%}" for mean in np.mean(list(found.values()), axis=0)]
        if draw is missing:
            means[1] = "–"
        by_seeds = ", ".join(f"{found[seeds][0]:.1%}" for seeds in (2, 3, 4, 5, 9))
        print(f"| {name} | {' | '.join(means)} | {by_seeds} |", flush=True)
    print(f"\n| seeds | effect | {' | '.join(RULES)} |")
    print("| --- | --- | --- | --- | --- |")
    for seeds, effect in ((3, 1.5), (3, 2), (3, 3), (5, 1.5), (9, 1), (9, 1.5)):
        shares = " | ".join(f"{share:.2f}" for share in power(effect, seeds, studies // 2))
        print(f"| {seeds} | {effect:g} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
