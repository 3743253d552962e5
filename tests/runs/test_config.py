import pytest
from ml_collections import ConfigDict

from gan_da_jax.configs import celeba, default, pomeranian, quickstart
from gan_da_jax.errors import UserError
from gan_da_jax.runs import config


@pytest.mark.parametrize("module", [default, quickstart, celeba, pomeranian])
def test_shipped_configs_are_valid(module):
    config.check(module.get_config())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", 1.5, "must be a value like 0"),
        ("data.count", True, "must be a value like 1000"),
        ("data.skip_bad", 1, "must be a value like False"),
        ("data.path", "a\0b", "NUL character"),
        ("study.seeds", (True,), "type int"),
        ("study.sources", (None,), "type str"),
    ],
)
def test_values_that_only_a_file_can_give_are_named(field, value, message):
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
