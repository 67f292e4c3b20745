#!/usr/bin/env python3
"""Measures speed and memory, ours beside PyTorch's, and prints them as a table in Markdown.

    bench/compare.py [--build=build] [--python=PYTHON] [--rounds=10] [--threads=2,1] [--models=resnet20,vgg9,mobilenet]
    bench/compare.py --quick --python=PYTHON     one model, few rounds: shows that everything works

Needs a build with -DMETAPERTURB_BENCH=ON, and for the comparison a PYTHON that has torch. All programs that are
compared are started first and then measured in turn, round by round, so that a machine that others slow down
slows them all: a ratio is the median over the rounds of the ratio within a round. Leave the machine alone meanwhile.
"""
import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

TARGETS = {  # row of the table -> model -> at most
    1: {"resnet20": 0.80, "vgg9": 0.70, "mobilenet": 0.70},
    2: {"resnet20": 0.30, "vgg9": 0.35, "mobilenet": 0.15},
    3: {"resnet20": 1.30, "vgg9": 1.15},
    4: {"resnet20": 1.0, "vgg9": 1.0, "mobilenet": 1.0},
    5: {"resnet20": 1.10, "vgg9": 1.10, "mobilenet": 1.10},
    6: {"resnet20": 0.20, "vgg9": 0.20, "mobilenet": 0.20},
    7: {"resnet20": 0.5, "vgg9": 0.5, "mobilenet": 0.5},
    8: {"resnet20": 1.0},
    9: {"resnet20": 0.02},
}
QUANTITIES = {
    1: "plain step / PyTorch's best",
    2: "step with MetaPerturb / PyTorch's best with the same formula",
    3: "step with MetaPerturb / plain step, phi frozen",
    4: "phi pass of meta-training / theta pass",
    5: "convolutions in a plain step / the same oneDNN primitives alone",
    6: "all but Convolution, MetaPerturb, InnerProduct / plain step",
    7: "peak memory / PyTorch's least",
    8: "process start to first iteration, LMDB, s",
    9: "share of the time that training waits for data",
}
MODES = ("eager", "channels_last", "compile")
FORMULAS = ("planes", "grouped", "shifts")
FASHION = "/usr/share/datasets/fashion-mnist"  # Debian's dataset-fashion-mnist
here = os.path.dirname(os.path.abspath(__file__))


def fail(message):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {message}")


def say(message):
    print(message, file=sys.stderr, flush=True)


def environment(threads):
    return dict(os.environ, OMP_NUM_THREADS=str(threads))


def last_line(text, default="no output"):
    lines = text.strip().splitlines()
    return lines[-1] if lines else default


def call(command, threads, timeout=None):
    """Runs a program to its end; its standard output."""
    done = subprocess.run(command, env=environment(threads), capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(command), last_line(done.stderr)))
    return done.stdout


