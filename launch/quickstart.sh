#!/usr/bin/env bash
# The whole job on a bare machine: virtual environment, installation, then a study of four arms on the built-in procedural
# faces, with its report. Needs Python >= 3.11 and a package index; no data, no GPU. WORKDIR, VENV and PYTHON may be set;
# arguments go to the study, as in launch/quickstart.sh --config.study.seeds=0
set -euo pipefail
cd "$(dirname "$0")/.."
workdir=${WORKDIR:-runs/quickstart}
venv=${VENV:-.venv}

[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable .

"$venv/bin/python" -m gan_da_jax study --config=configs/quickstart.py --workdir="$workdir" "$@"
