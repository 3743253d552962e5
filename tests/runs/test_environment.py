import platform

import pytest

from gan_da_jax.runs import environment
from gan_da_jax.runs.folder import Run
from helpers import configured


def on_gpu(flags: str | None) -> dict:
    return {"backend": "gpu", "flags": {} if flags is None else {"XLA_FLAGS": flags}}


def test_the_environment_is_that_of_this_process():
    found = environment.current()
    assert found["versions"]["python"] == platform.python_version() and found["backend"] == "cpu"
    assert found["flags"]["jax_enable_x64"] is False and found["kind"].endswith(tuple("0123456789"))
    assert len(environment.digest(found)) == 64 and environment.digest(found) == environment.digest(dict(found))
    assert environment.digest(found | {"kind": "another"}) != environment.digest(found)


@pytest.mark.parametrize(
    ("flags", "deterministic"),
    [
        (None, False),
        ("", False),
        ("--xla_gpu_deterministic_ops=false", False),
        ("--xla_dump_to=/tmp/x", False),
        ("--xla_gpu_deterministic_ops=true", True),
        ("--xla_gpu_deterministic_ops", True),
        ("--xla_dump_to=/tmp/x --xla_gpu_deterministic_ops=1", True),
        ("--xla_gpu_deterministic_ops=true --xla_gpu_deterministic_ops=false", False),  # XLA takes the last one
    ],
)
def test_a_gpu_needs_its_flag_and_a_cpu_none(flags, deterministic):
    assert (environment.nondeterminism(on_gpu(flags)) == "") == deterministic
    assert environment.nondeterminism(on_gpu(flags) | {"backend": "cpu"}) == ""


def test_what_differs_is_named():
    then = {"versions": {"jax": "0.10.1", "numpy": "2.3"}, "backend": "gpu", "flags": {}}
    now = {"versions": {"jax": "0.10.2", "numpy": "2.3"}, "backend": "cpu", "flags": {"XLA_FLAGS": "--a"}}
    assert environment.differences(then, then) == []
    assert environment.differences(then, now) == [
        "versions.jax (0.10.1, now 0.10.2)",
        "backend (gpu, now cpu)",
        "flags.XLA_FLAGS (None, now --a)",
    ]


def test_what_a_run_has_recorded_keeps_its_hash_when_environments_get_another_key(tmp_path, monkeypatch):
    run = Run(configured(), tmp_path)
    run.claim()
    then = environment.digest(environment.current())
    now = environment.current() | {"another key": 3}
    monkeypatch.setattr(environment, "current", lambda: now)
    assert [*environment.recorded(run.read_config_json())] == [then]
    assert run.visit() == environment.digest(now)
    assert [*environment.recorded(run.read_config_json())] == [environment.digest(now), then]
