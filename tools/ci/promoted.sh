#!/bin/sh
# What has to be known of a model before it is deployed: promoted.sh MODEL DATA FOLDER
#
# Measures MODEL on DATA, puts a server with it under load, renders its deployment. FOLDER gets summary.md, evaluation.json,
# load.json and rendered/. Exit code 1 where its accuracy is below MIN_ACCURACY. SETTINGS is the deployment's settings file,
# PHOTOS a folder of photos of full size for the load (by default those of DATA), PYTHON_BIN where animals is.
set -eu
model=$1
data=${2:?labelled photos}
mkdir -p "$3"
out=$(cd "$3" && pwd)
PATH=${PYTHON_BIN:-$PWD/.venv-ship/bin}:$PATH
: "${SETTINGS:=deploy/example.yaml}" "${MIN_ACCURACY:=0.9}" "${PHOTOS:=}" "${SECONDS_OF_LOAD:=10}"

animals evaluate "$model" "$data" --split all --output "$out/evaluation.json" --json --quiet >"$out/summary.json"
photos=$(mktemp -d)
trap 'rm -rf "$photos"' EXIT
[ -n "$PHOTOS" ] || { animals data get "$data" "$photos/all" >/dev/null; PHOTOS=$photos/all; }
ANIMALS_MODEL=$model animals bench serve "$PHOTOS" --concurrency 1,8 --seconds "$SECONDS_OF_LOAD" --repeat 1 --json >"$out/load.json"
sed "s|^  model: .*|  model: $model|" "$SETTINGS" >"$out/deploy.yaml"
for target in cloudrun k8s; do
    animals deploy render "$target" --settings "$out/deploy.yaml" --output "$out/rendered/$target" >/dev/null
done
python3 - "$out" "$model" "$MIN_ACCURACY" <<'PYTHON'
import json
import pathlib
import sys

folder, model, least = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
measured = json.loads((folder / "summary.json").read_text())
good = measured["accuracy"] >= least
low, high = measured["accuracy_interval"]


def percent(name):
    return "not known" if measured[name] is None else f"{measured[name]:.1%}"


lines = [
    f"## {model}",
    "",
    "| | |",
    "|---|--:|",
    f"| right | {measured['accuracy']:.1%} ({low:.1%} to {high:.1%}) of {measured['n']}; {least:.0%} wanted |",
    f"| confidence is off by | {percent('ece')} |",
    f"| prediction sets hold the truth | {percent('coverage')} |",
    "",
    f"{'Good enough' if good else '**Not good enough**'}. The deployment is in the artefact `promoted`; to deploy it:",
    "",
    "    animals deploy apply cloudrun --settings deploy.yaml",
]
(folder / "summary.md").write_text("\n".join(lines) + "\n")
sys.exit(not good)
PYTHON
