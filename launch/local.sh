#!/usr/bin/env bash
# A command on this machine: launch/local.sh train --config=... --workdir=... One process uses all of its GPUs or TPUs,
# which is what to do with them. PROCESSES=N starts N that work on it together, each with its own share of a CPU, as N
# hosts would. PYTHON may be set.
set -euo pipefail
processes=${PROCESSES:-1}
export XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_deterministic_ops=true" # the same numbers again, on the same kind of GPU

if [ "$processes" = 1 ]; then
    exec "${PYTHON:-python3}" -m gan_da_jax "$@"
fi

together=(--distributed --coordinator_address="127.0.0.1:${PORT:-8476}" --num_processes="$processes")
trap 'kill "${started[@]}" 2>/dev/null || true' INT TERM # they save, then stop
started=()
for id in $(seq 0 $((processes - 1))); do
    "${PYTHON:-python3}" -m gan_da_jax "$@" "${together[@]}" --process_id="$id" &
    started+=($!)
done

status=0
for process in "${started[@]}"; do
    while :; do # the trap ends one wait, not the process
        ended=0
        wait "$process" || ended=$?
        kill -0 "$process" 2>/dev/null || break
    done
    [ "$ended" = 0 ] || status=$ended
done
exit "$status"
