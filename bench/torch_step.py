#!/usr/bin/env python3
"""The PyTorch side of bench_step: one training step of the same networks with the same formula, as one line of JSON.

    torch_step.py --model=resnet20 [--mp] [--mode=eager|channels_last|compile] [--formula=planes|grouped|shifts]
        [--device=cuda]     on a GPU, with TF32, as bench_step --gpu=0
    [--pass=meta]       the two passes of meta-training in turn: theta's, then phi's on other images with theta fixed

MetaPerturb's 3x3 kernels are the same for all channels, which PyTorch has no operation for. Three ways to say it:
    planes   every channel of every image is an image of one channel for conv2d
    grouped  a depthwise convolution whose kernels are copies of the one
    shifts   nine shifted copies, weighted and added; slow as it stands, but torch.compile makes one loop of it
compare.py measures them all and takes the fastest. (One convolution for a1 and kappa together was tried: no gain.)
"""
import argparse
import json
import os
import resource
import statistics
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("resnet20", "vgg9", "mobilenet"), default="resnet20")
    parser.add_argument("--mp", action="store_true", help="with MetaPerturb")
    parser.add_argument("--pass", choices=("train", "meta"), default="train", dest="passes")
    parser.add_argument("--mode", choices=("eager", "channels_last", "compile"), default="eager")
    parser.add_argument("--formula", choices=("planes", "grouped", "shifts"), default="planes")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--serve", action="store_true", help="measure again for every line of standard input")
    parsed = parser.parse_args()
    if min(parsed.steps, parsed.threads, parsed.batch - 1) < 1 or parsed.warmup < 0:
        sys.exit("torch_step.py: --steps and --threads are at least 1, --batch 2, --warmup 0")
    if parsed.passes == "meta" and not parsed.mp:
        sys.exit("torch_step.py: --pass=meta needs --mp")
    return parsed


# libgomp reads its environment when it is loaded, which `import torch` does.
if __name__ == "__main__":
    options = arguments()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ.setdefault("OMP_PROC_BIND", "true")
    every_cpu = os.sched_getaffinity(0)

try:
    import torch
except ImportError:
    sys.exit("torch_step.py: %s has no torch" % sys.executable)
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


def stencil(x, kernels, formula):
    """x, N x C x H x W, correlated with each of K kernels (K x 3 x 3): N x C x K x H x W."""
    n, c, h, w = x.shape
    k = kernels.shape[0]
    if formula == "planes":
        return F.conv2d(x.reshape(n * c, 1, h, w), kernels[:, None], padding=1).view(n, c, k, h, w)
    if formula == "grouped":
        return F.conv2d(x, kernels[:, None].repeat(c, 1, 1, 1), padding=1, groups=c).unflatten(1, (c, k))
    padded = F.pad(x, (1, 1, 1, 1))
    return torch.stack([
        sum(kernels[i, u, v] * padded[:, :, u:u + h, v:v + w] for u in range(3) for v in range(3)) for i in range(k)
    ], 2)


class MetaPerturb(nn.Module):
    """layers/metaperturb_layer.hpp has the formula. TRAIN phase, noise coefficient 1, phi frozen."""

    def __init__(self, channels, formula, channel_norm=64.0, spatial_norm=32.0, clip=100.0):
        super().__init__()
        self.formula, self.channel_norm, self.spatial_norm, self.clip = formula, channel_norm, spatial_norm, clip
        self.phi = nn.Parameter(0.01 * torch.randn(82), requires_grad=False)
        self.register_buffer("running_mean", torch.zeros(channels, 4))
        self.register_buffer("running_var", torch.ones(channels, 4))

    def equivariant(self, x, a, b):
        own = stencil(x, a.view(1, 3, 3), self.formula)[:, :, 0]
        return own + F.conv2d(x.mean(1, keepdim=True), b.view(1, 1, 3, 3), padding=1)

    def forward(self, x, epsilon=None):
        channels, height = x.shape[1:3]
        a1, b1, a2, b2, kappa, w = self.phi.split((9, 9, 9, 9, 36, 10))
        mu = self.equivariant(F.relu(self.equivariant(x, a1, b1)), a2, b2)
        z = F.softplus(mu + (torch.randn_like(mu) if epsilon is None else epsilon))
        f = F.relu(stencil(x, kappa.view(4, 3, 3), self.formula)).mean((3, 4))
        var, mean = torch.var_mean(f, 0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, 0.1)
            self.running_var.lerp_(var * (x.shape[0] / (x.shape[0] - 1)), 0.1)
        extents = torch.stack((torch.full_like(mean[:, 0], channels / self.channel_norm),
                               torch.full_like(mean[:, 0], height / self.spatial_norm)), 1)
        s = torch.sigmoid(torch.cat((mean, var, extents), 1) @ w)
        return (x * (s[:, None, None] * z)).clamp(max=self.clip)


