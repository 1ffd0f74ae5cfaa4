"""Runs a job in a short burst when its name is read, as `benches/examples/peers/timing.rs` does."""

import json
import sys
import time


class Jobs:
    """The jobs of one library."""

    def __init__(self):
        self.jobs = {}

    def add(self, name, work):
        """Adds a job; a call of `work` returns when its results are there."""
        self.jobs[name] = work

    def serve(self, span):
        """Reads names from standard input, a line each.

        A job is called once to warm up, then until `span` is over. Printed are the seconds of the
        shortest call and of the median call, or `{}` for a job that the library does not have.
        """
        for line in sys.stdin:
            work = self.jobs.get(line.strip())
            print(json.dumps(burst(work, span) if work else {}), flush=True)


def burst(work, span):
    work()
    seconds = []
    start = time.perf_counter()
    while not seconds or time.perf_counter() - start < span:
        call = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - call)
    seconds.sort()
    return {"best": seconds[0], "median": seconds[len(seconds) // 2]}
