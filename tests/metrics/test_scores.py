import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_da_jax.metrics import columns, fid, prdc, scores
from gan_da_jax.metrics.inception_score import inception_score
from gan_da_jax.metrics.measure import Measure, Real, Score
from gan_da_jax.metrics.vendi import vendi

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(60, 8)).astype(np.float32), RNG.normal(0.3, 1.2, size=(40, 8)).astype(np.float32)


CLASSES = ("inception_score", "inception_score_1", "inception_score_1_interval")
COPYING = ("authenticity", "c_t")


def part(found, names):
    """The fields of these names, or of all others, and their reasons."""
    reasons = {name: reason for name, reason in found["reasons"].items() if name in names}
    return {name: value for name, value in found.items() if name in names} | {"reasons": reasons}


def against(a, b, tap="64"):
    reference = None if b is None else Real(b)
    found = scores.of_set({"64": a}, reference, tap=tap, splits=1, seed=0)
    return part(found, found.keys() - {*CLASSES, *COPYING, "reasons"})


def of_classes(logits, splits=10, seed=0, shuffle=True):
    found = scores.of_set({"logits": logits}, None, tap=None, splits=splits, seed=seed, shuffle=shuffle)
    return part(found, CLASSES)


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
    assert found.keys() == {"fid", "kid", "mind", "precision", "recall", "density", "coverage", "vendi", "reasons"}
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
    found = part(scores.of_set({"64": A}, None, tap=None, splits=1, seed=0), CLASSES)
    assert found.pop("reasons").keys() == found.keys() == {*CLASSES} and set(found.values()) == {None}
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
        "memorisation": "2 images are too few to know how near real ones come to each other: there must be at least 3"
    }


def test_what_depends_on_the_reference_alone_is_computed_once(monkeypatch):
    calls = []
    for module, name in ((fid, "statistics"), (prdc, "radii")):
        own = getattr(module, name)

        def counted(x, own=own, **options):
            calls.append((own.__name__, x is B))
            return own(x, **options)

        monkeypatch.setattr(module, name, counted)
    reference = Real(B)
    first = scores.of_set({"64": A}, reference, tap="64", splits=1, seed=0)
    once = calls.count(("statistics", True)), calls.count(("radii", True))
    assert once == (1, 2)  # the radii of precision and of density
    assert scores.of_set({"64": A}, reference, tap="64", splits=1, seed=0) == first
    assert (calls.count(("statistics", True)), calls.count(("radii", True))) == once


def test_the_real_images_own_scores_are_under_fields_of_their_own():
    features = {"logits": A, "64": A}
    found = scores.of_real(features, tap="64", samples=60, splits=2, seed=0)
    same = scores.of_set(features, Real(B), tap="64", splits=2, seed=0)
    names = ("inception_score", "inception_score_1")
    assert found.pop("reasons") == {}
    assert found == {f"real_{name}": same[name] for name in names} | {"real_vendi": vendi(A)}
    found = scores.of_real({"logits": A[:1]}, tap=None, samples=60, splits=2, seed=0)
    assert found["real_inception_score"] is None and "1 images" in found["reasons"]["real_inception_score"]
    assert found["reasons"].keys() == {"real_inception_score", "real_vendi"}


def test_diversity_is_over_equally_many_samples_and_real_images():
    few = scores.of_set({"64": A}, Real(A[:20]), tap="64", splits=1, seed=0)["vendi"]
    assert few == scores.of_real({"64": A}, tap="64", samples=20, splits=1, seed=0)["real_vendi"] != vendi(A)
    all_of_them = scores.of_set({"64": A[:20]}, Real(A), tap="64", splits=1, seed=0)["vendi"]
    assert all_of_them == scores.of_real({"64": A[:20]}, tap="64", samples=60, splits=1, seed=0)["real_vendi"]
    assert all_of_them == vendi(A[:20])


def test_a_further_measure_is_computed_listed_and_joined(monkeypatch):
    """One measure in the table is enough: nothing else names it."""

    def compute(inputs):
        return {"gap": float(abs(inputs.features.mean() - inputs.real.features.mean()))}

    own = Measure((Score("gap", "Gap", "lower", "nobody", share=True),), compute)
    monkeypatch.setattr(columns, "MEASURES", (*columns.MEASURES, own))
    found = against(A, B)
    assert found["gap"] == pytest.approx(abs(A.mean() - B.mean())) and columns.keys()[-1] == "gap"
    assert against(A, None)["reasons"]["gap"] == "there is no reference to compare with"


def test_scores_against_the_training_images_reward_copying_and_held_out_ones_do_not():
    """Samples that are the training images win by FID and MIND, and gain nothing against images held out."""
    copied, fresh = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        training, held_out, further = (rng.normal(size=(150, 8)).astype(np.float32) for _ in range(3))
        known = {"tap": "64", "splits": 1, "seed": 0, "originals": Real(training), "reference": Real(held_out)}
        for samples, found in ((training, copied), (further, fresh)):
            found.append(scores.of_set({"64": samples}, Real(training), **known))
    for key in ("fid", "mind"):
        means = [
            [np.mean([columns.value(row, field) for row in rows]) for rows in (copied, fresh)]
            for field in (key, f"reference_{key}")
        ]
        (copies, others), (copies_held_out, others_held_out) = means
        assert copies < 1e-9 < others, key
        assert copies_held_out > 0.9 * others_held_out, key
    assert np.mean([row["precision"] for row in copied]) == 1 > np.mean([row["precision"] for row in fresh])
    assert max(row["authenticity"] for row in copied) == 0 < min(row["authenticity"] for row in fresh)
    assert max(row["c_t"] for row in copied) < -5 < min(row["c_t"] for row in fresh)


def test_without_training_images_or_held_out_ones_their_scores_say_why():
    found = scores.of_set({"64": A}, Real(B), tap="64", splits=1, seed=0)
    assert found["authenticity"] is found["c_t"] is None
    assert "only a run knows its own" in found["reasons"]["authenticity"] and "reference_fid" not in found
    found = scores.of_set({"64": A}, Real(B), tap="64", splits=1, seed=0, originals=Real(B))
    assert 0 <= found["authenticity"] <= 1
    assert found["reasons"]["c_t"] == "there is no reference that nobody trained on: set evaluate.reference"
    found = scores.of_set({"64": A}, Real(B), tap="64", splits=1, seed=0, originals=Real(B), reference=Real(B[:3]))
    assert found["reference_kid"] is None and "subset size" in found["reasons"]["reference_kid"]
    assert found["kid"] is not None and "kid" not in found["reasons"]
