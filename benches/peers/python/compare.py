"""Runs the same jobs and tasks in vdn, PyTorch, JAX and plain loops, and prints tables.

    pip install -r requirements.txt
    python3 compare.py [--uci TABLE SPLITS] [--mnist IMAGES LABELS TEST_IMAGES TEST_LABELS]

The jobs (see `benches/examples/peers/main.rs`) come first. Each library has a process of its
own, which runs one job in a short burst when it is told to; the libraries take turns. So other
work on the machine meets all of them alike. Tables have the best call of all bursts, and in
parentheses the median over bursts of their median calls. Then come the tasks whose files are
given: vdn and PyTorch with the same network, optimiser, batches and epochs, several seeds, one
process for each training. The first number of threads gives the scores; with the others a few
epochs are timed.

Every measurement goes to the file `--record`, a line of JSON each; `--tables FILE` prints the
tables of such a file and measures nothing. Linux, a Rust compiler, x86-64.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import sizes
from tables import print_tables

HERE = pathlib.Path(__file__).resolve().parent
# The epochs of trainings that are only timed.
TIMED_EPOCHS = {"regression": 20, "classification": 1, "vae": 1}
LIBRARIES = ["vdn", "loop", "PyTorch", "JAX"]


def job_names():
    yield from map(sizes.forward, sizes.LAYERS)
    yield sizes.backward()
    yield "normals"
    for name, *_ in sizes.products():
        yield name
    yield "training step"
    yield "small step"


def build():
    """Builds the Rust program; gives its path."""
    root = HERE.parent.parent.parent
    command = ["cargo", "build", "--release", "-p", "vdn-benches", "--example", "peers"]
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=root)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    return target / "release" / "examples" / "peers"


class Worker:
    """The process that runs the jobs of one library."""

    def __init__(self, library, threads, seconds, program):
        scripts = {"PyTorch": "torch_jobs.py", "JAX": "jax_jobs.py"}
        if library in scripts:
            command = [sys.executable, HERE / scripts[library], str(threads), str(seconds)]
        else:
            command = [program, "jobs", library, str(seconds)]
        self.process = subprocess.Popen(
            command, env=environment(threads), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        self.library = library

    def burst(self, job):
        self.process.stdin.write(job + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.library} ended at {job}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def environment(threads):
    return os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}


def wait_for_quiet(patience):
    """Waits until nothing else runs, `patience` seconds at most."""
    start, quiet = time.monotonic(), 0
    while quiet < 3 and time.monotonic() - start < patience:
        with open("/proc/loadavg") as file:
            running = int(file.read().split()[3].split("/")[0])
        quiet = quiet + 1 if running <= 1 else 0
        time.sleep(0.01)


def run_jobs(options, program, record):
    libraries = [library for library in LIBRARIES if library in options.libraries]
    names = [name for name in job_names() if options.only in name]
    for threads in options.threads:
        # A plain loop has one thread.
        own = [library for library in libraries if threads == 1 or library != "loop"]
        workers = [Worker(library, threads, options.seconds, program) for library in own]
        for number in range(options.rounds):
            print(f"{threads} threads: round {number + 1}", file=sys.stderr)
            for name in names:
                for worker in workers:
                    wait_for_quiet(options.patience)
                    found = worker.burst(name)
                    if found:
                        line = {"library": worker.library, "threads": threads, "job": name}
                        record(line | found)
        for worker in workers:
            worker.close()


def run_tasks(options, program, record):
    files = {}
    if options.uci:
        files["regression"] = options.uci
    if options.mnist:
        images, _, test_images, _ = options.mnist
        files["classification"] = options.mnist
        files["vae"] = [images, test_images]
    for seed in range(options.seeds):
        for task, paths in files.items():
            if options.only not in task:
                continue
            for threads in options.threads:
                for library in ["vdn", "PyTorch"]:
                    rest = [task, *paths, f"seed={seed}"]
                    if threads != options.threads[0]:
                        rest.append(f"epochs={TIMED_EPOCHS[task]}")
                    if library == "vdn":
                        command = [program, "task", *rest]
                    else:
                        command = [sys.executable, HERE / "torch_tasks.py", str(threads), *rest]
                    done = subprocess.run(
                        command, env=environment(threads), text=True, check=True,
                        stdout=subprocess.PIPE,
                    )
                    record(json.loads(done.stdout))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uci", nargs=2, metavar=("TABLE", "SPLITS"))
    files = ("IMAGES", "LABELS", "TEST_IMAGES", "TEST_LABELS")
    parser.add_argument("--mnist", nargs=4, metavar=files, help="IDX files, plain or gzip")
    parser.add_argument("--rounds", type=int, default=10, help="bursts of each job; 0: no jobs")
    parser.add_argument("--seconds", type=float, default=0.1, help="length of a burst")
    parser.add_argument("--patience", type=float, default=0.2,
                        help="how many seconds a burst may wait for a quiet moment")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each task")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--only", default="", metavar="WORD", help="jobs and tasks with this word")
    parser.add_argument("--record", type=pathlib.Path, default=pathlib.Path("peers.jsonl"))
    parser.add_argument("--program", type=pathlib.Path, help="the Rust program, built already")
    parser.add_argument("--tables", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    if options.tables:
        return print_tables(options.tables)
    program = options.program or build()
    with open(options.record, "a") as file:

        def record(line):
            file.write(json.dumps(line) + "\n")
            file.flush()

        run_jobs(options, program, record)
        run_tasks(options, program, record)
    print_tables(options.record)


if __name__ == "__main__":
    main()
