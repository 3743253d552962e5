#!/usr/bin/env bash
# The wheel as a user installs it: without the clone, PyTorch and TensorFlow, in an empty folder. Its files are the clone's,
# its command plans a study, and the tests pass, but for the ones named below. PYTHON may be set.
set -euo pipefail
cd "$(dirname "$0")/.."
clone=$PWD
without=(test_imports.py test_readme.py) # they look at the clone
without+=(end_to_end pipeline pytorch verbs) # they take minutes, or need PyTorch

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
python=$folder/venv/bin/python
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$folder" .
"$python" -m pip install --quiet --disable-pip-version-check "$folder"/*.whl hypothesis pytest pytest-xdist

cd "$folder"
package=$("$python" -c 'import gan_da_jax; print(*gan_da_jax.__path__)')
diff -r -x __pycache__ -x configs "$clone/gan_da_jax" "$package"
diff -r -x __pycache__ "$clone/configs" "$package/configs"
venv/bin/gan-da study --config=configs/quickstart.py --workdir=runs --dry_run

cp -r "$clone/tests" "$clone/pyproject.toml" .
"$python" -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder \
    "${without[@]/#/--ignore=tests/}" "$@"
