import inspect

import pytest

from gan_da_jax.data.sources import SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_takes_the_same_arguments(name):
    parameters = inspect.signature(SOURCES[name]).parameters.values()
    assert [parameter.name for parameter in parameters] == [
        "path",
        "dataset",
        "count",
        "image_size",
        "resize",
        "seed",
        "skip_bad",
    ]
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters)
