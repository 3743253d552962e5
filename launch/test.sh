#!/usr/bin/env bash
# Virtual environment, installation, lint, types and every test. VENV and PYTHON may be set. OLDEST=1 tests with the oldest
# version that pyproject.toml allows of every package that it names.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv${OLDEST:+-oldest}}
constraints=/dev/null

[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
if [ -n "${OLDEST:-}" ]; then
    constraints=$venv/oldest.txt
    sed -nE 's/^ +"([A-Za-z0-9_-]+)>=([0-9.]+).*/\1==\2/p' pyproject.toml >"$constraints"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" --editable '.[test]'

if [ -z "${OLDEST:-}" ]; then
    "$venv/bin/ruff" check .
    "$venv/bin/ruff" format --check .
    "$venv/bin/mypy"
fi
"$venv/bin/python" -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder "$@"
