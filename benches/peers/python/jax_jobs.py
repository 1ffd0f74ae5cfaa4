"""The jobs in JAX: pure functions under `jax.jit`, AdamW written out.

    python3 jax_jobs.py THREADS SECONDS

Names of jobs are read from standard input: see `timing.py`.
"""

import math
import os
import sys

# XLA reads these variables at its start: the size of its pool, and whether it splits a product over
# the threads of the pool.
if sys.argv[1:2] == ["1"]:
    os.environ["NPROC"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax
import jax.numpy as jnp
import numpy as np

import sizes
from sizes import BATCH, HIDDEN, HORIZON, INPUT, SAMPLES, SMALL, UNITS
from timing import Jobs

KEY = jax.random.key(0)


def units(mu, logvar, key):
    """Samples, and the units' KL averaged over the batch."""
    sigma = jnp.exp(0.5 * logvar)
    z = mu + sigma * jax.random.normal(key, mu.shape)
    kl = 0.5 * (mu**2 + sigma**2 - 1 - logvar).mean(0)
    return z, kl


def uniform(shape, low, high, number=0):
    return jax.random.uniform(jax.random.fold_in(KEY, number), shape, minval=low, maxval=high)


class Counter:
    """Calls a compiled function with the next number and waits for its result."""

    def __init__(self, function):
        self.function, self.number = jax.jit(function), 0

    def __call__(self, *arguments):
        self.number += 1
        return jax.block_until_ready(self.function(self.number, *arguments))


def unit_jobs(jobs):
    forward = Counter(lambda number, mu, logvar: units(mu, logvar, jax.random.fold_in(KEY, number)))
    for shape in sizes.LAYERS:
        both = uniform(shape, -2, 2), uniform(shape, -1, 0, 1)
        jobs.add(sizes.forward(shape), lambda both=both: forward(*both))

    def loss(both, number):
        z, kl = units(*both, jax.random.fold_in(KEY, number))
        return 0.5 * (z**2).sum() + kl.sum()

    both = uniform(sizes.BACKWARD, -2, 2), uniform(sizes.BACKWARD, -1, 0, 1)
    gradients = Counter(lambda number, both: jax.value_and_grad(loss)(both, number))
    jobs.add(sizes.backward(), lambda: gradients(both))
    shape = (sizes.NORMALS,)
    normals = Counter(lambda number: jax.random.normal(jax.random.fold_in(KEY, number), shape))
    jobs.add("normals", normals)


def product_jobs(jobs):
    for name, a_shape, a_transposed, b_shape, b_transposed in sizes.products():
        a, b = uniform(a_shape, -1, 1), uniform(b_shape, -1, 1, 1)

        @jax.jit
        def product(a, b, a_transposed=a_transposed, b_transposed=b_transposed):
            return (a.T if a_transposed else a) @ (b.T if b_transposed else b)

        jobs.add(name, lambda f=product, a=a, b=b: f(a, b).block_until_ready())


def linear(inputs, outputs, number):
    bound = 1 / math.sqrt(inputs)
    weight = uniform((inputs, outputs), -bound, bound, number)
    return {"weight": weight, "bias": uniform((outputs,), -bound, bound, number + 1000)}


def affine(layer, x):
    return x @ layer["weight"] + layer["bias"]


def norm(layer, x):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return centred / jnp.sqrt(variance + 1e-5) * layer["weight"] + layer["bias"]


def gelu(x):
    return jax.nn.gelu(x, approximate=False)


class AdamW:
    """Parameters and moments; a step is one compiled function."""

    def __init__(self, loss, parameters, rate):
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        self.state = (parameters, zeros, zeros)

        def step(number, state, *data):
            parameters, first, second = state
            key = jax.random.fold_in(KEY, number)
            gradient = jax.grad(loss)(parameters, *data, key)
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, gradient)
            m_scale, v_scale = 1 / (1 - 0.9**number), 1 / (1 - 0.999**number)
            moved = jax.tree.map(
                lambda x, m, v: x - rate * m * m_scale / (jnp.sqrt(v * v_scale) + 1e-8),
                parameters, first, second,
            )
            return moved, first, second

        self.step_function = jax.jit(step)
        self.number = 0

    def step(self, *data):
        """Starts the step; XLA may still be at work on it afterwards."""
        self.number += 1
        self.state = self.step_function(self.number, self.state, *data)

    def wait(self):
        jax.block_until_ready(self.state)


