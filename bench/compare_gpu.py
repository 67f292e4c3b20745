#!/usr/bin/env python3
"""Measures training steps on a GPU beside PyTorch's, and prints the ratios as a table in Markdown.

    bench/compare_gpu.py --build=build --python=PYTHON --data=LMDB [--models=resnet20] [--rounds=5] [--steps=20]
        [--tasks=10]     meta-training of so many tasks, too

Needs a build with CUDA and -DMETAPERTURB_BENCH=ON, a PYTHON whose torch sees the same GPU, and an LMDB of images of at
least 32x32 with three channels (convert_cifar makes one): ours reads it from the GPU's memory,
with random crops and mirrorings, where PyTorch's batch is always the same. All programs are started first, then
measured in turn, round by round; a ratio is the median over the rounds of the ratio within a round. Every step is
waited for. Float with TF32, Adam, phi frozen.

Meta-training: `metaperturb train` of ResNet-20 with --tasks tasks, the time that it says for a meta-step, beside the
two passes of one task in PyTorch (torch_step.py --pass=meta), eager, times the number of tasks, as one after the other.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

import compare

# what / what, model, at most, as the project set itself for one H200
TARGETS = {
    ("plain", "eager"): 0.35, ("plain", "compile"): 0.7, ("mp", "eager mp"): 0.15, ("mp", "compile mp"): 0.4,
    ("mp", "plain"): 1.25,
}
META_TARGET = 0.2
META_TIME = re.compile(r"Time per meta-step: (\S+) s")
ADAM = 'type: "Adam" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 momentum2: 0.999 weight_decay: 0.0005'


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="folder of the build")
    parser.add_argument("--python", default=sys.executable, help="a python with torch")
    parser.add_argument("--data", required=True, help="LMDB to train from")
    parser.add_argument("--models", default="resnet20", help="of resnet20, vgg9, mobilenet; may be empty")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="per round and program")
    parser.add_argument("--formulas", default=",".join(compare.FORMULAS), help="ways to say MetaPerturb in PyTorch; default: %(default)s")
    parser.add_argument("--timeout", type=float, default=600, help="seconds until PyTorch's programs have compiled")
    parser.add_argument("--tasks", type=int, default=0, help="of meta-training; 0, the default: not measured")
    parser.add_argument("--engine", default="", help="of our convolutions: CAFFE or CUDNN; default: the default")
    options = parser.parse_args()
    if min(options.rounds, options.steps, options.batch - 1, options.tasks + 1) < 1:
        compare.fail("--rounds and --steps are at least 1, --batch 2, --tasks 0")
    return options


def commands(options, model):
    """Name -> command of all programs that are measured for a model."""
    common = ["--model=" + model, "--batch=%d" % options.batch, "--steps=%d" % options.steps, "--warmup=10"]
    ours = [os.path.join(options.build, "bin", "bench_step"), "--gpu=0", "--data=" + options.data, "--profile=0",
            "--engine=" + options.engine] + common
    theirs = [options.python, os.path.join(compare.here, "torch_step.py"), "--device=cuda", "--threads=4"] + common
    found = {"plain": ours, "mp": ours + ["--mp"]}
    for mode in ("eager", "compile"):
        found[mode] = theirs + ["--mode=" + mode]
        for formula in options.formulas.split(","):
            found[mode + " mp " + formula] = theirs + ["--mode=" + mode, "--mp", "--formula=" + formula]
    return found


def start(options, commands):
    """All at once, as most of it is waiting for torch.compile; those that are ready in time."""
    servers = {name: compare.Server(command, 4, wait=False) for name, command in commands.items()}
    ready = {}

    def wait(name):
        try:
            servers[name].measure()
            ready[name] = servers[name]
            compare.say("  %s is ready" % name)
        except SystemExit as error:
            compare.say(str(error))

    threads = [threading.Thread(target=wait, args=(name,)) for name in servers]
    for thread in threads:
        thread.start()
    deadline = time.time() + options.timeout
    for thread in threads:
        thread.join(max(0, deadline - time.time()))
    for name in servers.keys() - ready.keys():
        servers[name].process.kill()
    for thread in threads:
        thread.join()
    return ready


def measure(options, model):
    servers = start(options, commands(options, model))
    rounds = []
    for i in range(options.rounds):
        rounds.append({name: server.measure()["median_ms"] for name, server in servers.items()})
        # The fastest of the ways to say the formula stands for PyTorch.
        for mode in ("eager", "compile"):
            ways = [value for name, value in rounds[-1].items() if name.startswith(mode + " mp ")]
            if ways:
                rounds[-1][mode + " mp"] = min(ways)
        compare.say("  round %d: %s" % (i + 1, ", ".join("%s %.2f ms" % each for each in rounds[-1].items())))
    for server in servers.values():
        server.stop()
    for (over, under), target in TARGETS.items():
        if over not in rounds[0] or under not in rounds[0]:
            print("| %s | %s / %s | %g | not measured | | |" % (model, over, under, target))
            continue
        ratio = compare.median_of(rounds, lambda r: r[over] / r[under])
        print("| %s | %s / %s | %g | %.3g | %s | %.2f / %.2f ms |" % (
            model, over, under, target, ratio, "yes" if ratio <= target else "no",
            compare.median_of(rounds, lambda r: r[over]), compare.median_of(rounds, lambda r: r[under])), flush=True)


def meta_step(options, folder):
    """Milliseconds of a step of meta-training, of all tasks."""
    command = [os.path.abspath(os.path.join(options.build, "bin", "metaperturb")), "train", "--gpu=0", "--solver=meta.prototxt"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    found = META_TIME.search(done.stderr + done.stdout)
    return float(found.group(1)) * 1e3 if found else compare.fail("metaperturb train: " + compare.last_line(done.stderr))


def measure_meta(options):
    theirs = [options.python, os.path.join(compare.here, "torch_step.py"), "--device=cuda", "--pass=meta", "--mp",
              "--batch=%d" % options.batch, "--steps=%d" % options.steps, "--warmup=5"]
    servers = [compare.Server(theirs + ["--formula=" + formula], 4) for formula in options.formulas.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        compare.call([os.path.join(options.build, "bin", "metaperturb"), "generate", "--model=resnet20", "--classes=10",
                      "--batch=%d" % options.batch, "--output=" + folder], 4)
        data = os.path.abspath(options.data)
        with open(os.path.join(folder, "meta.prototxt"), "w") as file:
            file.write('net: "meta_train_val.prototxt" theta { %s } phi { %s } max_iter: %d display: 0 random_seed: 1\n' % (
                ADAM, ADAM, 10 * options.steps))
            for t in range(options.tasks):
                file.write('task { name: "t%d" train_source: "%s" val_source: "%s" }\n' % (t, data, data))
        rounds = []
        for i in range(options.rounds):
            one = min(server.measure()["median_ms"] for server in servers)
            rounds.append({"ours": meta_step(options, folder), "eager": options.tasks * one})
            compare.say("  meta round %d: %s" % (i + 1, ", ".join("%s %.2f ms" % each for each in rounds[-1].items())))
    for server in servers:
        server.stop()
    ratio = compare.median_of(rounds, lambda r: r["ours"] / r["eager"])
    print("| resnet20 | meta-training, %d tasks / eager | %g | %.3g | %s | %.2f / %.2f ms |" % (
        options.tasks, META_TARGET, ratio, "yes" if ratio <= META_TARGET else "no",
        compare.median_of(rounds, lambda r: r["ours"]), compare.median_of(rounds, lambda r: r["eager"])), flush=True)


def gpu_name(options):
    listed = subprocess.run([os.path.join(options.build, "bin", "caffe"), "device_query", "--gpu=0"],
                            capture_output=True, text=True)
    names = [line.split("Name: ", 1)[1] for line in (listed.stdout + listed.stderr).splitlines() if "Name: " in line]
    return names[0] if names else compare.fail("no GPU: " + compare.last_line(listed.stderr))


def main():
    options = arguments()
    print("%s, batch %d, 3x32x32, float with TF32, %d rounds of %d steps\n" % (
        gpu_name(options), options.batch, options.rounds, options.steps))
    print("| network | quantity | target | measured | met | from |\n|---|---|---|---|---|---|", flush=True)
    for model in filter(None, options.models.split(",")):
        measure(options, model)
    if options.tasks:
        measure_meta(options)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError) as error:
        compare.fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
