"""Calibration and power of the methods of differential abundance, and the choice of the primary.

    OMP_NUM_THREADS=1 PYTHONPATH=scripts python benchmarks/calibrate_methods.py --data FOLDER

Null: real tables whose labels are permuted (all samples, or as many drawn at random), and simulated
tables without effect with a covariate. Planted: the counts of some taxa multiplied in a random half
of the samples of the same tables. FOLDER holds genera.counts.tsv (Kang 2017, of the Borenstein
lab's curated collection) and qin2014/taxatable.txt (Qin 2014, of MLRepo). Writes
config/calibration.tsv, from which results are labelled, and the tables of docs/calibration.md.
"""

import argparse
import re
import time
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pandas as pd

from moodbiome.abundance_methods import (
    CALIBRATION_COLUMNS,
    CONSENSUS_METHODS,
    verdict,
)
from moodbiome.association import METHODS, build_design, run_models

ROOT = Path(__file__).parents[1]
SIZES = {"cirrhosis": (20, 60, 130), "autism": (20, 44), "simulated": (20, 60, 200)}
NULL_RUNS = {"cirrhosis": 200, "autism": 200, "simulated": 100}
PLANTED_RUNS = 20
FOLDS = (2, 4, 8)
SHARE_PLANTED = 0.1
FDR = 0.05
CONSENSUS = "consensus (2 of 3)"
NAMES = {method: f"`{method}`" for method in METHODS}
NULL_HEADINGS = [
    "table",
    "samples",
    "method",
    "runs",
    "p < 0.05",
    "with discovery",
    "KS",
    "verdict",
]

