"""Names and sizes of the jobs; `benches/examples/peers/jobs.rs` has the same ones."""

import numpy as np

LAYERS = [(256, 1024), (4096, 4096)]
BACKWARD = LAYERS[0]
NORMALS = 1 << 18

# The training step in the reference shape.
BATCH, INPUT, HORIZON, HIDDEN, UNITS, SAMPLES = 256, 336, 96, 256, 1024, 4

# The small model.
ROWS, FEATURES, SMALL_BATCH, SMALL = 768, 8, 32, 64
BETA, LEAST_SIGMA, RATE = 1e-3, 0.01, 1e-3

# m, n, k.
SHAPES = [
    (256, 256, 336),
    (256, 256, 768),
    (256, 1024, 256),
    (1024, 256, 1024),
    (1024, 96, 1024),
    (1024, 1024, 1024),
]


def forward(shape):
    return f"forward {shape[0]}x{shape[1]}"


def backward():
    return f"backward {BACKWARD[0]}x{BACKWARD[1]}"


def batches():
    """Rows of the small model's batches, in an order that changes with each epoch."""
    generator = np.random.default_rng(0)
    while True:
        yield from generator.permutation(ROWS).reshape(-1, SMALL_BATCH)


def products():
    """Name; shape of each factor as stored, and whether it is transposed."""
    for m, n, k in SHAPES:
        name = f"product {m}x{k}x{n}"
        yield f"{name} nn", (m, k), False, (k, n), False
        yield f"{name} nt", (m, k), False, (n, k), True
        yield f"{name} tn", (k, m), True, (k, n), False