def forecaster():
    layers = {
        "window": (INPUT, HIDDEN),
        "persist": (HIDDEN, HIDDEN),
        "innovation": (HIDDEN, HIDDEN),
        "mix": (3 * HIDDEN, HIDDEN),
        "mu": (HIDDEN, UNITS),
        "hidden": (UNITS, HIDDEN),
        "skip": (UNITS, HORIZON),
        "gate": (HIDDEN, HORIZON),
        "delta": (HIDDEN, HORIZON),
    }
    parameters = {name: linear(*shape, i) for i, (name, shape) in enumerate(layers.items())}
    for name, width in [("out_norm", HIDDEN), ("in_norm", UNITS)]:
        parameters[name] = {"weight": jnp.ones(width), "bias": jnp.zeros(width)}
    parameters["log_sigma"] = jnp.full(UNITS, math.log(0.5))
    parameters["rho"] = jnp.full(HORIZON, 0.5)
    return parameters


def forecaster_loss(p, current, previous, target, key):
    a, b = affine(p["window"], current), affine(p["window"], previous)
    persist = affine(p["persist"], 0.5 * (a + b))
    innovation = affine(p["innovation"], a - b)
    mix = jax.nn.sigmoid(affine(p["mix"], jnp.concatenate([a, b, a - b], 1)))
    h = norm(p["out_norm"], gelu(persist + mix * innovation))

    mu, sigma = affine(p["mu"], h), jnp.exp(p["log_sigma"])
    z = mu + sigma * jax.random.normal(key, (SAMPLES, BATCH, UNITS))
    kl = 0.5 * ((mu**2).mean(0) + sigma**2 - 2 * p["log_sigma"] - 1)

    u = z / math.sqrt(UNITS)
    active = gelu(affine(p["hidden"], norm(p["in_norm"], u)))
    gate = jax.nn.sigmoid(affine(p["gate"], active))
    y = affine(p["skip"], u) + gate * affine(p["delta"], active)

    sigma = jax.nn.softplus(p["rho"]) + 0.01
    density = -0.5 * ((y - target) / sigma) ** 2 - jnp.log(sigma)
    nll = -jax.nn.logsumexp(density.mean(2), axis=0).mean()
    return nll + 1e-4 * kl.sum()


def step_job(jobs):
    optimizer = AdamW(forecaster_loss, forecaster(), 1e-4)
    current, previous = (uniform((BATCH, INPUT), -1.5, 1.5, i) for i in range(2))
    target = uniform((BATCH, HORIZON), -1.5, 1.5, 2)

    def step():
        optimizer.step(current, previous, target)
        optimizer.wait()

    jobs.add("training step", step)


def small_loss(p, x, y, key):
    h = gelu(affine(p["hidden"], x))
    z, kl = units(affine(p["mu"], h), 2 * affine(p["log_sigma"], h), key)
    both = affine(p["head"], gelu(z))
    mean, sigma = both[:, 0], jax.nn.softplus(both[:, 1]) + sizes.LEAST_SIGMA
    # The constant of the density does not affect the gradient.
    nll = (0.5 * ((mean - y) / sigma) ** 2 + jnp.log(sigma)).mean()
    return nll + sizes.BETA * kl.sum()


def small_job(jobs):
    shapes = {
        "hidden": (sizes.FEATURES, SMALL),
        "mu": (SMALL, SMALL),
        "log_sigma": (SMALL, SMALL),
        "head": (SMALL, 2),
    }
    parameters = {name: linear(*shape, i) for i, (name, shape) in enumerate(shapes.items())}
    optimizer = AdamW(small_loss, parameters, sizes.RATE)
    generator = np.random.default_rng(0)
    x = generator.uniform(-1.5, 1.5, (sizes.ROWS, sizes.FEATURES)).astype(np.float32)
    y = generator.uniform(-1.5, 1.5, sizes.ROWS).astype(np.float32)

    batches = sizes.batches()

    def step():
        rows = next(batches)
        optimizer.step(x[rows], y[rows])
        optimizer.wait()

    jobs.add("small step", step)


def main():
    jobs = Jobs()
    unit_jobs(jobs)
    product_jobs(jobs)
    step_job(jobs)
    small_job(jobs)
    jobs.serve(float(sys.argv[2]))


if __name__ == "__main__":
    main()
