#!/usr/bin/env python3
"""Measures how a meta-step scales over threads and MPI processes, and prints a table in Markdown.

    bench/meta_scaling.py [--build=build] [--workers=2] [--tasks=4] [--model=resnet20] [--batch=64] [--rounds=5]

Needs Fashion-MNIST as files (Debian's dataset-fashion-mnist), and mpirun. In every round, one after the other:
  one        a process that computes the tasks one after the other in one thread: the task step is a T-th of its step
  threads    one process with --workers tasks at a time, a thread each
  mpi        --workers processes, a thread each
  apart      --workers processes that know nothing of each other, started together, each with a part of the tasks:
             what this machine's cores make of the work when nothing has to be combined
A ratio is the median over the rounds of the ratio within a round. Leave the machine alone meanwhile.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

FASHION = "/usr/share/datasets/fashion-mnist"
ADAM = 'type: "Adam" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 momentum2: 0.999 weight_decay: 0.0005'
TIMES = re.compile(r"Time per meta-step: (\S+) s; the busiest of \d+ worker\(s\) computed (\S+) s, the mean one (\S+) s")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=10)
    arguments = parser.parse_args()
    for name in ("workers", "tasks", "batch", "rounds", "iterations"):
        if getattr(arguments, name) < 1:
            sys.exit(f"meta_scaling.py: --{name}={getattr(arguments, name)}: must be positive")
    for file in (arguments.build + "/bin/metaperturb", arguments.build + "/bin/convert_idx",
                 FASHION + "/train-images-idx3-ubyte.gz"):
        if not os.path.isfile(file):
            sys.exit(f"meta_scaling.py: {file}: there is no such file")
    if arguments.tasks % arguments.workers:
        sys.exit(f"meta_scaling.py: {arguments.tasks} tasks cannot be dealt out evenly to {arguments.workers} workers")
    return arguments


def run(command, folder):
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        sys.exit("meta_scaling.py: " + " ".join(command) + " failed:\n" + result.stderr[-2000:])
    return result.stderr + result.stdout


def prepare(arguments, bin_folder, folder):
    """The tasks' data, network and solvers: all.prototxt, and part0.prototxt, ... for `apart`."""
    for t in range(arguments.tasks):
        run([bin_folder + "/convert_idx", f"--images={FASHION}/train-images-idx3-ubyte.gz",
             f"--labels={FASHION}/train-labels-idx1-ubyte.gz", f"--output=data{t}", "--pad=4", "--seed=1",
             "--per_class=100", f"--skip_per_class={100 * t}"], folder)
    run([bin_folder + "/metaperturb", "generate", "--model=" + arguments.model, "--classes=10",
         f"--batch={arguments.batch}", "--output=source"], folder)
    tasks = [f'task {{ name: "t{t}" train_source: "data{t}" val_source: "data{(t + 1) % arguments.tasks}" }}'
             for t in range(arguments.tasks)]
    parts = {f"part{w}": tasks[w::arguments.workers] for w in range(arguments.workers)}
    for name, chosen in {"all": tasks, **parts}.items():
        with open(f"{folder}/{name}.prototxt", "w") as file:
            file.write(f'net: "source/meta_train_val.prototxt" {" ".join(chosen)} theta {{ {ADAM} }} phi {{ {ADAM} }} '
                       f"max_iter: {arguments.iterations} display: 0 random_seed: 1\n")


def measure(arguments, bin_folder, folder):
    """One round: configuration -> (step, busiest worker, mean worker) in seconds."""
    train = [bin_folder + "/metaperturb", "train", "--task_threads=1"]
    n = str(arguments.workers)
    times = {}
    for name, command in {"one": train + ["--tasks_at_once=1"], "threads": train + ["--tasks_at_once=" + n],
                          "mpi": ["mpirun", "-np", n] + train + ["--tasks_at_once=1"]}.items():
        log = run(command + ["--solver=all.prototxt"], folder)
        times[name] = tuple(float(x) for x in TIMES.search(log).groups())
    cpus = sorted(os.sched_getaffinity(0))
    children = [subprocess.Popen(["taskset", "-c", str(cpus[w % len(cpus)])] + train +
                                 ["--tasks_at_once=1", f"--solver=part{w}.prototxt"],
                                 cwd=folder, stderr=subprocess.PIPE, text=True) for w in range(arguments.workers)]
    steps = [float(TIMES.search(child.communicate()[1]).group(1)) for child in children]
    times["apart"] = (max(steps), max(steps), statistics.mean(steps))
    return times


def main():
    arguments = parse_arguments()
    bin_folder = os.path.abspath(arguments.build) + "/bin"
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    share = arguments.tasks // arguments.workers
    with tempfile.TemporaryDirectory() as folder:
        prepare(arguments, bin_folder, folder)
        rounds = []
        for r in range(arguments.rounds):
            rounds.append(measure(arguments, bin_folder, folder))
            print(f"round {r + 1} of {arguments.rounds}: " +
                  ", ".join(f"{name} {t[0]:.3f} s" for name, t in rounds[-1].items()), file=sys.stderr, flush=True)

    def median(value):
        return statistics.median(value(r) for r in rounds)

    print(f"{arguments.tasks} tasks of {arguments.model}, batch {arguments.batch}, {arguments.workers} workers, "
          f"{arguments.rounds} rounds of {arguments.iterations} meta-steps\n")
    print("| | meta-step, s | / (T/N task steps alone) | / (T/N task steps in this run) | / apart | beside the busiest worker, ms |")
    print("|---|---|---|---|---|---|")
    for name in ("one", "threads", "mpi", "apart"):
        workers = 1 if name == "one" else arguments.workers
        print(f"| {name} | {median(lambda r: r[name][0]):.3f} "
              f"| {median(lambda r: r[name][0] / (r['one'][0] / workers)):.3f} "
              f"| {median(lambda r: r[name][0] / r[name][2]):.3f} "
              f"| {'' if name == 'one' else format(median(lambda r: r[name][0] / r['apart'][0]), '.3f')} "
              f"| {1e3 * median(lambda r: r[name][0] - r[name][1]):.2f} |")
    print(f"\nT/N = {share}. A run's own task step is the mean over its workers: it holds what the cores take from each "
          "other, which `apart` shows, too.")


if __name__ == "__main__":
    main()
