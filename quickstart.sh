#!/usr/bin/env bash
# From a bare Debian or Ubuntu to a result: installs, builds, converts Fashion-MNIST, meta-learns phi on source
# tasks, trains target networks on other classes with few images, without and with MetaPerturb, and
# prints a table. Everything is kept in quickstart-run/; a second run repeats nothing that is done.
#   QUICKSTART_DIR=FOLDER    in place of quickstart-run
#   QUICKSTART_BUILD=FOLDER  a build that exists already, instead of building
#   QUICKSTART_SCALE=ci      a few steps of everything: shows that it works, not how well
set -euo pipefail
unset CDPATH  # with it, cd prints where it goes
caller=$PWD
cd "$(dirname "$0")"

source_classes=0,1,3,5,8      # T-shirt, trouser, dress, sandal, bag
target_classes=2,4,6,7,9      # pullover, coat, shirt, sneaker, ankle boot
source_images=200             # per class in each of the four parts that make up the source tasks
target_images=50              # per class
test_images=5000              # all of the test split with these classes
meta_steps=120  meta_batch=32 # four tasks, each a training and a validation batch per step
steps=500  batch=64  tests=4  # target training
noise_samples=20              # whose mean prediction counts in the end, with MetaPerturb
networks=(resnet20)           # more: (resnet20 vgg9 mobilenet)
seed=1
if [ "${QUICKSTART_SCALE:-}" = ci ]; then
  source_images=10 target_images=10 meta_steps=3 meta_batch=8 steps=4 batch=16 tests=1 test_images=500
