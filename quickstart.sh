#!/usr/bin/env bash
# From a bare Debian 12 to a result: installs, builds, converts Fashion-MNIST, meta-learns phi on source tasks
# (classes 0 to 4), trains target networks (classes 5 to 9, few images) without and with MetaPerturb, and
# prints a table. Everything is kept in quickstart-run/; a second run redoes nothing.
set -euo pipefail
cd "$(dirname "$0")"

meta_steps=120      # meta-training: steps over all source tasks
target_steps=400    # target training
target_images=50    # per class; the test part is the whole test split of the five classes
networks=(resnet20 vgg9)
run=quickstart-run
if [ "${QUICKSTART_SCALE:-}" = ci ]; then  # a short pass through every step
  meta_steps=2 target_steps=4 networks=(resnet20) run=quickstart-run/ci
fi

start=$SECONDS
step() { printf '[%4d s] %s\n' $((SECONDS - start)) "$*"; }

step "1/6 installing what is missing (apt)"
scripts/install_dependencies.sh
step "2/6 building (a few minutes the first time)"
[ -e build/build.ninja ] || cmake --preset release -DMETAPERTURB_TESTS=OFF >/dev/null
cmake --build build --target caffe metaperturb_main convert_idx
bin=$PWD/build/bin
mkdir -p $run
cd $run

# once NAME COMMAND...: runs COMMAND unless an earlier run finished it; its log is NAME.log.
once() {
  local name=$1 began=$SECONDS
  shift
  [ -e "$name.done" ] && return
  if ! "$@" >"$name.log" 2>&1; then
    tail -n 3 "$name.log" >&2
    echo "quickstart.sh: '$name' failed; the whole log is $PWD/$name.log" >&2
    exit 1
  fi
  echo $((SECONDS - began)) >"$name.done"
}
# watched NAME COMMAND...: the same, with the log's progress lines on the screen.
watched() {
  local name=$1
  [ -e "$name.done" ] && return
  : >"$name.log"
  tail -n +1 -F "$name.log" 2>/dev/null | grep --line-buffered -E 'eration [0-9]+.*(loss|accuracy) = |Testing net' |
    sed -u 's/^[^]]*\] /      /' &
  local watcher=$!
  once "$@" || { kill $watcher; exit 1; }
  sleep 0.3
  pkill -P $$ tail 2>/dev/null || true
  wait $watcher 2>/dev/null || true
}

step "3/6 converting Fashion-MNIST"
images=/usr/share/datasets/fashion-mnist
convert() {  # NAME PART FLAGS...
  local name=$1 part=$2
  shift 2
  [ -e "convert_$name.done" ] || rm -rf "$name"
  once "convert_$name" "$bin/convert_idx" --images=$images/$part-images-idx3-ubyte.gz \
    --labels=$images/$part-labels-idx1-ubyte.gz --output="$name" --pad=4 "$@"
}
for t in 0 1 2; do
  convert source${t}_train train --classes=0,1,2,3,4 --per_class=200 --skip_per_class=$((t * 400))
  convert source${t}_val train --classes=0,1,2,3,4 --per_class=200 --skip_per_class=$((t * 400 + 200))
done
convert target_train train --classes=5,6,7,8,9 --per_class=$target_images
convert target_test t10k --classes=5,6,7,8,9

step "4/6 meta-learning phi on 3 source tasks, $meta_steps steps"
"$bin/metaperturb" generate --model=resnet20 --mp --shared --classes=5 --batch=50 \
  --train_source=source0_train --test_source=source0_val --output=source_net.prototxt
optimiser='type: "Adam" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 momentum2: 0.999 weight_decay: 0.0005'
{
  echo 'net: "source_net.prototxt"'
  for t in 0 1 2; do
    echo "task { name: \"source$t\" train_source: \"source${t}_train\" val_source: \"source${t}_val\" num_output: 5 }"
  done
  echo "theta { $optimiser }"
  echo "phi { $optimiser }"
  echo "max_iter: $meta_steps display: 10 snapshot_prefix: \"meta\" random_seed: 1"
} >meta_solver.prototxt
watched meta_train "$bin/metaperturb" train --solver=meta_solver.prototxt
phi=meta_phi_iter_$meta_steps.caffemodel

step "5/6 training targets: 5 classes of $target_images images, $target_steps steps, plain and with MetaPerturb"
train() {  # NETWORK VARIANT FLAGS...
  local name=$1_$2
  "$bin/metaperturb" generate --model="$1" --classes=5 --batch=50 --train_source=target_train \
    --test_source=target_test --output="$name.prototxt" "${@:3}"
  cat >"${name}_solver.prototxt" <<EOF
net: "$name.prototxt"
type: "Adam" base_lr: 0.001 momentum: 0.9 momentum2: 0.999 weight_decay: 0.0005
lr_policy: "multistep" gamma: 0.3
stepvalue: $((target_steps * 4 / 10)) stepvalue: $((target_steps * 7 / 10)) stepvalue: $((target_steps * 9 / 10))
max_iter: $target_steps display: $((target_steps / 20 + 1)) average_loss: 5
test_iter: 50 test_interval: $((target_steps / 2)) test_initialization: false
snapshot_prefix: "$name" random_seed: 1 solver_mode: CPU
EOF
  step "    $name"
  watched "train_$name" "$bin/caffe" train --solver="${name}_solver.prototxt"
}
logs=
for network in "${networks[@]}"; do
  train "$network" plain
  train "$network" mp --mp --phi=$phi --anneal_iter=$((target_steps * 4 / 10))
  logs+="${logs:+,}$network plain:train_${network}_plain.log,$network MetaPerturb:train_${network}_mp.log"
done

step "6/6 results: test accuracy after the last step, on the test split of the target classes"
accuracy() { grep -o 'Test net output #[0-9]*: accuracy = [0-9.e-]*' "train_$1.log" | tail -n 1 | sed 's/.*= //'; }
printf '\n%-10s %16s %22s %20s\n' network 'accuracy plain' 'with MetaPerturb' 'seconds (plain/MP)'
for network in "${networks[@]}"; do
  plain=$(accuracy "${network}_plain") mp=$(accuracy "${network}_mp")
  verdict=$(awk -v a="$plain" -v b="$mp" 'BEGIN { d = 100 * (b - a); printf "%+.1f points", d }')
  printf '%-10s %15.1f%% %12.1f%% %s %9s / %s\n' "$network" "$(awk "BEGIN{print 100*$plain}")" \
    "$(awk "BEGIN{print 100*$mp}")" "($verdict)" "$(<"train_${network}_plain.done")" "$(<"train_${network}_mp.done")"
done
echo "phi was meta-learned in $(<meta_train.done) s; one seed each, so small differences mean nothing."
"$bin/metaperturb" plot --log="$logs" --output=curves.svg
echo "Curves: $PWD/curves.svg"
step "done"