def convolution(inputs, outputs, kernel, stride=1, groups=1):
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out" if groups == 1 else "fan_in")
    return layer


class Perturbed(nn.Module):
    """MetaPerturb where it is asked for, then ReLU."""

    def __init__(self, channels, formula):
        super().__init__()
        self.mp = MetaPerturb(channels, formula) if formula else None

    def forward(self, x):
        return F.relu(self.mp(x) if self.mp else x)


def unit(inputs, outputs, kernel, stride, groups, formula):
    return nn.Sequential(convolution(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs),
                         Perturbed(outputs, formula))


class Block(nn.Module):
    def __init__(self, inputs, outputs, formula):
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.added = outputs - inputs
        self.unit1 = unit(inputs, outputs, 3, self.stride, 1, None)
        self.conv2 = convolution(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.end = Perturbed(outputs, formula)

    def forward(self, x):
        y = self.bn2(self.conv2(self.unit1(x)))
        if self.added:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added))
        return self.end(x + y)


def build(name, formula, classes=10):
    """As tools/metaperturb/model_builder.cpp; `formula` None: without MetaPerturb."""
    if name == "resnet20":
        layers, last = [unit(3, 16, 3, 1, 1, None)], 16
        for channels in (16, 32, 64):
            for _ in range(3):
                layers.append(Block(last, channels, formula))
                last = channels
    elif name == "vgg9":
        layers, last = [], 3
        for channels in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512):
            layers.append(unit(last, channels, 3, 1, 1, formula) if channels else nn.MaxPool2d(2))
            last = channels or last
    else:
        layers, last = [unit(3, 32, 3, 1, 1, formula)], 32
        for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2),
                                 (1024, 1)):
            layers += [unit(last, last, 3, stride, last, formula), unit(last, channels, 1, 1, 1, formula)]
            last = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes))


def share_phi(model):
    """Gives all layers one phi; returns theta, the other parameters, and phi."""
    layers = [module for module in model.modules() if isinstance(module, MetaPerturb)]
    phi = nn.Parameter(layers[0].phi.detach().clone())
    for layer in layers:
        layer.phi = phi
    return [p for p in model.parameters() if p is not phi], phi


def phi_pass(model, run, theta, phi, adam, x, label):
    """phi's gradient alone, batch normalisation with its running statistics; first order."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in norms:
        module.eval()
    for p in theta:
        p.requires_grad_(False)
    phi.requires_grad_(True)
    phi.grad, = torch.autograd.grad(F.cross_entropy(run(x), label), phi)
    adam.step()
    phi.requires_grad_(False)
    for p in theta:
        p.requires_grad_(True)
    for module in norms:
        module.train()


def main():
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    on_gpu = options.device != "cpu"
    if on_gpu:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    model = build(options.model, options.formula if options.mp else None).to(options.device)
    x = torch.randn(options.batch, 3, 32, 32, device=options.device)
    label = torch.randint(10, (options.batch,), device=options.device)
    meta = options.passes == "meta"
    if meta:
        theta, phi = share_phi(model)
        phi.requires_grad_(False)
        adam_phi = torch.optim.Adam([phi], lr=1e-3, weight_decay=5e-4, fused=True)
        x_val, label_val = torch.randn_like(x), torch.randint_like(label, 10)
    learned = [p for p in model.parameters() if p.requires_grad]
    if options.mode == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(learned, lr=1e-3, weight_decay=5e-4, fused=True)
    run = torch.compile(model) if options.mode == "compile" else model

    def step():
        start = time.perf_counter()
        adam.zero_grad(set_to_none=True)
        F.cross_entropy(run(x), label).backward()
        adam.step()
        if meta:
            phi_pass(model, run, theta, phi, adam_phi, x_val, label_val)
        if on_gpu:
            torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e3

    def measure():
        samples = [step() for _ in range(options.steps)]
        print(json.dumps({
            "program": "torch_step", "torch": torch.__version__, "model": options.model, "mp": int(options.mp),
            "pass": options.passes, "mode": options.mode, "formula": options.formula if options.mp else "", "batch": options.batch,
            "threads": torch.get_num_threads(), "device": options.device, "parameters": sum(p.numel() for p in learned),
            "median_ms": statistics.median(samples), "samples_ms": samples,
            "images_per_s": options.batch * 1e3 / statistics.median(samples),
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }), flush=True)

    # torch.compile works in the first step, with processes that would inherit the one CPU of this bound thread.
    own_cpu = os.sched_getaffinity(0)
    os.sched_setaffinity(0, every_cpu)
    step()
    os.sched_setaffinity(0, own_cpu)
    for _ in range(options.warmup):
        step()
    if not options.serve:
        measure()
    else:
        for _ in sys.stdin:
            step()  # the first one after a wait is slower
            measure()


if __name__ == "__main__":
    main()
