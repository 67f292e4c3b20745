#!/usr/bin/env python3
"""Trains networks on small data sets, plain, with competing regularisers and with MetaPerturb, from raw data to a table.

    bench/evidence.py --run=evidence-run --source cifar10=cifar-10-binary.tar.gz [--source fashion_mnist=FOLDER ...]
        [--targets=cifar10_50] [--networks=conv4,resnet20] [--methods=plain,dropblock,...] [--seeds=1,2,3]
        [--steps=10000 --batch=128]      the paper's schedule; fewer is a short schedule, and the table says so
        [--gpu=0]                        train and evaluate on a GPU, in TF32: lines, and tables' rows, of their own

A job is one training: a target, a network, a method and a seed, which chooses the training images, too. Each adds a
line to --results, with its settings, and is not repeated while the line is there: the same command goes on where it was
stopped (networks in training from their snapshots below --run), more seeds or methods add to the table. One row alone:
one target, one network, one method, and --results=FILE to measure it again. --table prints the tables of what is there
and trains nothing; it takes all that no option excludes. --gains=METHOD likewise: METHOD beside plain, seed by seed, one
line per target, network and schedule.
Every method has the same images, steps and optimiser (Adam 1e-3, weight decay 5e-4, x0.3 at 40, 70 and 90 %); its own
constants are its paper's, among them DropBlock's linear schedule, L2-SP's decay of the new layer, 0.01, and information
dropout's beta, 3 over the number of training images. Nothing is chosen by the test images. Methods:
  plain, metaperturb (--phi), metaperturb_authors (--authors_phi),
  dropblock, information_dropout, cutout, mixup, manifold_mixup, label_smoothing, stochastic_depth,
  finetune, finetune_l2sp, finetune_metaperturb: from the network trained on --source tiny_imagenet=...
"""
import argparse
import hashlib
import json
import os
import queue
import re
import signal
import sys
import threading
import time

import evidence_results
from evidence_data import SOURCES, TARGETS, convert, count_classes, count_training_images
from evidence_programs import Failed, locked, run, stop_all, stopping

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INSERTED = ["dropblock", "information_dropout", "cutout", "mixup", "manifold_mixup", "label_smoothing",
            "stochastic_depth"]
METHODS = ["plain", *INSERTED, "metaperturb", "metaperturb_authors", "finetune", "finetune_l2sp",
           "finetune_metaperturb"]
DEFAULTS = {"targets": "cifar10_50", "networks": "resnet20", "methods": ",".join(METHODS), "seeds": "1,2,3",
            "steps": 10000, "batch": 128, "images": 0}  # images: of the test set; 0: all
ADDITIONS = ("resnet", "wrn", "mobilenet_v2")  # networks with residual branches


