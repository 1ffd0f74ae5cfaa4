"""Reads the tables of `large.rs` (docs/performance.md, "Reading files") with Polars.

    pip install polars
    python3 benches/peers/read_tables.py [FOLDER]

Writes the three files into FOLDER (the one for temporary files, if left out), unless they are there, and reads each
of them three times, on one thread and on all: numbers and dates parsed, nothing else done. The best of three is
printed, by the clock and by the seconds of processors, which other work on the machine changes little.
"""

import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import time


def hours(count):
    start = datetime.datetime(2012, 1, 1)
    return [str(start + datetime.timedelta(hours=row)) for row in range(count)]


def value(row, column):
    return f"{(row * 31 + column * 17) % 1000 * 0.123:.3f}"


def wide(path, rows, columns):
    with open(path, "w") as file:
        file.write("date," + ",".join(map(str, range(columns))) + "\n")
        for row, date in enumerate(hours(rows)):
            file.write(date + "," + ",".join(value(row, column) for column in range(columns)) + "\n")


def long(path, series, rows):
    dates = hours(rows)
    with open(path, "w") as file:
        file.write("unique_id,ds,y\n")
        for one in range(series):
            file.writelines(f"S{one:05},{date},{value(row, one)}\n" for row, date in enumerate(dates))


def read(path):
    import polars

    best, busy = float("inf"), float("inf")
    for _ in range(3):
        start, before = time.perf_counter(), time.process_time()
        table = polars.read_csv(path, try_parse_dates=True)
        best = min(best, time.perf_counter() - start)
        busy = min(busy, time.process_time() - before)
    size = os.path.getsize(path) / 1e6
    threads = polars.thread_pool_size()
    print(f"{os.path.basename(path)}: {size:.0f} MB, {table.shape}, {threads} threads: "
          f"{best:.2f} s, {size / best:.0f} MB/s; {busy:.2f} s of processors, "
          f"{size / busy:.0f} MB/s", flush=True)


def main():
    if sys.argv[1:2] == ["--read"]:
        return read(sys.argv[2])
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir())
    tables = {
        "wide_hours.csv": lambda path: wide(path, 26_304, 321),
        "many_rows.csv": lambda path: wide(path, 200_000, 50),
        "long_file.csv": lambda path: long(path, 10_000, 1000),
    }
    for name, make in tables.items():
        path = folder / name
        if not path.exists():
            make(path)
        for threads in ["1", ""]:
            own = {"POLARS_MAX_THREADS": threads} if threads else {}
            command = [sys.executable, __file__, "--read", str(path)]
            subprocess.run(command, env={**os.environ, **own}, check=True)


if __name__ == "__main__":
    main()
