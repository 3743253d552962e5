import pytest
from ml_collections import ConfigDict

from gan_da_jax.configs import celeba, default, paper, pomeranian, quickstart
from gan_da_jax.errors import UserError
from gan_da_jax.gan import LOSSES, NETWORKS, Network
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


def test_networks_and_losses_are_in_the_tables_and_a_network_says_its_sizes_and_dtypes(monkeypatch):
    monkeypatch.setitem(NETWORKS, "tiny", Network(None, (8, 16), ("float16",), "Tiny"))
    monkeypatch.setitem(LOSSES, "hinged", None)
    some = default.get_config()
    some.model.name, some.model.dtype, some.data.image_size, some.train.loss = "tiny", "float16", 16, "hinged"
    config.check(some)
    for field, value, message in (
        ("data.image_size", 32, "it must be one of 8, 16 for the network tiny"),
        ("model.dtype", "float32", "did you mean float16? it must be one of float16 for the network tiny"),
        ("model.name", "tin", "did you mean tiny? it must be one of dcgan, tiny"),
        ("train.loss", "hinge", "did you mean hinged? it must be one of dcgan, hinged"),
    ):
        wrong = some.copy_and_resolve_references()
        wrong.update_from_flattened_dict({field: value})
        with pytest.raises(UserError) as caught:
            config.check(wrong)
        assert str(caught.value) == f"config.{field} is {value!r}: {message}"


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


def test_fields_that_came_later_say_what_runs_did_before():
    old = default.get_config().to_dict()
    del old["train"]["ema_kimg"]  # runs of before had no average, which the default is today
    assert default.get_config().train.ema_kimg > 0 == config.restored(old).train.ema_kimg
    assert config.differences(old, default.get_config().to_dict()) == ["train.ema_kimg (0.0, now 10.0)"]
    raw = default.get_config()
    raw.train.ema_kimg = 0.0
    assert config.differences(old, raw.to_dict()) == []


def test_the_paper_and_its_sources_have_the_generator_as_it_was_trained():
    papers = [paper.get_config(preset) for preset in ("celeba", "pomeranian", "both", "mini")]
    assert {one.train.ema_kimg for one in (*papers, celeba.get_config(), pomeranian.get_config())} == {0.0}
    assert quickstart.get_config().train.ema_kimg > 0


@pytest.mark.parametrize("name", config._BEFORE)
def test_what_runs_did_before_a_field_is_a_value_of_it_and_not_todays_default(name):
    known = dict(config.flatten(default.get_config()))
    assert type(config._BEFORE[name]) is type(known[name]) and config._BEFORE[name] != known[name]
    some = default.get_config()
    some.update_from_flattened_dict({name: config._BEFORE[name]})
    config.check(some)


def test_fields_that_came_later_have_their_defaults():
    old = default.get_config().to_dict()
    del old["data"]["dataset"], old["study"], old["model"]["name"], old["train"]["loss"]
    assert config.differences(old, default.get_config().to_dict()) == []
    tfds = default.get_config()
    tfds.data.dataset = "celeb_a"
    assert config.differences(old, tfds.to_dict()) == ["data.dataset ('', now 'celeb_a')"]
    other = default.get_config()
    other.model.name, other.train.loss = "another", "another"
    assert config.differences(old, other.to_dict()) == [
        "model.name ('dcgan', now 'another')",
        "train.loss ('dcgan', now 'another')",
    ]
    later = default.get_config().to_dict()
    later["train"] |= {"keep": 7, "keep_best": 7, "kimg_of_warmup": 7}
    assert config.differences(old, later) == [
        "train.keep_best (None, now 7)",
        "train.kimg_of_warmup (None, now 7)",
    ]
    restored = config.restored(old)
    assert (restored.model.name, restored.train.loss) == ("dcgan", "dcgan")
