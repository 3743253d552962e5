import pytest

from gan_da_jax.data.sources import child
from gan_da_jax.errors import Failure, UserError


def test_what_lies_in_the_current_folder_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise ImportError('a file of the user')")
    monkeypatch.chdir(tmp_path)
    child.call("gan_da_jax.errors", "did_you_mean", word="a", known=["a"])


def test_an_error_of_the_user_comes_back(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist: is this"):
        child.call("gan_da_jax.files.io", "read_json", path="nowhere")


def test_any_other_end_is_a_failure(capfd):
    with pytest.raises(Failure, match="the process of os.abort has ended without an answer"):
        child.call("os", "abort")
