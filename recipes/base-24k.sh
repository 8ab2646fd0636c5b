#!/bin/sh
# Base within a given time: measures the speed of a step, plans as many steps as fit, trains, and stops in time. The same
# command goes on where the last one stopped, so a budget may be spent in several sittings.
#
#   DATA=data/train VALID=data/valid MINUTES=25 sh recipes/base-24k.sh [--init-from MODEL] [--set section.key=value ...]
#
# DATA, VALID  folders of speech
# RUN          folder of the run                                              default: runs/base-24k
# RECIPE       recipe                                                         default: recipes/base-24k.toml
# MINUTES      of this sitting                                                default: 25
# SITTINGS     how many the whole run may take: the learning rate falls to    default: 1
#              its end over all of them
# OPTIONS      keys of [run] that are tried; the fastest set is used          default: compile
# WAVEGRAD     the command                                                    default: wavegrad
#
# The result is RUN/best, in half precision. A small corpus and a short time want the spectral prior, and may begin as
# small-24k; its model card has both comparisons:
#   --init-from small-24k --set model.prior.kind=spectral --set model.prior.strength=0.5
# A continued model wants a lower and shorter start, for example
#   --set optimizer.learning_rate=2e-4 --set optimizer.warmup_steps=200
set -eu
: "${DATA:?is not set: the folder of training speech}" "${VALID:?is not set: the folder of validation speech}"
RUN=${RUN:-runs/base-24k} RECIPE=${RECIPE:-recipes/base-24k.toml} WAVEGRAD=${WAVEGRAD:-wavegrad}
MINUTES=${MINUTES:-25} SITTINGS=${SITTINGS:-1} OPTIONS=${OPTIONS:-compile}
START=$(date +%s)
mkdir -p "$RUN"

settings() { # the --set words among the arguments
    while [ $# -gt 1 ]; do
        if [ "$1" = --set ]; then printf '%s %s ' "$1" "$2"; fi
        shift
    done
}

if [ ! -s "$RUN/plan.txt" ]; then
    # shellcheck disable=SC2046,SC2086
    $WAVEGRAD benchmark train "$RECIPE" --options "$OPTIONS" --runs 3 --steps 5 --out "$RUN/speed.json" $(settings "$@")
    python3 - "$RUN/speed.json" "$MINUTES" "$SITTINGS" "$(($(date +%s) - START))" >"$RUN/plan.part" <<'PLAN'
import json, sys

path, minutes, sittings, spent = sys.argv[1:]
row = max(json.load(open(path))["rows"], key=lambda row: row["samples_per_s"])
left = float(minutes) * int(sittings) * 60 - int(spent)  # the measurement, which compiles, takes minutes
steps = max(10, int(0.85 * left * row["steps_per_s"]))  # the rest: start, validation
words = [f"run.{key}={str(value).lower()}" for key, value in row["options"].items()]
words += [f"run.steps={steps}", f"run.validate_every={max(1, steps // 5)}", f"run.checkpoint_every={max(1, steps // 10)}"]
words += ["run.half_model=true", "run.keep_checkpoints=1"]
print(" ".join(f"--set {word}" for word in words))
PLAN
    mv "$RUN/plan.part" "$RUN/plan.txt"
fi
echo "plan: $(cat "$RUN/plan.txt")"

LEFT=$(python3 -c "import sys; print(max(30, int(60 * float(sys.argv[1]) - float(sys.argv[2]))))" \
    "$MINUTES" "$(($(date +%s) - START))")
# shellcheck disable=SC2046,SC2086
timeout --signal=INT --kill-after=300 "$LEFT" \
    $WAVEGRAD train "$RECIPE" --data "$DATA" --valid "$VALID" --run-dir "$RUN" $(cat "$RUN/plan.txt") "$@" ||
    [ $? -eq 124 ] # the time was up: it saved and stopped