class Server:
    """A program that measures once for every line it is sent."""

    def __init__(self, command, threads, wait=True):
        self.name = " ".join(os.path.basename(c) for c in command)
        self.process = subprocess.Popen(command + ["--serve"], env=environment(threads), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if wait:
            self.measure()

    def measure(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            fail("%s ended with code %s" % (self.name, self.process.wait()))
        return json.loads(line)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Torch:
    """The PyTorch side: which way is the fastest, found once per network and number of threads."""

    def __init__(self, options):
        self.options = options
        self.version = ""

    def command(self, model, mp, mode, formula, steps):
        command = [self.options.python, os.path.join(here, "torch_step.py"), "--model=" + model, "--mode=" + mode,
                   "--batch=%d" % self.options.batch, "--steps=%d" % steps]
        return command + (["--mp", "--formula=" + formula] if mp else [])

    def ways(self, mp):
        if self.options.quick:
            return [("channels_last", "")] if not mp else [("eager", "grouped")]
        return [(mode, formula) for mode in MODES for formula in (FORMULAS if mp else ("",))]

    def best(self, model, mp, threads):
        """Command and least peak memory of the fastest way; None where there is none."""
        found = []
        for mode, formula in self.ways(mp):
            command = self.command(model, mp, mode, formula, 3) + ["--threads=%d" % threads]
            try:
                result = json.loads(last_line(call(command, threads, self.options.timeout)))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                say("  %s %s %s: left out: %s" % (model, mode, formula, error))
                continue
            self.version = result["torch"]
            found.append((result["median_ms"], mode, formula, result["peak_memory_mib"]))
            say("  %s %s %s: %.0f ms, %.0f MiB" % (model, mode, formula, found[-1][0], found[-1][3]))
        if not found:
            return None, None, ""
        _, mode, formula, _ = min(found)
        steps = self.options.steps
        return (self.command(model, mp, mode, formula, steps) + ["--threads=%d" % threads], min(f[3] for f in found),
                " ".join((mode, formula)).strip())


class Table:
    def __init__(self):
        self.rows = []

    def add(self, number, model, threads, value, detail):
        self.rows.append((number, model, threads, value, detail))

    def print(self, heading):
        print(heading + "\n")
        print("| # | quantity | network | threads | target | measured | met | from |")
        print("|---|---|---|---|---|---|---|---|")
        for number, model, threads, value, detail in sorted(self.rows, key=lambda row: (row[0], row[1], -row[2])):
            target = TARGETS[number].get(model.split()[0])
            limit = "<= %g" % target if target else "-"
            text = "not measured" if value is None else "%.3g" % value
            met = "-" if value is None or not target else "yes" if value <= target else "no"
            cells = (str(number), QUANTITIES[number], model, str(threads), limit, text, met, detail)
            print("| " + " | ".join(cells) + " |")
        sys.stdout.flush()


def median_of(rounds, value):
    return statistics.median(value(r) for r in rounds)


def steps(options, torch, model, threads, table):
    """Rows 1 to 7."""
    say("%s, %d threads" % (model, threads))
    common = ["--model=" + model, "--batch=%d" % options.batch, "--steps=%d" % options.steps]
    step = [os.path.join(options.bin, "bench_step")] + common
    profile = "--profile=%d" % options.steps
    commands = {
        "plain": step + [profile],
        "mp": step + [profile, "--mp"],
        "meta": step + ["--mp", "--pass=meta"],
        "convolutions": [os.path.join(options.bin, "bench_convolutions")] + common,
    }
    ways, memory = {}, {}
    if options.python:
        for name, mp in (("torch", False), ("torch mp", True)):
            command, memory[name], ways[name] = torch.best(model, mp, threads)
            if command:
                commands[name] = command
    servers = {}
    try:
        for name, command in commands.items():
            servers[name] = Server(command, threads)
        rounds = []
        for i in range(options.rounds):
            rounds.append({name: server.measure() for name, server in servers.items()})
            say("  round %d of %d: %s" % (i + 1, options.rounds, ", ".join(
                "%s %.0f ms" % (name, result["median_ms"]) for name, result in rounds[-1].items())))
    finally:
        for server in servers.values():
            server.stop()

    def ms(name):
        return median_of(rounds, lambda r: r[name]["median_ms"])

    def ratio(over, under):
        return median_of(rounds, lambda r: r[over]["median_ms"] / r[under]["median_ms"])

    for number, ours, theirs in ((1, "plain", "torch"), (2, "mp", "torch mp")):
        label = model + (" MetaPerturb" if ours == "mp" else "")
        peak = rounds[-1][ours]["peak_memory_mib"]
        if theirs not in commands:
            table.add(number, model, threads, None, "ours %.1f ms" % ms(ours))
            table.add(7, label, threads, None, "ours %.0f MiB" % peak)
            continue
        if rounds[0][ours]["parameters"] != rounds[0][theirs]["parameters"]:
            fail("%s: %d parameters here, %d in PyTorch" % (label, rounds[0][ours]["parameters"],
                                                          rounds[0][theirs]["parameters"]))
        detail = "%.1f / %.1f ms (%s)" % (ms(ours), ms(theirs), ways[theirs])
        table.add(number, model, threads, ratio(ours, theirs), detail)
        table.add(7, label, threads, peak / memory[theirs], "%.0f / %.0f MiB" % (peak, memory[theirs]))
    table.add(3, model, threads, ratio("mp", "plain"), "%.1f / %.1f ms" % (ms("mp"), ms("plain")))
    table.add(4, model, threads, median_of(rounds, lambda r: r["meta"]["phi_median_ms"] / r["meta"]["theta_median_ms"]),
              "%.1f / %.1f ms" % (median_of(rounds, lambda r: r["meta"]["phi_median_ms"]),
                                  median_of(rounds, lambda r: r["meta"]["theta_median_ms"])))
    inside = "Convolution"
    table.add(5, model, threads,
              median_of(rounds, lambda r: r["plain"]["layer_ms"][inside] / r["convolutions"]["median_ms"]),
              "%.1f / %.1f ms" % (median_of(rounds, lambda r: r["plain"]["layer_ms"][inside]), ms("convolutions")))

    def other(result):
        shares = result["layer_share"]
        return 1 - sum(shares.get(kind, 0) for kind in (inside, "MetaPerturb", "InnerProduct"))

    table.add(6, model, threads, median_of(rounds, lambda r: other(r["plain"])),
              "with MetaPerturb %.3g" % median_of(rounds, lambda r: other(r["mp"])))


def fashion_lmdb(options, folder):
    """40x40, for a random crop to 32x32."""
    output = os.path.join(folder, "fashion_lmdb")
    call([os.path.join(options.bin, "convert_idx"), "--images=%s/train-images-idx3-ubyte.gz" % FASHION,
          "--labels=%s/train-labels-idx1-ubyte.gz" % FASHION, "--resize=32", "--pad=4", "--per_class=1000",
          "--output=" + output], 1)
    return output


def jpeg_lmdb(options, folder, count=2048, size=64):
    """The same images enlarged to 64x64 with three channels, as files, then as JPEG in an LMDB."""
    images = os.path.join(folder, "images")
    os.mkdir(images)
    with gzip.open(FASHION + "/train-images-idx3-ubyte.gz") as file:
        pixels = file.read(16 + 784 * count)[16:]
    with open(os.path.join(folder, "images.txt"), "w") as listing:
        for i in range(count):
            rows = [pixels[784 * i + 28 * y:784 * i + 28 * (y + 1)] for y in range(28)]
            wide = [b"".join(row[28 * x // size:28 * x // size + 1] * 3 for x in range(size)) for row in rows]
            with open(os.path.join(images, "%d.ppm" % i), "wb") as image:
                image.write(b"P6 %d %d 255\n" % (size, size))
                image.write(b"".join(wide[28 * y // size] for y in range(size)))
            listing.write("%d.ppm %d\n" % (i, i % 10))
    output = os.path.join(folder, "jpeg_lmdb")
    call([os.path.join(options.bin, "convert_imageset"), "--encoded", "--encode_type=jpg", images + "/",
          os.path.join(folder, "images.txt"), output], 1)
    return output


def start_up(options, folder, fashion, threads, table):
    """Row 8: `caffe train` for one iteration, from its start to its end."""
    net, solver = os.path.join(folder, "net.prototxt"), os.path.join(folder, "solver.prototxt")
    call([os.path.join(options.bin, "metaperturb"), "generate", "--model=resnet20", "--output=" + net,
          "--train_source=" + fashion, "--test_source=" + fashion, "--batch=%d" % options.batch], 1)
    with open(solver, "w") as file:
        file.write("train_net: '%s' type: 'Adam' base_lr: 0.001 lr_policy: 'fixed' max_iter: 1"
                   " snapshot_after_train: false snapshot_prefix: '%s/net'\n" % (net, folder))
    seconds = []
    for _ in range(options.rounds):
        start = time.perf_counter()
        call([os.path.join(options.bin, "caffe"), "train", "--solver=" + solver], threads)
        seconds.append(time.perf_counter() - start)
    table.add(8, "resnet20", threads, statistics.median(seconds), "`caffe train`, whole life with one iteration")


def data_wait(options, source, crop, label, threads, table):
    """Row 9."""
    result = json.loads(call([os.path.join(options.bin, "bench_step"), "--data=" + source, "--crop=%d" % crop,
                              "--batch=%d" % options.batch, "--warmup=8", "--profile=0",
                              "--steps=%d" % (10 if options.quick else 100)], threads))
    table.add(9, "resnet20 " + label, threads, result["data_wait_share"], "%.0f images/s" % result["images_per_s"])


def cpu_name():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown CPU"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="folder of the build")
    parser.add_argument("--python", help="a python with torch; without it PyTorch's rows stay empty")
    parser.add_argument("--rounds", type=int, help="default 10; with --quick 2")
    parser.add_argument("--steps", type=int, help="per round and program; default 5, with --quick 2")
    parser.add_argument("--threads", help="default 2,1; with --quick 2")
    parser.add_argument("--models", help="default resnet20,vgg9,mobilenet; with --quick resnet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--timeout", type=float, default=1200, help="seconds to try one of PyTorch's ways in")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.rounds = (2 if options.quick else 10) if options.rounds is None else options.rounds
    options.steps = (2 if options.quick else 5) if options.steps is None else options.steps
    options.bin = os.path.join(options.build, "bin")
    options.models = (options.models or ("resnet20" if options.quick else "resnet20,vgg9,mobilenet")).split(",")
    try:
        options.threads = [int(t) for t in (options.threads or ("2" if options.quick else "2,1")).split(",")]
    except ValueError:
        fail("--threads=%s: numbers, separated by commas" % options.threads)
    if min(options.threads + [options.rounds, options.steps, options.batch - 1]) < 1:
        fail("--threads, --rounds and --steps are at least 1, --batch 2")
    unknown = [model for model in options.models if model not in TARGETS[1]]
    if unknown:
        fail("--models: unknown '%s'; resnet20, vgg9, mobilenet" % unknown[0])
    for program in ("bench_step", "bench_convolutions", "caffe", "metaperturb", "convert_idx", "convert_imageset"):
        if not os.path.exists(os.path.join(options.bin, program)):
            fail("%s/%s is missing: build with -DMETAPERTURB_BENCH=ON" % (options.bin, program))
    return options


def main():
    options = arguments()
    torch, table = Torch(options), Table()
    for threads in options.threads:
        for model in options.models:
            steps(options, torch, model, threads, table)
    if os.path.isdir(FASHION):
        with tempfile.TemporaryDirectory() as folder:
            fashion, jpeg = fashion_lmdb(options, folder), jpeg_lmdb(options, folder)
            for threads in options.threads:
                say("data, %d threads" % threads)
                start_up(options, folder, fashion, threads, table)
                data_wait(options, fashion, 32, "LMDB", threads, table)
                data_wait(options, jpeg, 56, "JPEG LMDB", threads, table)
    else:
        say("rows 8 and 9 left out: no %s (dataset-fashion-mnist)" % FASHION)
    heading = "%s, %d CPUs, batch %d, 3x32x32, float, %d rounds of %d steps, PyTorch %s" % (
        cpu_name(), len(os.sched_getaffinity(0)), options.batch, options.rounds, options.steps,
        torch.version or "not given")
    if options.quick:
        heading += "; --quick: one of PyTorch's ways, not its best, and too few rounds to quote"
    table.print(heading)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
