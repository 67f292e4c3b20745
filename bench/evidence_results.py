"""The results of bench/evidence.py: a CSV file with a line per training, and the tables made of it."""
import csv
import io
import os
import statistics
import sys
import threading

# A line: what says which training it is, then what was measured.
SETTINGS = ["target", "network", "method", "seed", "steps", "batch", "images", "samples", "source_steps", "phi",
            "device"]  # empty: the CPU
MEASURED = ["accuracy", "nll", "calibration_error", "cpu_seconds"]
adding = threading.Lock()  # the first line has the names, once


def whole_lines(path):
    """The file's lines but a last one without its end, which was cut off: its number may not be whole."""
    with open(path, newline="") as file:
        text = file.read()
    whole = text[:text.rfind("\n") + 1]
    if whole != text:
        print(f"{path}: the last line is cut off and does not count", file=sys.stderr)
    return whole


def read(path):
    """{the values of SETTINGS: {measure: number}}; empty where there is no file. ValueError: path, line, what is wrong."""
    if not os.path.exists(path):
        return {}
    known = {}
    reader = csv.DictReader(io.StringIO(whole_lines(path)))
    for line in reader:
        try:
            key = tuple(line.get(s, "") if s == "device" else line[s] for s in SETTINGS)
            known[key] = {m: float(line[m]) for m in MEASURED}
            int(line["seed"]), int(line["steps"]), int(line["images"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}:{reader.line_num}: no line of results ({error})") from error
    return known


def prepare(path):
    """Makes the file where it is not there; OSError or ValueError where it cannot be written or has other columns."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a"):
        pass
    with open(path, "rb") as file:
        is_cut = file.read()[-1:] not in (b"", b"\n")
    if is_cut:  # only then: another run may add lines meanwhile
        os.truncate(path, len(whole_lines(path).encode()))
    known = read(path)
    with open(path, newline="") as file:
        has_all_columns = not known or "device" in file.readline()
    if not has_all_columns:  # of a version that knew no device
        anew = path + ".tmp"
        open(anew, "w").close()
        for key, measured in known.items():
            add(anew, dict(zip(SETTINGS, key)), measured)
        os.replace(anew, path)


def add(path, settings, measured):
    with adding, open(path, "a", newline="") as file:
        begin = os.path.getsize(path) == 0
        writer = csv.DictWriter(file, SETTINGS + MEASURED, lineterminator="\n")
        if begin:
            writer.writeheader()
        writer.writerow({**settings, **{m: f"{measured[m]:.6g}" for m in MEASURED}})


def rank(names, name):
    """Where the name stands among them; what another version knew comes last."""
    return names.index(name) if name in names else len(names)


def print_tables(path, wanted, targets, methods):
    """Mean and standard deviation over the seeds, in Markdown, a table per schedule, of the lines whose settings are
    among `wanted`, {setting: values}; rows in the order of `targets` and `methods`."""
    tables = {}  # by the schedule, then by the settings but the seed
    for key, measured in read(path).items():
        line = dict(zip(SETTINGS, key))
        if all(line[name] in values for name, values in wanted.items()):
            del line["seed"]
            schedule = tuple(line[name] for name in ("steps", "batch", "images"))
            tables.setdefault(schedule, {}).setdefault(tuple(line.items()), []).append(measured)
    for (steps, batch, images), rows in tables.items():
        test = f"{images} test images" if int(images) else "all test images"
        print(f"{steps} steps of {batch} images, {test}; mean and standard deviation over the seeds\n")
        print_table(rows, targets, methods)
        print()


def print_gains(path, method, phi, wanted, targets):
    """A line per target, network and schedule: `method` (with that phi; empty: any) beside plain training with the same
    seeds, in Markdown."""
    plain, others = {}, {}  # by device, schedule, target and network; others by their own settings, too; then by seed
    for key, measured in read(path).items():
        line = dict(zip(SETTINGS, key))
        if line["method"] not in ("plain", method) or (phi and line["phi"] not in ("", phi)):
            continue
        if all(line[name] in values for name, values in wanted.items() if name != "method"):
            place = (line["device"], -int(line["steps"]), line["batch"], int(line["images"]),
                     rank(targets, line["target"]), line["target"], line["network"])
            if line["method"] == "plain":
                plain.setdefault(place, {})[int(line["seed"])] = measured
            else:
                own = tuple((name, line[name]) for name in ("samples", "source_steps", "phi"))
                others.setdefault((place, own), {})[int(line["seed"])] = measured
    places = [place for place, _ in others]
    print(f"| schedule | target | network | plain, % | {method}, % | difference by seed | NLL | calibration error, % |")
    print("|---|---|---|---|---|---|---|---|")
    for (place, own), by_seed in sorted(others.items()):
        both = [(plain[place][seed], measured) for seed, measured in sorted(by_seed.items())
                if seed in plain.get(place, {})]
        if not both:
            continue
        device, steps, batch, images, _, target, network = place
        if places.count(place) > 1:
            network += "".join(f", {name} {value}" for name, value in own if value)

        def mean(measure, which):
            return statistics.mean(pair[which][measure] for pair in both)

        schedule = f"{-steps} x {batch}" + (f", {images} test images" if images else "") + (", GPU" if device else "")
        gains = ", ".join(f"{100 * (b['accuracy'] - a['accuracy']):+.1f}" for a, b in both)
        print(f"| {schedule} | {target} | {network} | {100 * mean('accuracy', 0):.1f} | {100 * mean('accuracy', 1):.1f} | "
              f"{gains} | {mean('nll', 0):.2f} -> {mean('nll', 1):.2f} | {100 * mean('calibration_error', 0):.1f} -> "
              f"{100 * mean('calibration_error', 1):.1f} |")


def print_table(rows, targets, methods):
    def name_of(row):
        return tuple(dict(row)[name] for name in ("target", "network", "method"))

    def place(row):
        target, network, method = name_of(row)
        return rank(targets, target), target, network, rank(methods, method), method

    names = [name_of(row) for row in rows]
    print("| target | network | method | seeds | accuracy, % | negative log-likelihood | calibration error, % | CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for row in sorted(rows, key=place):
        results, name = rows[row], name_of(row)

        def cell(measure, factor, digits):
            values = [factor * r[measure] for r in results]
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            return f"{statistics.mean(values):.{digits}f}{spread}"

        more = ""
        if names.count(name) > 1:  # such as two files of phi
            more = "".join(f", {k} {v}" for k, v in row if v and k in ("samples", "source_steps", "phi"))
        if dict(row)["device"]:
            more += ", on a GPU"
        print(f"| {' | '.join(name)}{more} | {len(results)} | {cell('accuracy', 100, 1)} | {cell('nll', 1, 2)}"
              f" | {cell('calibration_error', 100, 1)} | {cell('cpu_seconds', 1, 0)} |")
