import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Downloads, trained classifiers and compiled programs of the tests stay apart from the user's own."""
    os.environ["GAN_DA_CACHE"] = os.environ.get("GAN_DA_TEST_CACHE") or str(tmp_path_factory.mktemp("cache"))
