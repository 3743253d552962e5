"""The command line as a user meets it; what it says to wrong input is in test_bad_input.py."""

import inspect
import subprocess
import sys

import pytest

import gan_da_jax
from gan_da_jax.main import VERBS, main
from gan_da_jax.verbs.verb import DRY_RUN, PROCESSES


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(words, capsys):
    assert main(words) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {verb} " in text for verb in VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_verb_lists_its_flags_and_no_others(name, capsys):
    assert main([name, "--help"]) == 0
    verb, text = VERBS[name], capsys.readouterr().out
    own = {flag.name: flag.help for flag in (*verb.needs, *verb.takes, DRY_RUN)}
    assert {line.split()[0].lstrip("-").partition("=")[0] for line in text.splitlines() if "  --" in line} == {*own}
    assert all(line in text for line in own.values()) and verb.does in text and "\n\n\n" not in text
    assert {*inspect.signature(verb.run).parameters} >= {*own} - {flag.name for flag in PROCESSES}


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gan_da_jax {gan_da_jax.__version__}\n"


def test_shipped_configs_are_found_from_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--config=configs/quickstart.py", "--workdir=run", "--dry_run"]) == 0
    assert main(["train", "--config", "configs/quickstart.py", "--workdir", "run", "--dry_run"]) == 0
    assert capsys.readouterr().out.count("steps of 32 images") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_module_runs_as_a_command(tmp_path):
    done = subprocess.run([sys.executable, "-m", "gan_da_jax", "nonsense"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.startswith("error: 'nonsense' is not a verb")
