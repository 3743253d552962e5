import numpy as np
import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.report.arms import compare, group
from gan_da_jax.report.charts import probabilities


@pytest.fixture
def board_of(read_all):
    return lambda root: compare(group(read_all(root))[0])[0]


def test_condensed_probabilities_keep_their_sum_and_the_greatest_classes():
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(20), 5)
    names = [f"c{i}" for i in range(20)]
    shown, found = probabilities.condense(names, table, table.mean(0))
    np.testing.assert_allclose(found.sum(1), 1)
    greatest = sorted(range(20), key=lambda index: -table.mean(0)[index])[:7]
    assert shown == [*(names[index] for index in greatest), "13 others"]
    np.testing.assert_array_equal(found[:, :7], table[:, greatest])
    few, same = probabilities.condense(names[:3], table[:, :3], np.array([0.1, 0.5, 0.2]))
    assert few == ["c1", "c2", "c0"]
    np.testing.assert_array_equal(same, table[:, [1, 2, 0]])


def test_arm_is_told_with_the_real_images_or_without(tmp_path, make_run, board_of):
    run = make_run(tmp_path / "a", probabilities=12)
    make_run(tmp_path / "b", policy="hflip", count=20)
    with np.load(run / "probabilities" / "step_00000064_faces_attributes.npz") as file:
        samples = file["probabilities"].astype(float)
    with np.load(run / "probabilities" / "originals_faces_attributes.npz") as file:
        real = file["probabilities"].astype(float).mean(0)
    found = probabilities.of_board(board_of(tmp_path))
    assert list(found) == [0]
    for index, name in enumerate(found[0].names[:-1]):
        number = int(name.removeprefix("class "))
        assert found[0].samples[index] == pytest.approx(samples.mean(0)[number])
        assert found[0].real[index] == pytest.approx(real[number])
        assert found[0].single[:, index] == pytest.approx(samples[:3, number])
    assert found[0].names[-1] == "5 others" and found[0].real.sum() == pytest.approx(1)
    (run / "probabilities" / "originals_faces_attributes.npz").unlink()
    assert probabilities.of_board(board_of(tmp_path))[0].real is None


def test_all_arms_are_told_by_the_same_classes(tmp_path, make_run, board_of):
    for policy in ("none", "hflip", "vflip"):
        make_run(tmp_path / policy, policy=policy, count=20, probabilities=40)
    found = list(probabilities.of_board(board_of(tmp_path)).values())
    assert len(found) == 3 and len({tuple(one.names) for one in found}) == 1
    likeliest = np.max([number for one in found for number in (one.samples, one.real)], axis=0)[:-1]
    assert (np.diff(likeliest) <= 0).all()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"no archive"])
def test_broken_file_is_named(tmp_path, make_run, board_of, content):
    make_run(tmp_path, probabilities=3)
    (tmp_path / "probabilities" / "step_00000064_faces_attributes.npz").write_bytes(content)
    with pytest.raises(UserError, match="step_00000064_faces_attributes.npz does not hold class probabilities"):
        probabilities.of_board(board_of(tmp_path))
