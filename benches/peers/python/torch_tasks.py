"""The tasks in PyTorch: the networks and settings of `benches/examples/peers/tasks/`.

    python3 torch_tasks.py THREADS regression TABLE SPLITS [KEY=VALUE]...
    python3 torch_tasks.py THREADS classification IMAGES LABELS TEST_IMAGES TEST_LABELS \\
        [KEY=VALUE]...
    python3 torch_tasks.py THREADS vae IMAGES TEST_IMAGES [KEY=VALUE]...

The keys are seed, epochs and batch. Each task prints one line of JSON.
"""

import gzip
import json
import math
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

RATE = 1e-3
CHUNK = 500  # rows that are evaluated at a time


class Units(nn.Module):
    """A layer of units with an amortised posterior, started as vdn's: deviations near 0.7."""

    def __init__(self, inputs, units):
        super().__init__()
        self.mu = nn.Linear(inputs, units)
        self.log_sigma = nn.Linear(inputs, units)
        bound = 0.1 / math.sqrt(inputs)
        nn.init.uniform_(self.log_sigma.weight, -bound, bound)
        nn.init.constant_(self.log_sigma.bias, math.log(0.7))

    def forward(self, h, samples):
        """Samples `[samples, rows, units]`, and the KL: a sum over units, a mean over rows."""
        mu = self.mu(h)
        # The limits of vdn: deviations from 1e-4 to 10.
        logvar = (2 * self.log_sigma(h)).clamp(2 * math.log(1e-4), 2 * math.log(10))
        sigma = torch.exp(0.5 * logvar)
        z = mu + sigma * torch.randn(samples, *mu.shape)
        kl = 0.5 * (mu.square() + sigma.square() - 1 - logvar).mean(0).sum()
        return z, kl


class Regression(nn.Module):
    BETA, SAMPLES = 1e-3, 32

    def __init__(self, features):
        super().__init__()
        self.hidden = nn.Linear(features, 64)
        self.units = Units(64, 64)
        self.head = nn.Linear(64, 2)

    def forward(self, x, samples):
        z, kl = self.units(F.gelu(self.hidden(x)), samples)
        mean, raw = self.head(F.gelu(z)).unbind(2)
        return mean, F.softplus(raw) + 0.01, kl

    def loss(self, x, y):
        mean, sigma, kl = self(x, 1)
        nll = -torch.distributions.Normal(mean, sigma).log_prob(y).mean()
        return nll + self.BETA * kl


class Classifier(nn.Module):
    BETA, SAMPLES = 1e-3, 16

    def __init__(self, pixels):
        super().__init__()
        self.first = nn.Linear(pixels, 512)
        self.second = nn.Linear(512, 512)
        self.units = Units(512, 128)
        self.head = nn.Linear(128, 10)

    def forward(self, x, samples):
        h = F.gelu(self.second(F.gelu(self.first(x))))
        z, kl = self.units(h, samples)
        return self.head(z), kl

    def loss(self, x, y):
        logits, kl = self(x, 1)
        return F.cross_entropy(logits[0], y) + self.BETA * kl


class Vae(nn.Module):
    SAMPLES = 8

    def __init__(self, pixels):
        super().__init__()
        self.encoder = nn.Linear(pixels, 400)
        self.units = Units(400, 32)
        self.decoder = nn.Linear(32, 400)
        self.logits = nn.Linear(400, pixels)

    def loss(self, x, _=None, samples=1):
        """The negative bound, a mean over rows, in nats."""
        z, kl = self.units(F.gelu(self.encoder(x)), samples)
        logits = self.logits(F.gelu(self.decoder(z)))
        nll = F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="sum")
        return nll / (samples * len(x)) + kl