def refuse(text):
    sys.exit(f"evidence.py: {text}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="evidence-run",
                        help="folder of all that is made; default: evidence-run")
    parser.add_argument("--results", help="a line per job; default: results.csv in --run")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"),
                        help="folder of the build; default: the project's build/")
    parser.add_argument("--source", action="append", default=[], metavar="DATASET=FILES",
                        help="the published file or folder of a data set (several with commas)")
    for name, value in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=type(value),
                            help=("" if name != "targets" else f"of {', '.join(TARGETS)}; ") + f"default: {value}")
    parser.add_argument("--samples", type=int, default=100, help="noise samples of a prediction; default: 100")
    parser.add_argument("--source_steps", type=int, help="training of the source network; default: as --steps")
    parser.add_argument("--phi", default=os.path.join(ROOT, "models/phi/tiny_imagenet_resnet20.caffemodel"),
                        help="default: the one that comes with the project")
    parser.add_argument("--authors_phi", help="the phi that the paper's authors published")
    parser.add_argument("--gpu", default="", help="number of the GPU; default: the CPU")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)),
                        help="trainings at a time, a CPU each; default: all CPUs that it may use")
    parser.add_argument("--table", action="store_true", help="print the tables of what is there, train nothing")
    parser.add_argument("--gains", metavar="METHOD", help="print METHOD beside plain, train nothing")
    a = parser.parse_args()
    if a.gains and a.gains not in METHODS[1:]:
        refuse(f"--gains={a.gains}: methods are {', '.join(METHODS[1:])}")
    a.table = a.table or bool(a.gains)
    a.given = {name for name in DEFAULTS if getattr(a, name) is not None}
    for name in DEFAULTS.keys() - a.given:
        setattr(a, name, DEFAULTS[name])
    a.run, a.build = os.path.abspath(a.run), os.path.abspath(a.build)
    a.results = os.path.abspath(a.results or os.path.join(a.run, "results.csv"))
    for source in a.source:
        if "=" not in source:
            refuse(f"--source {source}: DATASET=FILES is expected")
    a.sources = dict(s.split("=", 1) for s in a.source)
    for source in a.sources:
        if source not in SOURCES or not a.sources[source]:
            refuse(f"--source {source}={a.sources[source]}: files of {', '.join(SOURCES)} are expected")
    models = os.path.join(ROOT, "models")
    networks = sorted(n for n in os.listdir(models) if os.path.isfile(os.path.join(models, n, "train_val.prototxt")))
    for name, known in (("targets", TARGETS), ("methods", METHODS), ("networks", networks)):
        setattr(a, name, getattr(a, name).split(","))
        for value in getattr(a, name):
            if value not in known:
                refuse(f"--{name}: '{value}' is not known; known are {', '.join(known)}")
    if not re.fullmatch(r"\d+(,\d+)*", a.seeds):
        refuse(f"--seeds={a.seeds}: numbers separated by commas are expected")
    a.seeds = [int(s) for s in a.seeds.split(",")]
    for name in ("targets", "networks", "methods", "seeds"):
        setattr(a, name, list(dict.fromkeys(getattr(a, name))))
    if re.search(r'["\\\n]', a.run):
        refuse(f"--run={a.run}: a folder without quotes and backslashes is expected")
    for name in ("jobs", "steps", "batch", "samples"):
        if getattr(a, name) < 1:
            refuse(f"--{name}={getattr(a, name)}: must be positive")
    for name in ("images", "source_steps"):
        if (getattr(a, name) or 0) < 0:
            refuse(f"--{name}={getattr(a, name)}: must not be negative")
    if a.table and not os.path.isfile(a.results):
        refuse(f"--results={a.results}: there is no such file")
    for name in ("phi", "authors_phi"):
        if getattr(a, name) and not os.path.isfile(getattr(a, name)):
            refuse(f"--{name}={getattr(a, name)}: there is no such file")
    for program in ("metaperturb", "caffe", "convert_dataset"):
        if not a.table and not os.path.isfile(os.path.join(a.build, "bin", program)):
            refuse(f"--build={a.build}: there is no bin/{program}")
    if a.gpu and not re.fullmatch(r"\d+", a.gpu):
        refuse(f"--gpu={a.gpu}: the number of one GPU is expected")
    a.source_steps = a.source_steps or a.steps
    return a


def write_whole(path, text):
    """A stop while it is written leaves the file that was there before."""
    with open(path + ".tmp", "w") as file:
        file.write(text)
    os.replace(path + ".tmp", path)


def edit(path, *edits):
    with open(path) as text:
        content = text.read()
    for pattern, replacement in edits:
        content = re.sub(pattern, replacement, content, flags=re.M)
    with open(path, "w") as text:
        text.write(content)


def train(a, folder, data, network, method, seed, steps, cpu, weights=None, phi=None, part="test"):
    """Writes the network of a method and trains it; goes on from its last snapshot. Returns net, weights and CPU seconds."""
    log = os.path.join(folder, "train.log")
    mp = "_mp" if method.endswith(("metaperturb", "metaperturb_authors")) else ""
    run(a, ["metaperturb", "generate", f"--model={network}", f"--classes={count_classes(data)}",
            f"--batch={a.batch}", f"--max_iter={steps}", f"--seed={seed}", f"--train_source={data}/train_lmdb",
            f"--test_source={data}/{part}_lmdb", *([f"--phi={phi}"] if mp else []), f"--output={folder}"], cpu, log)
    net = os.path.join(folder, f"train_val{mp}.prototxt")
    solver = os.path.join(folder, f"solver{mp}.prototxt")
    if method in INSERTED:
        plain, net = net, os.path.join(folder, f"{method}.prototxt")
        own = {"dropblock": [f"--anneal_iter={steps}"],
               "information_dropout": [f"--kl_weight={3 / count_training_images(data):g}"]}
        run(a, ["metaperturb", "insert", f"--regularizer={method}", f"--model={plain}", f"--output={net}",
                *own.get(method, [])], cpu, log)
    edits = [(r"^(test_iter|test_interval|test_initialization|net|snapshot_prefix):.*\n", "")]
    lines = [f'net: "{net}"', f'snapshot_prefix: "{folder}/net"', f"snapshot: {max(100, steps // 20)}"]
    if weights:
        edit(net, (r'^(\s*(?:name|top|bottom): )"fc"', r'\1"fc_target"'))  # the source has other classes
        lines.append(f'weights: "{weights}"')
    if method == "finetune_l2sp":
        edits.append((r"^weight_decay:.*", "weight_decay: 0.01"))
        lines.append('regularization_type: "L2-SP"')
    edit(solver, *edits)
    with open(solver, "a") as text:
        text.write("\n".join(lines) + "\n")
    forget_other_training(folder, [net, solver, f"{data}/settings.txt"] + ([weights] if weights else []))
    seconds = add_seconds(folder, lambda: run(
        a, ["caffe", "train", f"--solver={solver}", "--snapshot=latest", "--snapshot_keep=1", *on_device(a)],
        cpu, log))
    trained = os.path.join(folder, f"net_iter_{steps}.caffemodel")
    if not os.path.exists(trained):
        raise Failed(f"{log}: the training was stopped before iteration {steps}; the next call goes on with it")
    return net, trained, seconds


