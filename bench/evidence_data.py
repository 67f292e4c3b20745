"""The data sets of bench/evidence.py, made of the users' files by convert_dataset."""
import os
import re
import subprocess

from evidence_programs import Failed, run

# name: data set for convert_dataset, its name in --source, training images per class, further flags. With
# --val_per_class the validation part is what networks are tested on, else the test part.
TARGETS = {
    "cifar10_50": ("cifar10", 50, []),
    "cifar10_500": ("cifar10", 500, []),
    "fashion_mnist_500": ("fashion_mnist", 500, ["--color"]),
    "dtd": ("dtd", 0, ["--size=32", "--pad=4"]),
    "omniglot": ("omniglot", 0, ["--color"]),
    # Tested on other training images than the 20: what a phi is chosen by (models/phi/README.md).
    "mnist_20_val": ("mnist", 20, ["--color", "--val_per_class=200"]),
}
# Of fine-tuning's source network, and of the targets.
SOURCES = ["tiny_imagenet", *dict.fromkeys(target[0] for target in TARGETS.values())]


def kind_of(dataset, files):
    """The data set's name, or "folder" where its images come as files in train/CLASS/ and test/CLASS/."""
    first = files.split(",")[0]
    if dataset == "tiny_imagenet":
        return dataset
    if os.path.isdir(first):
        return "folder" if os.path.isdir(os.path.join(first, "train")) else dataset
    listing = subprocess.run(["tar", "tf", first], capture_output=True, text=True).stdout
    return "folder" if re.search(r"(^|/)train/[^/]+/[^/]+\.(jpe?g|png)$", listing, re.I | re.M) else dataset


def convert(a, name, dataset, per_class, flags, seed, cpu=0):
    """RUN/data/NAME_sSEED/, made once; returns the folder."""
    if dataset not in a.sources:
        raise Failed(f"{name} needs --source {dataset}=FILES (data/README.md)")
    files = ",".join(os.path.abspath(f) for f in a.sources[dataset].split(","))
    folder = os.path.join(a.run, "data", f"{name}_s{seed}")
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    run(a, ["convert_dataset", f"--dataset={kind_of(dataset, files)}", f"--source={files}", f"--output={folder}",
            f"--per_class={per_class}", f"--seed={seed}", *flags], cpu, folder + ".log")
    return folder


def count_classes(folder):
    with open(os.path.join(folder, "labels.txt")) as text:
        return len(text.read().splitlines())


def count_training_images(folder):
    with open(folder + ".log") as text:
        found = re.findall(r"train_lmdb: Processed (\d+) of", text.read())
    if not found:
        raise Failed(f"{folder}.log does not tell how many training images there are; remove {folder}")
    return int(found[-1])
