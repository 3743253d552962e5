"""The command line as a user meets it; what it says to wrong input is in test_bad_input.py."""

import subprocess
import sys

from gan_da_jax.main import VERBS, main


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {verb} " in text for verb in VERBS)


def test_shipped_configs_are_found_from_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--config=configs/quickstart.py", "--workdir=run", "--dry_run"]) == 0
    assert main(["train", "--config", "configs/quickstart.py", "--workdir", "run", "--dry_run"]) == 0
    assert capsys.readouterr().out.count("steps of 16 images") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_module_runs_as_a_command(tmp_path):
    done = subprocess.run([sys.executable, "-m", "gan_da_jax", "nonsense"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.startswith("error: 'nonsense' is not a verb")