def on_device(a):
    return [f"--gpu={a.gpu}"] if a.gpu else []


def forget_other_training(folder, definition):
    """Removes what a training by another definition has left in the folder."""
    digest = hashlib.sha256()
    for name in definition:
        with open(name, "rb") as file:
            digest.update(file.read())
    kept = os.path.join(folder, "definition.sha256")
    if os.path.exists(kept):
        with open(kept) as file:
            if file.read() == digest.hexdigest():
                return
    for name in os.listdir(folder):
        if re.match(r"net_iter_\d+\.|cpu_seconds$", name):
            os.remove(os.path.join(folder, name))
    write_whole(kept, digest.hexdigest())


def add_seconds(folder, work):
    """CPU seconds of the training in this folder, with those before it was stopped by Ctrl-C."""
    kept = os.path.join(folder, "cpu_seconds")
    before = 0.0
    if os.path.exists(kept):
        with open(kept) as file:
            before = float(file.read())
    total = before + work()
    write_whole(kept, f"{total:.3f}")
    return total


class Sources:
    """Networks trained on Tiny-ImageNet, one per network, which the first job that needs it trains."""

    def __init__(self, a):
        self.a, self.lock, self.weights = a, threading.Lock(), {}

    def get(self, network, cpu):
        with self.lock:
            if network not in self.weights:
                device = "_gpu" if self.a.gpu else ""
                folder = os.path.join(self.a.run, "source", f"{self.a.source_steps}x{self.a.batch}{device}", network)
                data = convert(self.a, "tiny_imagenet", "tiny_imagenet", 0, [], 1, cpu)
                with locked(folder):
                    self.weights[network] = train(self.a, folder, data, network, "plain", 1, self.a.source_steps, cpu)[1]
            return self.weights[network]


def do_job(a, sources, job, cpu):
    with locked(job_folder(a, job)):
        if key_of(a, job) not in evidence_results.read(a.results):  # else another run has done it meanwhile
            evidence_results.add(a.results, settings(a, job), do_locked_job(a, sources, job, cpu))


def do_locked_job(a, sources, job, cpu):
    target, network, method, seed = job
    folder = job_folder(a, job)
    part = "val" if any(flag.startswith("--val_per_class") for flag in TARGETS[target][2]) else "test"
    data = os.path.join(a.run, "data", f"{target}_s{seed}")
    weights = sources.get(network, cpu) if method.startswith("finetune") else None
    phi = a.authors_phi if method == "metaperturb_authors" else a.phi
    net, trained, seconds = train(a, folder, data, network, method, seed, a.steps, cpu, weights,
                                phi and os.path.abspath(phi), part)
    run(a, ["metaperturb", "evaluate", f"--model={net}", f"--weights={trained}", f"--samples={settings(a, job)['samples']}",
            f"--images={a.images}", f"--json={folder}/evaluation.json", *on_device(a)], cpu, os.path.join(folder, "evaluate.log"))
    with open(f"{folder}/evaluation.json") as text:
        evaluation = json.load(text)
    return dict(accuracy=evaluation["accuracy"], nll=evaluation["negative_log_likelihood"],
                calibration_error=evaluation["expected_calibration_error"], cpu_seconds=seconds)


