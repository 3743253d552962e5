#!/usr/bin/env bash
# The whole job on a bare machine: virtual environment, installation, then three arms on the built-in procedural faces, their
# scores and a report. Needs Python >= 3.11 and a package index; no data, no GPU. WORKDIR, VENV and PYTHON may be set.
set -euo pipefail
cd "$(dirname "$0")/.."
workdir=${WORKDIR:-runs/quickstart}
venv=${VENV:-.venv}

[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable .

for policy in none hflip vflip; do
  arm=(--config=configs/quickstart.py --config.augment.policy=$policy --workdir="$workdir/$policy")
  "$venv/bin/python" -m gan_da_jax train "${arm[@]}"
  "$venv/bin/python" -m gan_da_jax evaluate "${arm[@]}"
done
"$venv/bin/python" -m gan_da_jax report --workdir="$workdir"
