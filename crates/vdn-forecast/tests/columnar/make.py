"""Writes the files of this folder: tables as pandas, Polars and pyarrow store them, each beside the same table as CSV.

    pip install pandas polars pyarrow
    python3 crates/vdn-forecast/tests/columnar/make.py

The files that are here were written by pandas 3.1.1, Polars 2.1.0 and pyarrow 26.0.1.
"""

import datetime
import decimal
import pathlib

import pandas
import polars
import pyarrow
import pyarrow.feather
import pyarrow.parquet

FOLDER = pathlib.Path(__file__).parent
ROWS = 48


def value(row, column):
    return (row * 31 + column * 17) % 100 * 0.123 - 3


def pandas_files():
    """Hours as an index without a name, which pandas stores as the last column."""
    index = pandas.date_range("2021-03-01", periods=ROWS, freq="h")
    table = pandas.DataFrame(
        {
            "load": [None if row % 11 == 4 else value(row, 0) for row in range(ROWS)],
            "price, net": [value(row, 1) for row in range(ROWS)],
            "people": pandas.array([None if row == 30 else row * row for row in range(ROWS)], dtype="Int32"),
        },
        index=index,
    )
    table.to_parquet(FOLDER / "pandas_index.parquet")
    table.to_csv(FOLDER / "pandas_index.csv")
    table.reset_index(names="when").to_feather(FOLDER / "pandas.feather")


def polars_files():
    """Days in long form, with names as categories and a text that does not change within a series."""
    names, days, values, plans, kinds = [], [], [], [], []
    for name, kind, rows in [("north", "shop", 30), ("south, old", "stand", 24)]:
        for row in range(rows):
            ahead = row >= rows - 4
            names.append(name)
            days.append(datetime.date(2020, 2, 20) + datetime.timedelta(days=row))
            values.append(None if ahead else value(row, len(name)))
            plans.append(row % 7 == 2)
            kinds.append(kind)
    table = polars.DataFrame(
        {
            "unique_id": polars.Series(names, dtype=polars.Categorical),
            "ds": days,
            "y": polars.Series(values, dtype=polars.Float32),
            "plan": plans,
            "kind": kinds,
        }
    )
    table.write_parquet(FOLDER / "polars_long.parquet")
    for compression in ["uncompressed", "lz4", "zstd"]:
        table.write_ipc(FOLDER / f"polars_long_{compression}.arrow", compression=compression)
    with open(FOLDER / "polars_long.csv", "w") as file:
        file.write("unique_id,ds,y,plan,kind\n")
        for name, day, plan, kind, y in zip(names, days, plans, kinds, table["y"]):
            number = "" if y is None else str(polars.Series([y], dtype=polars.Float32).cast(polars.String)[0])
            file.write(f'"{name}",{day},{number},{int(plan)},{kind}\n')


def pyarrow_files():
    """Types and forms of compression, hours of a zone in which clocks change, integers beyond 2^53."""
    start = datetime.datetime(2021, 3, 27, 12, tzinfo=datetime.timezone.utc)
    times = [start + datetime.timedelta(hours=row) for row in range(ROWS)]
    large = [9007199254740993 + 3 * row for row in range(ROWS)]
    prices = [None if row == 7 else decimal.Decimal(row * 7919 % 2001 - 1000) / 100 for row in range(ROWS)]
    states = ["yes" if row % 3 else "no, never" for row in range(ROWS)]
    table = pyarrow.table(
        {
            "time": pyarrow.array(times, pyarrow.timestamp("ms", "Europe/Berlin")),
            "large": pyarrow.array(large, pyarrow.int64()),
            "price": pyarrow.array(prices, pyarrow.decimal128(12, 2)),
            "cents": pyarrow.array([value(row, 4) for row in range(ROWS)], pyarrow.float64()),
            "flag": pyarrow.array([None if row == 9 else row % 2 == 0 for row in range(ROWS)]),
            "state": pyarrow.array(states).dictionary_encode(),
            "remark": pyarrow.array([f"row {row}\nof many" for row in range(ROWS)], pyarrow.large_string()),
            "nothing": pyarrow.nulls(ROWS),
        }
    )
    for compression in ["none", "snappy", "gzip", "lz4", "zstd"]:
        pyarrow.parquet.write_table(table, FOLDER / f"pyarrow_{compression}.parquet", compression=compression)
    pyarrow.parquet.write_table(
        table, FOLDER / "pyarrow_v2.parquet", compression="gzip", data_page_version="2.0", row_group_size=20
    )
    pyarrow.parquet.write_table(table.select(["cents"]), FOLDER / "pyarrow_brotli.parquet", compression="brotli")
    for compression in ["uncompressed", "lz4", "zstd"]:
        path = FOLDER / f"pyarrow_{compression}.feather"
        pyarrow.feather.write_feather(table, path, compression=compression, chunksize=20)
    with open(FOLDER / "pyarrow.csv", "w") as file:
        file.write("time,large,price,cents,flag,state,remark,nothing\n")
        for row in range(ROWS):
            time = pandas.Timestamp(times[row]).tz_convert("Europe/Berlin")
            price = "" if prices[row] is None else prices[row]
            flag = "" if row == 9 else int(row % 2 == 0)
            file.write(f'{time},{large[row]},{price},{value(row, 4)},{flag},"{states[row]}","row {row}\nof many",\n')
    lists = pyarrow.table(
        {
            "day": pyarrow.array([datetime.date(2021, 1, 1) + datetime.timedelta(days=row) for row in range(ROWS)]),
            "parts": pyarrow.array([[row, row + 1] for row in range(ROWS)]),
            "y": pyarrow.array([value(row, 5) for row in range(ROWS)]),
        }
    )
    pyarrow.parquet.write_table(lists, FOLDER / "pyarrow_lists.parquet")
    pyarrow.feather.write_feather(lists, FOLDER / "pyarrow_lists.feather")


if __name__ == "__main__":
    pandas_files()
    polars_files()
    pyarrow_files()