def digest_of_phi(a, method):
    """Of the method's phi; empty where it has none."""
    phi = a.authors_phi if method == "metaperturb_authors" else a.phi
    if "metaperturb" not in method or not phi:
        return ""
    with open(phi, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def settings(a, job):
    target, network, method, seed = job
    digest = digest_of_phi(a, method)
    values = (target, network, method, seed, a.steps, a.batch, a.images, a.samples if digest else 1,
              a.source_steps if method.startswith("finetune") else "", digest, "gpu" if a.gpu else "")
    return {name: str(value) for name, value in zip(evidence_results.SETTINGS, values)}


def key_of(a, job):
    return tuple(settings(a, job).values())


def job_folder(a, job):
    """Of its own for all that the training depends on: what is found there is gone on with."""
    target, network, method, seed = job
    more = "".join("_" + settings(a, job)[name] for name in ("source_steps", "phi", "device") if settings(a, job)[name])
    return os.path.join(a.run, f"{a.steps}x{a.batch}", target, network, method + more, f"s{seed}")


def has_additions(network):
    return network.startswith(ADDITIONS)


def why_not(a):
    """What is missing for a method, by method."""
    missing = {}
    if not a.authors_phi:
        missing["metaperturb_authors"] = "--authors_phi=FILE"
    if "tiny_imagenet" not in a.sources:
        missing.update({m: "--source tiny_imagenet=FILES" for m in METHODS if m.startswith("finetune")})
    return missing


def work(a, jobs):
    todo = queue.Queue()
    try:  # now rather than after the first training
        evidence_results.prepare(a.results)
    except (OSError, ValueError) as error:
        raise Failed(f"--results: {error}") from error
    known = evidence_results.read(a.results)
    waiting = [job for job in jobs if key_of(a, job) not in known]
    print(f"{len(jobs)} jobs, {len(jobs) - len(waiting)} done before", flush=True)
    for target, seed in sorted({(job[0], job[3]) for job in waiting}):
        dataset, per_class, flags = TARGETS[target]
        convert(a, target, dataset, per_class, flags, seed)
    for job in waiting:
        todo.put(job)
    sources, failures, lock = Sources(a), [], threading.Lock()
    began, done = time.time(), [0]

    def worker(cpu):
        while not stopping.is_set():
            try:
                job = todo.get_nowait()
            except queue.Empty:
                return
            start = time.time()
            try:
                do_job(a, sources, job, cpu)
            except Exception as error:  # whatever it is, the other jobs go on
                if stopping.is_set():
                    return
                failures.append(error)
                print(f"{' '.join(str(j) for j in job)}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            with lock:
                done[0] += 1
                left = (time.time() - began) / done[0] * (len(waiting) - done[0])
                print(f"[{done[0]}/{len(waiting)}] {' '.join(str(j) for j in job)}: {time.time() - start:.0f} s, "
                      f"about {left / 60:.0f} min left", flush=True)

    threads = [threading.Thread(target=worker, args=(cpu,)) for cpu in range(a.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if stopping.is_set():
        raise Failed("stopped")
    return failures


def print_tables(a):
    """Of what was asked for; with --table of all that no option excludes."""
    wanted = {"target": a.targets, "network": a.networks, "method": a.methods, "seed": [str(s) for s in a.seeds],
              "steps": [str(a.steps)], "batch": [str(a.batch)], "images": [str(a.images)]}
    if a.table:
        wanted = {name: values for name, values in wanted.items() if a.given & {name, name + "s"}}
    if a.gains:
        evidence_results.print_gains(a.results, a.gains, digest_of_phi(a, a.gains), wanted, list(TARGETS))
    else:
        evidence_results.print_tables(a.results, wanted, list(TARGETS), METHODS)


def main():
    a = parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop_all())
    # Seeds outermost: a run that is stopped has compared all methods on the seeds that it reached.
    jobs = [(t, n, m, s) for s in a.seeds for t in a.targets for n in a.networks for m in a.methods]
    missing = why_not(a)
    jobs = [job for job in jobs if job[2] not in missing and (job[2] != "stochastic_depth" or has_additions(job[1]))]
    if not a.table:
        for method, reason in missing.items():
            if "methods" in a.given and method in a.methods:
                refuse(f"--methods={method} needs {reason}")
        if not jobs:
            refuse("none of these methods is for these networks")
    try:
        failures = [] if a.table else work(a, jobs)
    except (Failed, OSError, ValueError) as error:
        if stopping.is_set():
            print("evidence.py: stopped; the same command goes on", file=sys.stderr)
            sys.exit(130)
        refuse(error)
    try:
        print_tables(a)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError) as error:
        refuse(error)
    if failures:
        refuse(f"{len(failures)} of {len(jobs)} jobs failed")


if __name__ == "__main__":
    main()
