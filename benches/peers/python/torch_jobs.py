"""The jobs in PyTorch, written as its users write them: eager mode, operations and modules.

    python3 torch_jobs.py THREADS SECONDS

Names of jobs are read from standard input: see `timing.py`.
"""

import math
import sys

import torch
from torch import nn
from torch.nn import functional as F

import sizes
from sizes import BATCH, HIDDEN, HORIZON, INPUT, SAMPLES, SMALL, UNITS
from timing import Jobs


def units(mu, logvar):
    """Samples, and the units' KL averaged over the batch."""
    sigma = torch.exp(0.5 * logvar)
    z = mu + sigma * torch.randn_like(mu)
    kl = 0.5 * (mu.square() + sigma.square() - 1 - logvar).mean(0)
    return z, kl


def inputs(shape):
    return torch.empty(shape).uniform_(-2, 2), torch.empty(shape).uniform_(-1, 0)


def unit_jobs(jobs):
    for shape in sizes.LAYERS:
        both = inputs(shape)

        @torch.no_grad()
        def forward(both=both):
            units(*both)

        jobs.add(sizes.forward(shape), forward)
    mu, logvar = (x.requires_grad_() for x in inputs(sizes.BACKWARD))

    def forward_backward():
        mu.grad = logvar.grad = None
        z, kl = units(mu, logvar)
        (0.5 * z.square().sum() + kl.sum()).backward()

    jobs.add(sizes.backward(), forward_backward)
    normals = torch.empty(sizes.NORMALS)
    jobs.add("normals", normals.normal_)


def product_jobs(jobs):
    for name, a_shape, a_transposed, b_shape, b_transposed in sizes.products():
        a, b = torch.randn(a_shape), torch.randn(b_shape)
        a = a.T if a_transposed else a
        b = b.T if b_transposed else b
        out = torch.empty(a.shape[0], b.shape[1])
        jobs.add(name, lambda a=a, b=b, out=out: torch.mm(a, b, out=out))


class Forecaster(nn.Module):
    """The reference shape; a little less than vdn's: see `benches/examples/peers/main.rs`."""

    def __init__(self):
        super().__init__()
        self.window = nn.Linear(INPUT, HIDDEN)
        self.persist = nn.Linear(HIDDEN, HIDDEN)
        self.innovation = nn.Linear(HIDDEN, HIDDEN)
        self.mix = nn.Linear(3 * HIDDEN, HIDDEN)
        self.out_norm = nn.LayerNorm(HIDDEN)
        self.mu = nn.Linear(HIDDEN, UNITS)
        self.log_sigma = nn.Parameter(torch.full((UNITS,), math.log(0.5)))
        self.in_norm = nn.LayerNorm(UNITS)
        self.hidden = nn.Linear(UNITS, HIDDEN)
        self.skip = nn.Linear(UNITS, HORIZON)
        self.gate = nn.Linear(HIDDEN, HORIZON)
        self.delta = nn.Linear(HIDDEN, HORIZON)
        self.rho = nn.Parameter(torch.full((HORIZON,), 0.5))

    def loss(self, current, previous, target):
        a, b = self.window(current), self.window(previous)
        persist = self.persist(0.5 * (a + b))
        innovation = self.innovation(a - b)
        mix = torch.sigmoid(self.mix(torch.cat([a, b, a - b], 1)))
        h = self.out_norm(F.gelu(persist + mix * innovation))

        mu, sigma = self.mu(h), self.log_sigma.exp()
        z = mu + sigma * torch.randn(SAMPLES, BATCH, UNITS)
        constant = sigma.square() - 2 * self.log_sigma - 1
        kl = 0.5 * (mu.square().mean(0) + constant)

        u = z / math.sqrt(UNITS)
        active = F.gelu(self.hidden(self.in_norm(u)))
        y = self.skip(u) + torch.sigmoid(self.gate(active)) * self.delta(active)

        sigma = F.softplus(self.rho) + 0.01
        density = -0.5 * ((y - target) / sigma).square() - sigma.log()
        nll = -density.mean(2).logsumexp(0).mean()
        return nll + 1e-4 * kl.sum()


def step_job(jobs):
    model = Forecaster()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0)
    current, previous = (torch.empty(BATCH, INPUT).uniform_(-1.5, 1.5) for _ in range(2))
    target = torch.empty(BATCH, HORIZON).uniform_(-1.5, 1.5)

    def step():
        optimizer.zero_grad()
        model.loss(current, previous, target).backward()
        optimizer.step()

    jobs.add("training step", step)


class Small(nn.Module):
    """One hidden layer, a layer of units, mean and deviation of a normal distribution."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(sizes.FEATURES, SMALL)
        self.mu = nn.Linear(SMALL, SMALL)
        self.log_sigma = nn.Linear(SMALL, SMALL)
        self.head = nn.Linear(SMALL, 2)

    def loss(self, x, y):
        h = F.gelu(self.hidden(x))
        z, kl = units(self.mu(h), 2 * self.log_sigma(h))
        mean, raw = self.head(F.gelu(z)).unbind(1)
        sigma = F.softplus(raw) + sizes.LEAST_SIGMA
        # The constant of the density does not affect the gradient.
        nll = (0.5 * ((mean - y) / sigma).square() + sigma.log()).mean()
        return nll + sizes.BETA * kl.sum()


def small_job(jobs):
    model = Small()
    optimizer = torch.optim.AdamW(model.parameters(), lr=sizes.RATE, weight_decay=0)
    x = torch.empty(sizes.ROWS, sizes.FEATURES).uniform_(-1.5, 1.5)
    y = torch.empty(sizes.ROWS).uniform_(-1.5, 1.5)

    batches = sizes.batches()

    def step():
        rows = torch.from_numpy(next(batches))
        optimizer.zero_grad()
        model.loss(x[rows], y[rows]).backward()
        optimizer.step()

    jobs.add("small step", step)


def main():
    threads, seconds = int(sys.argv[1]), float(sys.argv[2])
    torch.set_num_threads(threads)
    jobs = Jobs()
    unit_jobs(jobs)
    product_jobs(jobs)
    step_job(jobs)
    small_job(jobs)
    jobs.serve(seconds)


if __name__ == "__main__":
    main()
