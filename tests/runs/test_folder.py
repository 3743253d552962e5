import jax
import numpy as np
import pytest

from gan_da_jax import gan, prng
from gan_da_jax.devices import parallel
from gan_da_jax.files import checkpoint, io
from gan_da_jax.runs import networks
from gan_da_jax.runs.folder import Run
from helpers import configured


def test_the_initial_state_does_not_depend_on_how_well_it_is_compiled():
    config = configured(seed=7, data__image_size=32, model__width=5)
    expected = jax.jit(lambda key: gan.init(networks.network(config), key))(prng.stream(7, "init"))
    jax.tree.map(np.testing.assert_array_equal, parallel.host(networks.initial_state(config)), jax.device_get(expected))


@pytest.mark.parametrize(("megabytes", "memory", "expected"), [(0.0, None, None), (0.0, 8e9, 4e9), (1.5, 8e9, 1.5e6)])
def test_half_of_the_memory_is_for_images_unless_the_config_says_otherwise(megabytes, memory, expected, monkeypatch):
    monkeypatch.setattr(parallel, "memory", lambda: memory)
    assert networks.resident_bytes(configured(data__resident_mb=megabytes)) == expected


def retained(workdir, saved, *, scored=(), every=1, keep=2, best=(), extras=False):
    """The steps that stay of `saved`; 32 images in batches of 8, 6 epochs: an epoch has 4 steps, the run 24."""
    small = {"data.count": 32, "train.batch_size": 8, "train.epochs": 6}
    config = configured(**small, train__checkpoint_every=every, train__keep=keep)
    for step in saved:
        (workdir / "checkpoints" / str(step)).mkdir(parents=True)
        io.write_atomic(workdir / "samples" / f"step_{step:08d}.png", b"")
    io.write_jsonl(workdir / "scores.jsonl", [{"step": step} for step in scored])
    if extras:
        Run(config, workdir).drop_extras()
    else:
        Run(config, workdir).drop_scored(set(best))
    return checkpoint.steps(workdir / "checkpoints")


@pytest.mark.parametrize(
    ("saved", "scored", "every", "stay"),
    [
        ([4, 6, 8], (), 1, [4, 8]),
        ([4, 8, 9, 11], (), 1, [4, 8, 9, 11]),  # none that was planned is later
        ([3, 5], (), 1, [3, 5]),
        ([4, 8, 12], (4,), 3, [4, 12]),  # 4 was planned when it was scored
        ([4, 8, 10], (), 3, [4, 8, 10]),
    ],
)
def test_checkpoints_of_interruptions_go_once_a_planned_one_is_later(tmp_path, saved, scored, every, stay):
    assert retained(tmp_path, saved, scored=scored, every=every, extras=True) == stay
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [f"step_{step:08d}.png" for step in stay]


@pytest.mark.parametrize(
    ("saved", "scored", "keep", "best", "stay"),
    [
        ([4, 8, 12, 16], (4, 8, 12, 16), 2, (), [12, 16]),
        ([4, 8, 12, 16], (4, 8, 12, 16), 2, (8,), [8, 12, 16]),
        ([4, 8, 12, 16], (8,), 2, (), [4, 12, 16]),  # 4 is not scored yet
        ([4, 8, 12, 16], (4, 8, 12, 16), 20, (), [4, 8, 12, 16]),
        ([4], (4,), 2, (), [4]),
    ],
)
def test_of_scored_checkpoints_the_newest_and_the_best_are_kept(tmp_path, saved, scored, keep, best, stay):
    assert retained(tmp_path, saved, scored=scored, keep=keep, best=best) == stay
    assert len(list((tmp_path / "samples").iterdir())) == len(saved)  # pictures stay
