from pathlib import Path

import pytest

from gan_da_jax.files import checkpoint, io
from gan_da_jax.runs.folder import Folder, Run
from helpers import configured


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


@pytest.mark.parametrize("dies", [1, 2])
def test_a_kill_between_the_removals_of_an_interruption_leaves_nothing_for_good(tmp_path, monkeypatch, dies):
    retained(tmp_path, [4, 6, 8])
    run = Run(
        configured(**{"data.count": 32, "train.batch_size": 8, "train.epochs": 6}, train__checkpoint_every=1), tmp_path
    )
    removals = []

    def removal(owner, name):
        real = getattr(owner, name)

        def die_or_do(*arguments, **options):
            removals.append(name)
            if len(removals) == dies:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, die_or_do)

    removal(checkpoint, "delete")
    removal(Path, "unlink")
    with pytest.raises(KeyboardInterrupt):
        run.drop_extras()
    monkeypatch.undo()
    run.drop_extras()
    assert run.saved() == [4, 8]
    assert sorted(int(path.stem[-8:]) for path in (tmp_path / "samples").iterdir()) == [4, 8]


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


def test_a_line_that_lacks_its_step_notes_no_checkpoint(tmp_path):
    folder = Folder(tmp_path)
    io.write_jsonl(folder.metrics, [{"state_sha256": "a"}, {"step": 4, "state_sha256": "b"}, {"step": 8}])
    assert [step for step in (4, 8) if step in folder.noted_states()] == [4]
