"""The launchers, as far as they can be checked without the clusters they are for."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement

FOLDER = Path(__file__).parents[2] / "launch"
SCRIPTS = [*sorted(path for path in FOLDER.iterdir() if path.suffix in (".sh", ".sbatch")), FOLDER.parent / ".ci/run"]
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
MANIFEST = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script):
    subprocess.run(["bash", "-n", script], check=True)
    done = subprocess.run([SHELLCHECK if SHELLCHECK.exists() else "shellcheck", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


def run(script, arguments, folder, **variables):
    """What a launcher calls, in the words of a program that only tells them."""
    for name in ("python", "srun", "gcloud"):
        (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$(printf "%s|" {name} "$XLA_FLAGS" "$@")"\n')
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": str(folder / "python"), **variables}
    done = subprocess.run(
        [FOLDER / script, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return [line.split("|")[:-1] for line in done.stdout.splitlines()]


COMMAND = ["train", "--workdir=runs/my run"]
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def test_local_starts_one_process_or_several(tmp_path):
    (one,) = run("local.sh", COMMAND, tmp_path, XLA_FLAGS="--other=1")
    assert one == ["python", f"--other=1 {DETERMINISTIC}", "-m", "gan_da_jax", *COMMAND]
    three = run("local.sh", COMMAND, tmp_path, PROCESSES="3")
    assert sorted(words[-1] for words in three) == [f"--process_id={i}" for i in range(3)]
    for words in three:
        assert words[2:6] == ["-m", "gan_da_jax", *COMMAND] and DETERMINISTIC in words[1]
        assert words[6:9] == ["--distributed", "--coordinator_address=127.0.0.1:8476", "--num_processes=3"]


def test_local_ends_with_the_status_of_what_failed(tmp_path):
    program = tmp_path / "fails"
    program.write_text('#!/bin/sh\ncase "$*" in *--process_id=1*) exit 2;; esac\n')
    program.chmod(0o755)
    for processes, status in (("1", 0), ("2", 2)):
        environment = {**os.environ, "PYTHON": str(program), "PROCESSES": processes}
        assert subprocess.run([FOLDER / "local.sh", *COMMAND], env=environment, timeout=60).returncode == status


def test_the_oldest_packages_are_the_lower_bounds_of_all_that_are_installed(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(shutil.which("true"))
    subprocess.run([FOLDER / "test.sh"], env={**os.environ, "VENV": str(tmp_path), "OLDEST": "1"}, check=True)
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["test"]]
    bounds = {each.name: spec.version for each in wanted for spec in each.specifier if spec.operator == ">="}
    assert set(bounds) == {each.name for each in wanted}
    assert dict(line.split("==") for line in (tmp_path / "oldest.txt").read_text().split()) == bounds


def test_slurm_runs_a_command_or_one_arm_of_a_study(tmp_path):
    (whole,) = run("slurm.sbatch", COMMAND, tmp_path)
    assert whole[1].strip() == DETERMINISTIC
    assert whole[4:] == ["-m", "gan_da_jax", *COMMAND, "--distributed"]
    (arm,) = run("slurm.sbatch", ["study"], tmp_path, SLURM_ARRAY_TASK_ID="7")
    assert arm[4:] == ["-m", "gan_da_jax", "study", "--index=7", "--distributed"]


def test_tpu_runs_the_command_on_all_hosts_as_it_was_written(tmp_path):
    (told,) = run("tpu_vm.sh", COMMAND, tmp_path, TPU="pod", ZONE="here")
    assert "--worker=all" in told and "--zone=here" in told
    (remote,) = run_line(told[-1].removeprefix("--command="), tmp_path)
    assert remote[2:] == ["-m", "gan_da_jax", *COMMAND, "--distributed"]


def run_line(line, folder):
    done = subprocess.run(["bash", "-c", line], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    return [words.split("|")[:-1] for words in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(MANIFEST)))
def test_kubernetes_accepts_the_manifest(number):
    kubernetes_validate.validate(MANIFEST[number], "1.30", strict=True)


def test_the_hosts_of_kubernetes_find_each_other():
    service, job = MANIFEST
    container = job["spec"]["template"]["spec"]["containers"][0]
    flags = dict(flag.partition("=")[::2] for flag in container["args"])
    name = f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert job["spec"]["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert flags["--coordinator_address"].split(":")[0] == name
    assert flags["--num_processes"] == str(job["spec"]["completions"]) == str(job["spec"]["parallelism"])
    assert container["command"] == ["python3", "-m", "gan_da_jax"] and "--distributed" in flags
    assert {"name": "XLA_FLAGS", "value": DETERMINISTIC} in [
        {key: variable[key] for key in ("name", "value")} for variable in container["env"]
    ]
