import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_da_jax.metrics import scores
from gan_da_jax.metrics.inception_score import inception_score

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(60, 8)).astype(np.float32), RNG.normal(0.3, 1.2, size=(40, 8)).astype(np.float32)


def against(a, b, **changes):
    return scores.against({"64": a}, None if b is None else {"64": b}, **{"tap": "64", "seed": 0, **changes})


def of_classes(logits, **changes):
    return scores.of_classes({"logits": logits}, **{"splits": 10, "seed": 0, "shuffle": True, **changes})


def brute_force(real, fake):
    """Precision, recall (k = 3) and density, coverage (k = 5) as their papers define them, of all pairs in float64."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)

    def radii(x, k):
        return np.sort(cdist(x, x), axis=1)[:, k]

    between = cdist(fake, real)
    inside = between < radii(real, 5)
    return {
        "precision": np.mean((between <= radii(real, 3)).any(1)),
        "recall": np.mean((between <= radii(fake, 3)[:, None]).any(0)),
        "density": inside.sum() / (5 * len(fake)),
        "coverage": np.mean(inside.any(0)),
    }


def test_precision_and_recall_are_those_of_the_images_against_the_reference():
    found = against(A, B)
    expected = brute_force(real=B, fake=A)
    assert {name: found[name] for name in expected} == expected
    other = against(B, A)
    assert (other["precision"], other["recall"]) == (found["recall"], found["precision"])
    assert found["precision"] != found["recall"]


def test_every_score_against_a_reference_is_there():
    found = against(A, B)
    assert found.keys() == {"fid", "kid", "precision", "recall", "density", "coverage", "reasons"}
    assert found["reasons"] == {}
    assert found["kid"].keys() == {"mean", "std", "subsets", "subset_size"}
    assert (found["kid"]["subsets"], found["kid"]["subset_size"]) == (100, 20)
    assert against(A, A)["fid"] < 1e-10


@pytest.mark.parametrize(
    ("images", "null"),
    [
        (1, {"fid", "kid", "recall"}),
        (3, {"kid", "recall"}),
        (4, set()),
    ],
)
def test_too_few_images_leave_the_other_scores(images, null):
    found = against(A[:images], B)
    assert {name for name, value in found.items() if value is None} == null == found["reasons"].keys()
    assert all(reason for reason in found["reasons"].values())


def test_no_reference_is_the_reason():
    found = against(A, None, tap=None)
    assert set(found.pop("reasons").values()) == {"there is no reference to compare with"}
    assert set(found.values()) == {None}


def test_features_that_are_not_finite_are_the_reason():
    found = against(np.where(np.arange(8) == 3, np.nan, A), B)
    assert all("not finite" in reason for reason in found.pop("reasons").values())
    assert set(found.values()) == {None}


def test_more_splits_than_images_leave_the_score_of_one_split():
    found = of_classes(A[:7])
    assert found["inception_score"] is None
    assert found["reasons"].keys() == {"inception_score"} and "7 images" in found["reasons"]["inception_score"]
    assert found["inception_score_1"] == pytest.approx(inception_score(A[:7].astype(np.float64), splits=1)[0])
    low, high = found["inception_score_1_interval"]
    assert 1 <= low < high


def test_sorted_images_are_shuffled_as_torch_fidelity_does():
    # 5 classes, one after the other: in order, every split shows one class, or two.
    logits = 8 * np.eye(5)[np.repeat(np.arange(5), 20)] + RNG.normal(size=(100, 5))
    found, in_order = of_classes(logits, seed=2020), of_classes(logits, shuffle=False)
    assert in_order["inception_score"]["mean"] < 1.5 < 3 < found["inception_score"]["mean"]
    order = np.random.RandomState(2020).permutation(100)
    assert found["inception_score"]["mean"] == inception_score(logits[order], splits=10)[0]
    assert found["inception_score_1"] == pytest.approx(in_order["inception_score_1"], rel=1e-12)


def test_without_logits_there_are_no_scores_of_classes():
    found = scores.of_classes({"64": A}, splits=1, seed=0, shuffle=False)
    assert found.pop("reasons").keys() == found.keys() and set(found.values()) == {None}
    found = scores.of_each_image({"64": A}, names=(), wanted=())
    assert found["classes"] is None and "last layer" in found["reasons"]["classes"]


def test_classes_of_each_image():
    logits = np.log([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]])
    found = scores.of_each_image({"logits": logits}, names=("a", "b", "c"), wanted=(1, 2))["classes"]
    assert found["wanted"] == ["b", "c"]
    assert found["top1_share"] == 0.5
    assert found["mean_probability"] == pytest.approx((0.3 + 0.4 + 0.9 + 0.75) / 4)
    assert found["most_frequent"][0] == ["a", 2] and len(found["most_frequent"]) == 3
    found = scores.of_each_image({"logits": logits}, names=("a", "b", "c"), wanted=())["classes"]
    assert found["top1_share"] is None and found["mean_probability"] is None and found["wanted"] == []


def test_copies_are_shares_with_what_is_expected_or_a_reason():
    rng = np.random.default_rng(0)
    real, other = rng.normal(size=(30, 2, 2, 3)), rng.normal(size=(30, 5))
    search = scores.copies({"pixels": (real, real[:, :, ::-1]), "features": (other,)})
    samples = np.concatenate([real[3:5], real[7:8, :, ::-1], rng.normal(size=(1, 2, 2, 3)) + 9])
    found, nearest = search({"pixels": samples, "features": np.full((4, 5), np.nan)})
    assert found["memorisation"] == {"pixels": {"share": 0.75, "expected": 1 / 31}, "features": None}
    assert list(found["reasons"]) == ["memorisation.features"]
    assert list(nearest.image[:3]) == [3, 4, 7] and list(nearest.variant[:3]) == [0, 0, 1]

    found, nearest = scores.copies({"pixels": (real[:2],), "features": (other[:2],)})({})
    assert found["memorisation"] is None and nearest is None
    assert found["reasons"] == {
        "memorisation": "2 images are too few to know how near real ones come to each other: 3 are needed"
    }
