"""Markdown tables of recorded measurements."""

import json
import math
import statistics

import sizes

# How a job is reported: the numbers that a call produces divided by the unit, and the name of the
# unit. With `None`, the time itself is reported, in units of this many seconds.
RATES = {
    sizes.forward(sizes.LAYERS[0]): (math.prod(sizes.LAYERS[0]) / 1e9, "Gelem/s"),
    sizes.forward(sizes.LAYERS[1]): (math.prod(sizes.LAYERS[1]) / 1e9, "Gelem/s"),
    sizes.backward(): (math.prod(sizes.BACKWARD) / 1e9, "Gelem/s"),
    "normals": (sizes.NORMALS / 1e9, "Gnormals/s"),
}
TIMES = {"training step": (1e-3, "ms"), "small step": (1e-6, "microseconds")}
TITLES = {
    sizes.backward(): f"forward and backward {sizes.BACKWARD[0]}x{sizes.BACKWARD[1]}",
    "small step": "training step of the small model",
}


def print_tables(path):
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    jobs = [line for line in lines if "job" in line]
    tasks = [line for line in lines if "task" in line]
    names = list(dict.fromkeys(line["job"] for line in jobs))
    for name in names:
        if not name.startswith("product "):
            print_job(name, [line for line in jobs if line["job"] == name])
    products = [line for line in jobs if line["job"].startswith("product ")]
    if products:
        print_products(products)
    for name in dict.fromkeys(line["task"] for line in tasks):
        print_task(name, [line for line in tasks if line["task"] == name])


def keys(lines, key):
    return list(dict.fromkeys(line[key] for line in lines))


def select(lines, **wanted):
    return [line for line in lines if all(line[key] == value for key, value in wanted.items())]


def digits(number):
    """Three significant digits."""
    if number == 0:
        return "0"
    return f"{number:.{max(0, 2 - math.floor(math.log10(abs(number))))}f}"


def threads_of(lines):
    return sorted(set(line["threads"] for line in lines))


def heading(threads):
    return "1 thread" if threads == 1 else f"{threads} threads"


def print_job(name, lines):
    if name in RATES:
        amount, unit = RATES[name]
        convert = lambda seconds: digits(amount / seconds)
    else:
        scale, unit = TIMES[name]
        convert = lambda seconds: digits(seconds / scale)
    columns = threads_of(lines)
    print(f"\n{TITLES.get(name, name)}: {unit}\n")
    print("| | " + " | ".join(map(heading, columns)) + " |")
    print("|---|" + "---|" * len(columns))
    for library in keys(lines, "library"):
        cells = []
        for threads in columns:
            own = select(lines, library=library, threads=threads)
            if own:
                best = convert(min(line["best"] for line in own))
                median = convert(statistics.median(line["median"] for line in own))
                cells.append(f"{best} ({median})")
            else:
                cells.append("")
        print(f"| {library} | " + " | ".join(cells) + " |")


def print_products(lines):
    libraries, columns = keys(lines, "library"), threads_of(lines)
    rates = " / ".join(map(str, columns))
    print(f"\nmatrix products, GFLOP/s of the best call, {rates} threads\n")
    print("| m x k x n, form | " + " | ".join(libraries) + " |")
    print("|---|" + "---|" * len(libraries))
    for name in keys(lines, "job"):
        shape = name.split()[1]
        flop = 2 * math.prod(map(int, shape.split("x")))
        cells = []
        for library in libraries:
            rates = []
            for threads in columns:
                own = select(lines, job=name, library=library, threads=threads)
                best = min((line["best"] for line in own), default=math.inf)
                rates.append(f"{flop / best / 1e9:.0f}")
            cells.append(" / ".join(rates))
        print(f"| {name.removeprefix('product ')} | " + " | ".join(cells) + " |")


def print_task(name, lines):
    costs = {"epoch_seconds", "steps_seconds", "peak_mib"}
    not_scores = {"task", "library", "threads", "seed"} | costs
    scores = [key for key in lines[0] if key not in not_scores]
    columns = threads_of(lines)
    together = " / ".join(map(str, columns))
    scored = select(lines, threads=lines[0]["threads"])
    print(f"\n{name}: {len(keys(scored, 'seed'))} seeds, mean and standard error\n")
    heads = [*scores, f"seconds an epoch, {together} threads", f"peak MiB, {together} threads"]
    print("| | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * len(heads))
    for library in keys(lines, "library"):
        cells = []
        for score in scores:
            found = [line[score] for line in select(scored, library=library)]
            error = statistics.stdev(found) / math.sqrt(len(found)) if len(found) > 1 else math.nan
            cells.append(f"{statistics.mean(found):.4g} ± {error:.1g}")
        parts = [select(lines, library=library, threads=threads) for threads in columns]
        steps = [digits(min(line["steps_seconds"] for line in part)) for part in parts]
        epochs = [digits(min(line["epoch_seconds"] for line in part)) for part in parts]
        most = [f"{max(line['peak_mib'] for line in part):.0f}" for part in parts]
        cells += [f"{' / '.join(steps)} ({' / '.join(epochs)})", " / ".join(most)]
        print(f"| {library} | " + " | ".join(cells) + " |")
