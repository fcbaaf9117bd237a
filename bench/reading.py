"""How long reading, checking and encoding take next to Polars reading alone.

"Split" is Polars reading and then splitting the lists of a CSV file into their entries,
without which nothing can be checked; a Parquet file holds them split.

    .venv/bin/python bench/reading.py [TEACHERS]

A round of TEACHERS (default 1,000,000) with twelve choices each, as CSV and as Parquet;
best of three, in one process. The files lie in a temporary folder. The lines written
are JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from jiepin.core import Round, Rules
from jiepin.core.market import encode
from jiepin.core.warm_up import warm_up
from jiepin.core.workers import Workers

N_COUNTIES, N_SCHOOLS, N_SUBJECTS, N_CHOICES = 22, 2_640, 18, 12
THREADS = 2
RULES = Rules.load("taiwan-110")
LISTS = ("subjects", "counties", "points", "choices")
READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": lambda file: pl.read_csv(file, infer_schema=False),
    ".parquet": pl.read_parquet,
}


def write_round(folder: Path, n_teachers: int) -> None:
    """Write a round of random wishes in two counties each, as CSV and as Parquet."""
    rng = np.random.Generator(np.random.PCG64(110))
    per_county = N_SCHOOLS // N_COUNTIES
    school = np.array([f"{k:06d}" for k in range(N_SCHOOLS)])
    county = np.array([f"{k:02d}" for k in range(N_COUNTIES)])
    subject = np.array([f"s{k:02d}" for k in range(N_SUBJECTS)])
    home = rng.integers(0, N_COUNTIES, n_teachers)
    steps = rng.integers(1, N_COUNTIES // 2, (n_teachers, 2)).cumsum(axis=1)
    wished = (home[:, None] + steps) % N_COUNTIES
    inside = rng.random((n_teachers, per_county)).argsort(axis=1)[:, :N_CHOICES]
    choices = wished[:, np.arange(N_CHOICES) % 2] * per_county + inside
    points = rng.integers(0, 15_000, (n_teachers, 2))
    school_of = home * per_county + rng.integers(0, per_county, n_teachers)
    own = subject[rng.integers(0, N_SUBJECTS, n_teachers)]
    day = rng.integers(-3_650, 10_000, n_teachers)
    teachers = pl.DataFrame(
        {
            "teacher_id": [f"T{k:07d}" for k in range(n_teachers)],
            "school": school[school_of],
            "subject": own,
            "service_years": rng.integers(0, 40, n_teachers).astype(str),
            "birth_date": pl.Series(day.astype(np.int32)).cast(pl.Date).cast(pl.String),
        }
    ).with_columns(
        pl.Series("subjects", own).reshape((n_teachers, 1)).arr.to_list(),
        lists("counties", county[wished]),
        lists("points", np.char.mod("%.2f", points / 100)),
        pl.lit([], dtype=pl.List(pl.String)).alias("groups"),
        lists("choices", school[choices]),
    )
    tables = {
        "schools": pl.DataFrame(
            {
                "school": school,
                "name": school,
                "county": np.repeat(county, per_county),
                "township": np.repeat(county, per_county),
                "level": ["elementary"] * N_SCHOOLS,
                "tags": [""] * N_SCHOOLS,
            }
        ),
        "subjects": pl.DataFrame(
            {"subject": subject, "name": subject, "level": ["elementary"] * N_SUBJECTS}
        ),
        "teachers": teachers,
    }
    for suffix in READERS:
        (folder / suffix[1:]).mkdir()
        for name, frame in tables.items():
            write(frame, folder / suffix[1:] / (name + suffix))


def lists(name: str, texts: np.ndarray) -> pl.Series:
    return pl.Series(name, texts.ravel()).reshape(texts.shape).arr.to_list().alias(name)


def write(frame: pl.DataFrame, file: Path) -> None:
    if file.suffix == ".parquet":
        frame.write_parquet(file)
        return
    frame.with_columns(
        pl.col(column).list.join("|")
        for column, kind in frame.schema.items()
        if kind == pl.List
    ).write_csv(file)


def split_lists(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with its list columns as lists."""
    texts = [column for column in LISTS if frame.schema[column] == pl.String]
    return frame.with_columns(pl.col(column).str.split("|") for column in texts)


def best(run: Callable[[], object], times: int = 3) -> float:
    """Return the seconds of the fastest of some runs."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    n_teachers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    warm_up(THREADS)
    workers = Workers(THREADS)
    with tempfile.TemporaryDirectory(prefix="jiepin-bench-") as scratch:
        write_round(Path(scratch), n_teachers)
        for suffix, reader in READERS.items():
            folder = Path(scratch) / suffix[1:]
            files = sorted(folder.iterdir())
            alone = best(lambda: [reader(file) for file in files])  # noqa: B023
            teachers = folder / f"teachers{suffix}"
            split = best(lambda: split_lists(reader(teachers)))  # noqa: B023
            read = best(lambda: Round.read(folder, RULES.limits))  # noqa: B023
            round_ = Round.read(folder, RULES.limits)
            coded = best(lambda: encode(round_, RULES, workers=workers))  # noqa: B023
            row = {
                "files": suffix,
                "teachers": n_teachers,
                "alone": alone,
                "split": split,
                "check": read,
                "encode": coded,
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
