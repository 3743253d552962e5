import pytest

from gan_da_jax.files import io
from gan_da_jax.report import controls, tables, verdict
from gan_da_jax.report.arms import compare, group
from gan_da_jax.report.health import troubles


def change(folder, function):
    path = folder / "metrics.jsonl"
    io.write_jsonl(path, [row | function(row) for row in io.read_jsonl(path)])


def diverge(folder, step):
    row = {"step": step, "epoch": step / 16, "kimg": step * 0.064, "diverged": "generator loss is"}
    io.append_jsonl(folder / "metrics.jsonl", row | {"generator_loss": None, "discriminator_loss": 0.5})


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([0.5] * 20, None),
        ([0.5] * 8 + [0.009] * 12, "from epoch 8 to 20"),
        ([0.009] * 3 + [0.5] * 17, "from epoch 0 to 3"),
        ([0.009] * 2 + [0.5] * 18, None),  # too few epochs
        ([0.009] * 3 + [0.5] * 37, None),  # too short a part of the run
        ([0.0] * 4 + [0.5] + [0.0] * 6 + [0.5], "from epoch 5 to 11"),
        ([0.5] * 10 + [0.011] * 10, None),
        ([0.0, None, 0.0, None] * 5, None),
    ],
)
def test_a_discriminator_that_has_won_for_long_is_told_of(tmp_path, make_run, read_all, losses, says):
    folder = make_run(tmp_path / "a", epochs=len(losses), evaluations=0, grids=0)
    change(folder, lambda row: {"discriminator_loss": losses[int(row["epoch"]) - 1]})
    [run] = read_all(tmp_path)
    assert [says in trouble for trouble in troubles(run)] == ([] if says is None else [True])


def test_troubles_are_in_the_caveats_of_the_board_and_in_the_table(tmp_path, make_run, read_all):
    make_run(tmp_path / "none")
    diverge(make_run(tmp_path / "hflip", policy="hflip", count=20, seed=3), 75)
    change(make_run(tmp_path / "vflip", policy="vflip", count=20, epochs=8), lambda row: {"discriminator_loss": 0.0})
    arms = group(read_all(tmp_path))[0]
    [board] = compare(arms)
    told = verdict.of_board(board, controls.against(board)).caveats
    assert told[0] == (
        "The training of hflip@20, seed 3, diverged by step 75 (epoch 4.688): generator loss is no longer finite."
    )
    assert told[1].startswith("The training of vflip@20 (train.epochs=8), seed 0, had a discriminator that won")
    assert not any("none" in one for one in told[:2])
    text = tables.to_text(arms, tables.entries([board])).splitlines()
    assert text[-2].startswith("hflip diverged by step 75") and text[-1].startswith("vflip had a discriminator")
