import pytest
from ml_collections import ConfigDict

from gan_da_jax import config
from gan_da_jax.configs import celeba, default, pomeranian, quickstart
from gan_da_jax.errors import UserError


@pytest.mark.parametrize("module", [default, quickstart, celeba, pomeranian])
def test_shipped_configs_are_valid(module):
    config.check(module.get_config())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", -1, "0 to 4294967295"),
        ("seed", 2**32, "0 to 4294967295"),
        ("seed", 1.5, "takes a value like 0"),
        ("data.source", "web", "faces, folder, zip, tfds"),
        ("data.source", "folder", "name the images"),
        ("data.source", "tfds", "--config.data.dataset=celeb_a"),
        ("data.path", "somewhere", "leave it empty"),
        ("data.dataset", "celeb_a", "leave it empty"),
        ("data.count", 0, "at least 1 image"),
        ("data.count", True, "takes a value like 1000"),
        ("data.image_size", 100, "32, 64, 128, 256"),
        ("data.resize", "squash", "stretch, center_crop"),
        ("data.skip_bad", 1, "takes a value like False"),
        ("data.resident_mb", -1.0, "at least 0 megabytes"),
        ("augment.policy", "rotate", "rotate is not an op"),
        ("augment.policy", "contrast(factor=-1)", "at least 0"),
        ("model.latent_dim", 0, "at least 1"),
        ("model.width", 0, "at least 1 channel"),
        ("train.batch_size", 1, "BatchNorm needs two"),
        ("train.epochs", 0, "at least 1 epoch"),
        ("train.kimg", -1.0, "above 0"),
        ("train.kimg", float("inf"), "finite"),
        ("train.checkpoint_every", 0, "at least 1 epoch"),
        ("train.learning_rate", 0.0, "above 0"),
        ("train.beta1", 1.0, "below 1"),
        ("evaluate.samples", 9, "at most config.evaluate.samples"),
        ("evaluate.splits", 0, "at least 1"),
        ("evaluate.splits", 1001, "a split needs an image"),
        ("evaluate.classifier", "resnet", "faces_attributes"),
        ("evaluate.classes", "pomeranien", "no class 'pomeranien'"),
        ("study.seeds", ("0",), "type int"),
        ("study.seeds", (True,), "type int"),
        ("study.arms", (1,), "type str"),
        ("study.sources", (None,), "type str"),
    ],
)
def test_impossible_values_are_named(field, value, message):
    wrong = default.get_config().copy_and_resolve_references()
    with wrong.ignore_type():
        wrong.update_from_flattened_dict({field: value})
    with pytest.raises(UserError, match=field.split(".")[-1].removesuffix("es")) as caught:
        config.check(wrong)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_tfds_needs_no_path():
    some = default.get_config()
    some.data.source, some.data.dataset = "tfds", "celeb_a"
    config.check(some)
    some.data.path = "/data/tfds"
    config.check(some)


def test_count_matters_only_with_a_policy():
    wrong = default.get_config()
    wrong.augment.count = 0
    config.check(wrong)
    assert config.augmented_count(wrong) == 0
    wrong.augment.policy = "hflip"
    with pytest.raises(UserError, match="augment.count"):
        config.check(wrong)


def test_unknown_and_missing_fields():
    extra = ConfigDict({**default.get_config().to_dict(), "speed": 1})
    with pytest.raises(UserError, match="config.speed is not a field"):
        config.check(extra)
    missing = default.get_config().to_dict()
    del missing["train"]["epochs"]
    with pytest.raises(UserError, match="config.train.epochs is missing"):
        config.check(ConfigDict(missing))


def test_differences():
    old, new = default.get_config(), default.get_config()
    new.augment.count = 7  # of no effect without a policy
    new.train.epochs = 7
    new.evaluate.samples = 7
    assert config.differences(old.to_dict(), new.to_dict()) == []
    new.seed = 1
    new.augment.policy = "hflip"
    assert config.differences(old.to_dict(), new.to_dict()) == [
        "augment.count (1000, now 7)",
        "augment.policy ('none', now 'hflip')",
        "seed (0, now 1)",
    ]


def test_fields_that_came_later_have_their_defaults():
    old = default.get_config().to_dict()
    del old["data"]["dataset"], old["study"]
    assert config.differences(old, default.get_config().to_dict()) == []
    tfds = default.get_config()
    tfds.data.dataset = "celeb_a"
    assert config.differences(old, tfds.to_dict()) == ["data.dataset ('', now 'celeb_a')"]
