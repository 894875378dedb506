#!/bin/sh
# Makes every table from nothing, on small made-up releases, with the same code as on real ones.
# Everything is written to the folder REHEARSAL (default: rehearsal). MNIST is the real one, because
# its files are checked: it comes from MNIST_SOURCE, or is downloaded. Arguments are settings of
# every run, e.g. launcher.jobs=2.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
top="${REHEARSAL:-rehearsal}"
raw="$top/raw"
mnist="${MNIST_SOURCE:-data/raw/mnist}"
export ELEATT_DATA="$top/data" ELEATT_RUNS="$top/runs"

run() {
	"$python" -m eleatt_bench "$@"
}

"$python" scripts/rehearsal_data.py "$raw"
for name in nucla ntu sysu shrec17 dhg; do
	run data prepare "$name" --source "$raw/$name"
done
for name in jhmdb ntu_rgb; do
	test "$name" = jhmdb && lists="--splits $raw/jhmdb/splits" || lists=
	# shellcheck disable=SC2086  # two words, or none
	run data features "$name" --source "$raw/$name/videos" $lists --backbone "$raw/$name/backbone.pt2"
done
if test ! -e "$mnist" && run data download mnist; then
	mnist="$top/data/raw/mnist"
fi
if test -e "$mnist"; then
	run data prepare mnist --source "$mnist"
fi
# The names of runs do not depend on the code, so those of an earlier rehearsal would not be done.
rm -rf "$ELEATT_RUNS"/quick-* "$ELEATT_RUNS"/tables/*-quick*
run reproduce paper quick=true "$@"