fi
# A folder that the caller names is the caller's.
from_caller() { case $1 in /*) echo "$1" ;; *) echo "$caller/$1" ;; esac; }
run=quickstart-run
if [ -n "${QUICKSTART_DIR:-}" ]; then run=$(from_caller "$QUICKSTART_DIR"); fi
images=/usr/share/datasets/fashion-mnist
total=6
began=$SECONDS

mkdir -p "$run"
run=$(cd "$run" && pwd)
case $run in
  *[\",\\]*)
    echo "quickstart.sh: $run: a folder without quotes, commas and backslashes in its name is expected (QUICKSTART_DIR=FOLDER)" >&2
    exit 1 ;;
esac
build=$run/build
if [ -n "${QUICKSTART_BUILD:-}" ]; then build=$(cd "$(from_caller "$QUICKSTART_BUILD")" && pwd); fi
export PATH=$build/bin:$PATH
settings="$source_classes $target_classes $source_images $target_images $meta_steps $meta_batch $seed"
target_settings="$settings $steps $batch $tests $test_images $noise_samples"

ticker=
stop_ticker() {
  if [ -n "$ticker" ]; then
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
  fi
  ticker=
}
trap stop_ticker EXIT
trap 'echo; echo "quickstart.sh: stopped; the next run goes on with the step that was not finished" >&2; exit 130' INT TERM

# What the log of a running step says about how far it is.
progress() {
  tail -n 30 "$1" 2>/dev/null | tr '\r' '\n' |
    grep -oE '^\[[0-9]+/[0-9]+\]|(Meta-i|I)teration [0-9]+|Processed [0-9]+ of [0-9]+|(Unpacking|Setting up) [^ ]+' |
    tail -n 1 | tr -d '[]' || true
}

# tick TITLE LOG: keeps one line of a terminal up to date; elsewhere adds a line every 20 seconds.
tick() {
  local since=$SECONDS wait=20
  if [ -t 1 ]; then wait=1; fi
  while :; do
    if [ -t 1 ]; then
      printf '\r\033[K%s  %d s  %s' "$1" $((SECONDS - since)) "$(progress "$2")"
    elif [ $((SECONDS - since)) -gt 0 ]; then
      printf '    %d s  %s\n' $((SECONDS - since)) "$(progress "$2")"
    fi
    sleep $wait >/dev/null 2>&1  # must not keep a pipe open when it outlives this script
  done
}

# step NUMBER TITLE NAME SETTINGS FUNCTION [ARGUMENTS]: runs FUNCTION, with its output in NAME.log, unless an
# earlier run finished it with the same settings; NAME.done keeps these and the seconds.
step() {
  local title="[$1/$total] $2" log=$run/$3.log stamp=$run/$3.done name=$3 settings=$4 start=$SECONDS status=0
  shift 4
  if [ -e "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$settings" ]; then
    printf '%s: done before\n' "$title"
    return
  fi
  rm -f "$stamp"
  : >"$log"
  if [ -t 1 ]; then :; else printf '%s\n' "$title"; fi
  tick "$title" "$log" &
  ticker=$!
  # Not `( ... ) || status=$?`: within a condition `set -e` does not hold.
  set +e
  ( set -e; "$@" ) >>"$log" 2>&1
  status=$?
  set -e
  stop_ticker
  if [ $status -ne 0 ]; then
    printf '\nquickstart.sh: step "%s" failed; the end of %s:\n' "$name" "$log" >&2
    grep -E 'ERROR|error:|FAILED' "$log" | tail -n 3 >&2 || true
    tail -n 5 "$log" >&2
    exit 1
  fi
  printf '%s\n%d\n' "$settings" $((SECONDS - start)) >"$stamp"
  if [ -t 1 ]; then printf '\r\033[K'; fi
  printf '%s: %d s\n' "$title" $((SECONDS - start))
}

compile() {
  [ -e "$build/build.ninja" ] ||
    cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMETAPERTURB_TESTS=OFF
  cmake --build "$build"
}

# convert LMDB PART FLAGS...: classes of Fashion-MNIST, 36x36 with a black border, for random crops of 32x32.
convert() {
  rm -rf "${run:?}/$1"
  convert_idx --images="$images/$2-images-idx3-ubyte.gz" --labels="$images/$2-labels-idx1-ubyte.gz" \
    --output="$run/$1" --pad=4 --seed=$seed "${@:3}"
}

convert_all() {
  local part
  for part in 0 1 2 3; do
    convert source${part}_lmdb train --classes=$source_classes \
      --per_class=$source_images --skip_per_class=$((part * source_images))
  done
  convert target_train_lmdb train --classes=$target_classes --per_class=$target_images
  convert target_test_lmdb t10k --classes=$target_classes
}

# Four source tasks: two pairs of parts, each trained on one part and validated on the other, and the reverse.
write_meta_solver() {
  local adam='type: "Adam" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 momentum2: 0.999 weight_decay: 0.0005'
  echo "net: \"$run/source/meta_train_val.prototxt\""
  local part
  for part in 0 1 2 3; do
    echo "task { name: \"source$part\" train_source: \"$run/source${part}_lmdb\"" \
      "val_source: \"$run/source$((part ^ 1))_lmdb\" num_output: 5 }"
  done
  echo "theta { $adam }"
  echo "phi { $adam }"
  echo "max_iter: $meta_steps display: 5 average_loss: 5 snapshot_prefix: \"$run/meta\" random_seed: $seed"
}

meta_learn() {
  metaperturb generate --model=resnet20 --classes=5 --batch=$meta_batch --output="$run/source"
  write_meta_solver >"$run/meta_solver.prototxt"
  metaperturb train --solver="$run/meta_solver.prototxt"
  [ -e "$run/meta_phi_iter_$meta_steps.caffemodel" ]  # not so when a signal ended it
}

define_targets() {
  local network
  for network in "${networks[@]}"; do
    metaperturb generate --model="$network" --classes=5 --batch=$batch --max_iter=$steps --tests=$tests --seed=$seed \
      --train_source="$run/target_train_lmdb" --test_source="$run/target_test_lmdb" --test_images=$test_images \
      --phi="$run/meta_phi_iter_$meta_steps.caffemodel" --output="$run/$network"
  done
}

train_target() {
  caffe train --solver="$run/$1/solver$2.prototxt"
  [ -e "$run/$1/$1$2_iter_$steps.caffemodel" ]
}

# test_target NETWORK SUFFIX SAMPLES
test_target() {
  metaperturb evaluate --model="$run/$1/train_val$2.prototxt" --weights="$run/$1/$1$2_iter_$steps.caffemodel" \
    --samples="$3" --images=$test_images --json="$run/$1$2.json" --output="$run/$1$2.html"
}

# A number of an evaluation, and the seconds of a step.
result() {
  awk -v key="\"$2\": " '{ at = index($0, key); if (at) { print substr($0, at + length(key)) + 0; exit } }' "$run/$1.json"
}
seconds() { tail -n 1 "$run/$1.done"; }

echo "MetaPerturb for Caffe, quick start: about 10 minutes on two cores; logs and results in $run"
if [ "$(id -u)" -ne 0 ] && ! scripts/install_dependencies.sh --check && command -v sudo >/dev/null; then
  sudo -v  # asks for the password while nothing else is printed
fi
step 1 "installing what is missing" install "$(md5sum scripts/install_dependencies.sh)" scripts/install_dependencies.sh
if [ -z "${QUICKSTART_BUILD:-}" ]; then
  step 2 "building what is not up to date" build "$(date +%s)" compile
fi
step 3 "converting Fashion-MNIST" convert "$settings" convert_all
step 4 "meta-learning phi on 4 source tasks, $meta_steps steps" meta "$settings" meta_learn
step 5 "writing the target networks" define "$target_settings ${networks[*]} $run" define_targets
curves=
for network in "${networks[@]}"; do
  step 6 "training $network, plain, $steps steps" "${network}_plain" "$target_settings" train_target "$network" ""
  step 6 "training $network with MetaPerturb, $steps steps" "${network}_mp" "$target_settings" train_target "$network" _mp
  step 6 "testing $network, plain" "${network}_plain_test" "$target_settings" test_target "$network" "" 1
  step 6 "testing $network with MetaPerturb" "${network}_mp_test" "$target_settings" test_target "$network" _mp $noise_samples
  curves+="${curves:+,}$network plain:$run/${network}_plain.log,$network MetaPerturb:$run/${network}_mp.log"
done
metaperturb plot --log="$curves" --output="$run/curves.svg"

{
  printf '\n%-27s  %11s  %23s  %20s  %19s\n' '' 'accuracy, %' 'negative log-likelihood' 'calibration error, %' 'seconds of training'
  for network in "${networks[@]}"; do
    for suffix in "" _mp; do
      title="$network, plain" log=${network}_plain
      if [ -n "$suffix" ]; then title="$network with MetaPerturb" log=${network}_mp; fi
      awk -v t="$title" -v a="$(result "$network$suffix" accuracy)" -v l="$(result "$network$suffix" negative_log_likelihood)" \
        -v c="$(result "$network$suffix" expected_calibration_error)" -v s="$(seconds "$log")" \
        'BEGIN { printf "%-27s  %11.1f  %23.2f  %20.1f  %19d\n", t, 100 * a, l, 100 * c, s }'
    done
  done
  echo
  echo "After the last step, on the $test_images test images of the five target classes, which have $target_images training images"
  echo "each. The lower the negative log-likelihood and the calibration error, the better. phi was meta-learned in"
  echo "$(seconds meta) s on five other classes. With MetaPerturb, a prediction is the mean over $noise_samples noise samples (one sample"
  echo "in the curves). One run each: a point or two of accuracy can be chance; docs/results.md has long trainings with"
  echo "several seeds."
} | tee "$run/table.txt"
echo "Curves: $run/curves.svg; reliability diagrams: $run/NETWORK.html, $run/NETWORK_mp.html"
echo "This run took $((SECONDS - began)) s."