def train(model, x, y, settings):
    """Seconds of the shortest epoch, and of the shortest step times the steps of an epoch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0)
    epoch = shortest = math.inf
    for _ in range(settings["epochs"]):
        start = time.perf_counter()
        batches = torch.randperm(len(x)).split(settings["batch"])
        for rows in batches:
            begin = time.perf_counter()
            optimizer.zero_grad()
            model.loss(x[rows], None if y is None else y[rows]).backward()
            optimizer.step()
            if len(rows) == settings["batch"]:
                shortest = min(shortest, time.perf_counter() - begin)
        epoch = min(epoch, time.perf_counter() - start)
    return {"epoch_seconds": epoch, "steps_seconds": shortest * len(batches)}


def regression(files, settings):
    table = np.loadtxt(files[0], delimiter=",", skiprows=1)
    with open(files[1]) as splits:
        test = np.array(splits.readlines()[1].split(",")[1].split(), dtype=int)
    train_rows = np.setdiff1d(np.arange(len(table)), test)
    mean, deviation = table[train_rows].mean(0), table[train_rows].std(0)
    scale = np.where(deviation > 0, deviation, 1)
    standard = torch.tensor((table - mean) / scale, dtype=torch.float32)
    x, y = standard[:, :-1], standard[:, -1]
    model = Regression(x.shape[1])
    seconds = train(model, x[train_rows], y[train_rows], settings)
    with torch.no_grad():
        means, sigmas, _ = model(x[test], model.SAMPLES)
        means, sigmas, truth = means.double(), sigmas.double(), y[test].double()
        rmse = (means.mean(0) - truth).square().mean().sqrt()
        log_density = torch.distributions.Normal(means, sigmas).log_prob(truth)
        nll = -(log_density.logsumexp(0) - math.log(model.SAMPLES)).mean()
    unit = deviation[-1]
    return {"rmse": rmse.item() * unit, "nll": nll.item() + math.log(unit)}, seconds


def idx(file):
    """An array of bytes in the IDX format, plain or gzip."""
    with open(file, "rb") as stream:
        content = stream.read()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, 4).astype(int)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def pixels(file):
    images = torch.tensor(idx(file), dtype=torch.float32).div_(255)
    return images.reshape(len(images), -1)


def classification(files, settings):
    x, test_x = pixels(files[0]), pixels(files[2])
    y, test_y = (torch.tensor(idx(file), dtype=torch.long) for file in (files[1], files[3]))
    model = Classifier(x.shape[1])
    seconds = train(model, x, y, settings)
    errors = nll = 0
    with torch.no_grad():
        for x, y in zip(test_x.split(CHUNK), test_y.split(CHUNK)):
            logits, _ = model(x, model.SAMPLES)
            mean = logits.double().softmax(2).mean(0)
            errors += (mean.argmax(1) != y).sum().item()
            nll -= mean[torch.arange(len(y)), y].log().sum().item()
    return {"error": errors / len(test_y), "nll": nll / len(test_y)}, seconds


def vae(files, settings):
    x, test_x = ((pixels(file) > 0.5).float() for file in files)
    model = Vae(x.shape[1])
    seconds = train(model, x, None, settings)
    bound = 0
    with torch.no_grad():
        for x in test_x.split(CHUNK):
            bound -= model.loss(x, samples=model.SAMPLES).item() * len(x)
    return {"elbo": bound / len(test_x)}, seconds


def peak_mib():
    """The most memory this process has had, as Linux counts it."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main():
    threads, task, *rest = sys.argv[1:]
    torch.set_num_threads(int(threads))
    files = [argument for argument in rest if "=" not in argument]
    defaults = {
        "regression": {"epochs": 200, "batch": 32},
        "classification": {"epochs": 4, "batch": 128},
        "vae": {"epochs": 6, "batch": 128},
    }
    settings = {"seed": 0, **defaults[task]}
    for argument in rest[len(files):]:
        key, value = argument.split("=")
        settings[key] = int(value)
    torch.manual_seed(settings["seed"])
    work = {"regression": regression, "classification": classification, "vae": vae}[task]
    scores, seconds = work(files, settings)
    line = {"task": task, "library": "PyTorch", "threads": int(threads), "seed": settings["seed"]}
    line |= scores | seconds | {"peak_mib": peak_mib()}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
