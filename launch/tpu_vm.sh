#!/usr/bin/env bash
# A command on all hosts of a Cloud TPU slice, from a machine with gcloud:
#     TPU=NAME ZONE=us-central2-b launch/tpu_vm.sh train --config=configs/celeba.py --workdir=/mnt/shared/run
# The hosts have the package installed (pip install '.[tpu]') and a workdir that all of them see, such as a mounted
# Filestore share; they find each other by themselves. Given again, the command continues where it was. The programs of
# a TPU are deterministic without a flag.
set -euo pipefail
: "${TPU:?the name of the TPU VM}" "${ZONE:?its zone}"

printf -v arguments ' %q' "$@"
exec gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all \
    --command="${PYTHON:-python3} -m gan_da_jax$arguments --distributed"
