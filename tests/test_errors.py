import pytest

from gan_da_jax.errors import Failure, Interrupted, UserError, did_you_mean, reason


@pytest.mark.parametrize(("word", "says"), [("hfilp", "did you mean hflip? "), ("rotate", ""), ("", "")])
def test_the_known_word_that_is_most_alike_is_offered(word, says):
    assert did_you_mean(word, (known for known in ("vflip", "hflip", "contrast"))) == says


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("no\n  room\n"), "no room"),
        (MemoryError(), "MemoryError"),
        (OSError("x" * 1000), "x" * 200),
    ],
)
def test_the_reason_of_an_error_is_one_short_line(error, says):
    assert reason(error) == says


def test_an_interruption_is_a_failure_and_wrong_input_is_none():
    assert issubclass(Interrupted, Failure) and not issubclass(UserError, Failure)