TABLES: dict[str, pd.DataFrame] = {}


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Genus counts of two real cohorts, taxa x samples."""
    species = pd.read_table(folder / "qin2014/taxatable.txt", index_col=0)
    genus = species.index.to_series().str.extract(r"(f__[^;]*;g__[^;]+)", expand=False)
    cirrhosis = species.groupby(genus).sum()
    autism = pd.read_table(folder / "genera.counts.tsv", index_col=0).T
    return {"cirrhosis": cirrhosis.astype(int), "autism": autism.astype(int)}


def simulate(generator: np.random.Generator, n: int, taxa: int = 150) -> pd.DataFrame:
    """Log-normal proportions, absences, and depths over an order of magnitude; no effect."""
    log = generator.normal(0, 2, (taxa, 1)) + generator.normal(0, 1.2, (taxa, n))
    present = generator.random((taxa, n)) > generator.uniform(0, 0.9, (taxa, 1))
    share = np.exp(log) * present
    depth = 50_000 * generator.lognormal(0, 0.6, n)
    counts = generator.poisson(depth * share / share.sum(axis=0))
    return pd.DataFrame(counts, [f"T{i:03}" for i in range(taxa)], [f"S{i:03}" for i in range(n)])


def jobs(share: float) -> Iterator[tuple[str, int, float, bool, int]]:
    """Table, samples, fold (1 is null), one-sided or not, and seed of each run."""
    for name, sizes in SIZES.items():
        for n in sizes:
            yield from ((name, n, 1.0, False, seed) for seed in range(int(NULL_RUNS[name] * share)))
            for fold in FOLDS:
                for one_sided in (False, True) if fold == 4 else (False,):
                    for seed in range(int(PLANTED_RUNS * share)):
                        yield name, n, float(fold), one_sided, 10_000 + seed


def plant(
    counts: pd.DataFrame,
    case: np.ndarray,
    fold: float,
    one_sided: bool,
    generator: np.random.Generator,
) -> tuple[pd.DataFrame, pd.Series]:
    """Multiply a tenth of the common taxa in one half of the samples; direction by taxon."""
    common = counts.index[(counts > 0).mean(axis="columns") >= 0.2]
    common = common[(counts / counts.sum()).loc[common].mean(axis="columns") >= 1e-4]
    number = max(4, round(SHARE_PLANTED * len(common)))
    taxa = generator.choice(common.to_numpy(), number, replace=False)
    direction = pd.Series(np.where(one_sided | (np.arange(number) % 2 == 0), 1, -1), taxa)
    changed = counts.copy()
    for taxon, sign in direction.items():
        changed.loc[taxon, case if sign > 0 else ~case] *= int(fold)
    return changed, direction


def run(job: tuple[str, int, float, bool, int]) -> list[dict[str, object]]:
    name, n, fold, one_sided, seed = job
    generator = np.random.default_rng([seed, n, sum(map(ord, name))])
    counts = simulate(generator, n) if name == "simulated" else TABLES[name]
    chosen = generator.permutation(counts.shape[1])[:n]
    counts = counts.iloc[:, chosen]
    case = generator.permutation(np.arange(n) % 2 == 0)
    metadata = pd.DataFrame({"group": np.where(case, "b", "a")}, counts.columns)
    formula = "~ group"
    if name == "simulated":
        metadata["age"] = generator.normal(size=n)
        formula = "~ group + age"
    planted = pd.Series(dtype=float)
    if fold > 1:
        counts, planted = plant(counts, case, fold, one_sided, generator)
    counts = counts[(counts > 0).any(axis="columns")]
    table, _ = run_models(counts, counts.sum(), build_design(metadata, formula), max_fdr=FDR)
    table = table[table["term"] == "group[T.b]"]
    rows = []
    for method, part in table.groupby("method", sort=False):
        rows.append(_facts(job, method, part, part["q"] <= FDR, planted))
    agreed = table[table["method"] == CONSENSUS_METHODS[0]]
    found = agreed["consensus"].fillna(False).astype(bool)
    rows.append(_facts(job, CONSENSUS, agreed.assign(p=np.nan), found, planted))
    return rows


def _facts(
    job: tuple[str, int, float, bool, int],
    method: str,
    part: pd.DataFrame,
    found: pd.Series,
    planted: pd.Series,
) -> dict[str, object]:
    p = part["p"].dropna().to_numpy()
    sign = part.loc[found].set_index("taxon_id")["effect"].map(np.sign)
    true = int((sign == planted.reindex(sign.index)).sum())
    return {
        "table": job[0],
        "samples": job[1],
        "fold": job[2],
        "one_sided": job[3],
        "method": method,
        "p_below": np.mean(p < 0.05) if len(p) else np.nan,
        # Mean over runs of the empirical distribution: its distance from the uniform one.
        "p": np.histogram(p, np.linspace(0, 1, 101))[0] / max(len(p), 1),
        "found": len(sign),
        "true": true,
        "planted": len(planted),
    }


def summarise_null(facts: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (method, name, n), part in facts.groupby(["method", "table", "samples"], sort=False):
        density = np.mean(np.stack(part["p"].to_list()), axis=0)
        distance = np.abs(np.cumsum(density) - np.linspace(0.01, 1, 100)).max()
        has_p = part["p_below"].notna().any()
        rows.append(
            (
                method,
                name,
                n,
                len(part),
                part["p_below"].mean(),
                (part["found"] > 0).mean(),
                distance if has_p else np.nan,
            )
        )
    table = pd.DataFrame(rows, columns=CALIBRATION_COLUMNS)
    order = {method: place for place, method in enumerate([*METHODS, CONSENSUS])}
    return table.sort_values(
        ["table", "samples", "method"],
        key=lambda values: values.map(order) if values.name == "method" else values,
        kind="stable",
    ).round(4)


def summarise_planted(facts: pd.DataFrame) -> pd.DataFrame:
    facts = facts.assign(
        recall=facts["true"] / facts["planted"],
        false=(facts["found"] - facts["true"]) / facts["found"].clip(lower=1),
    )
    by = ["table", "samples", "fold", "one_sided", "method"]
    return facts.groupby(by, sort=False)[["recall", "false"]].mean().reset_index()


def null_lines(null: pd.DataFrame) -> list[str]:
    """The runs without effect as a table of Markdown."""
    rows = []
    for row in null.itertuples(index=False):
        name, n, runs = row[1], row[2], row[3]
        numbers = ["" if pd.isna(value) else f"{value:.3f}" for value in row[4:]]
        said = "" if pd.isna(row[4]) else verdict(row[4], row[5], runs)
        method = NAMES.get(row[0], row[0])
        rows.append([str(cell) for cell in (name, n, method, runs, *numbers, said)])
    return _markdown(NULL_HEADINGS, rows)


def planted_lines(planted: pd.DataFrame) -> list[str]:
    """Recall and false discovery proportion by size of effect, as a table of Markdown."""
    kind = planted["fold"].map("{:.0f}-fold".format) + planted["one_sided"].map(
        {True: ", all up", False: ""}
    )
    cells = planted["recall"].map("{:.2f}".format) + " / " + planted["false"].map("{:.2f}".format)
    wide = planted.assign(kind=kind, cell=cells).pivot_table(
        index=["table", "samples", "method"],
        columns="kind",
        values="cell",
        aggfunc="first",
        sort=False,
    )
    rows = [
        [str(name), str(n), NAMES.get(method, method), *row]
        for (name, n, method), row in zip(wide.index, wide.to_numpy().tolist(), strict=True)
    ]
    return _markdown(["table", "samples", "method", *wide.columns], rows)


def _markdown(headings: list[str], rows: list[list[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def put_between(text: str, mark: str, lines: list[str]) -> str:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- end of mark -->``."""
    start, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    pattern = re.compile(f"(?<={re.escape(start)}).*?(?={re.escape(end)})", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"docs/calibration.md: no lines {start} and {end}; put them back")
    return pattern.sub(lambda _: "\n\n" + "\n".join(lines) + "\n\n", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/tables_mini")
    parser.add_argument("--share", type=float, default=1, help="of the runs, for a trial")
    arguments = parser.parse_args()
    if not (arguments.data / "qin2014").is_dir():
        parser.error(f"no real tables in {arguments.data}: give their folder by --data")
    TABLES.update(read_tables(arguments.data))
    start = time.perf_counter()
    work = list(jobs(arguments.share))
    with Pool(2) as pool:
        facts = pd.DataFrame([row for rows in pool.imap(run, work, 20) for row in rows])
    is_null = facts["fold"] == 1
    null, planted = summarise_null(facts[is_null]), summarise_planted(facts[~is_null])
    print(f"{len(work)} runs, {time.perf_counter() - start:.0f} s")
    if arguments.share < 1:
        print("\n".join([*null_lines(null), "", *planted_lines(planted)]))
        return
    null.to_csv(ROOT / "config/calibration.tsv", sep="\t", index=False)
    document = ROOT / "docs/calibration.md"
    text = put_between(document.read_text(), "null", null_lines(null))
    document.write_text(put_between(text, "planted", planted_lines(planted)))


if __name__ == "__main__":
    main()
