"""Time and calibration of diversity, PERMANOVA and the association models on synthetic cohorts.

    PYTHONPATH=scripts python benchmarks/measure_statistics.py time [--samples 5000]
    PYTHONPATH=scripts python benchmarks/measure_statistics.py calibration [--tables 60]

`calibration` draws zero-rich tables of real-looking depth without any effect (null) and with 15 of
some 270 taxa changed three-fold. They say how the models compare, nothing about a real cohort.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from moodbiome.association import METHODS, build_design, linear_models, random_intercept
from moodbiome.diversity import aitchison, alpha, bray_curtis, jaccard, pcoa
from moodbiome.permanova import permanova, permdisp


def simulate(generator: np.random.Generator, n: int, taxa: int) -> pd.DataFrame:
    """Log-normal proportions with structural zeros; depths spread over an order of magnitude."""
    log = generator.normal(0, 2, (taxa, 1)) + generator.normal(0, 1.2, (taxa, n))
    absent = generator.random((taxa, n)) < generator.uniform(0, 0.9, (taxa, 1))
    share = np.where(absent, 0, np.exp(log))
    depth = 500_000 * generator.lognormal(0, 0.6, n)
    counts = generator.poisson(depth * share / share.sum(axis=0))
    return pd.DataFrame(counts, range(1000, 1000 + taxa), [f"S{i:05}" for i in range(n)])


def clock(what: str, run: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = run()
    print(f"{what}\t{time.perf_counter() - start:.2f}", flush=True)
    return result


def measure_time(n: int) -> None:
    generator = np.random.default_rng(1)
    counts = simulate(generator, n, 500)
    metadata = pd.DataFrame(
        {
            "group": generator.choice(["case", "control"], n),
            "age": generator.normal(40, 12, n),
            "bmi": generator.normal(25, 4, n),
            "subject": [f"P{i // 2}" for i in range(n)],
        },
        counts.columns,
    )
    design = build_design(metadata, "~ group + age + bmi")
    mixed = build_design(metadata, "~ group + age + bmi + (1|subject)")
    print(f"step\tseconds\n# {n} samples, {len(counts)} taxa")
    depth = int(counts.sum().quantile(0.1))
    few = counts.iloc[:, :200]
    clock(f"alpha, 200 samples, 100 draws of {depth}", lambda: alpha(few, depth))
    clock("jaccard, 10 draws", lambda: jaccard(counts, depth))
    clock("aitchison", lambda: aitchison(counts))
    distance = clock("bray_curtis", lambda: bray_curtis(counts))
    clock("pcoa, 10 axes", lambda: pcoa(distance))
    clock("permanova, 3 terms, 999", lambda: permanova(distance, design.by_term()))
    clock("permdisp, 999", lambda: permdisp(distance, metadata["group"]))
    for method in METHODS:
        clock(method, lambda m=method: linear_models(counts, counts.sum(), design, method=m))
    clock("log2_proportion, (1|subject)", lambda: linear_models(counts, counts.sum(), mixed))
    response, groups = generator.normal(size=(n, 2000)), metadata["subject"].to_numpy()
    matrix = mixed.matrix.to_numpy()
    clock("random_intercept, 2,000 taxa", lambda: random_intercept(response, matrix, groups))


def measure_calibration(tables: int) -> None:
    print("samples\tmethod\tnull_p_below_0.05\tnull_q_hits\ttrue_hits_of_15\tfalse_hits")
    for n in (60, 200):
        for method in METHODS:
            generator = np.random.default_rng(n)
            null, null_hits, true_hits, false_hits = [], [], [], []
            for _ in range(tables):
                counts = simulate(generator, n, 300)
                group = pd.Series(generator.permutation(["a", "b"] * (n // 2)), counts.columns)
                metadata = pd.DataFrame({"group": group, "age": generator.normal(size=n)})
                design = build_design(metadata, "~ group + age")
                table = linear_models(counts, counts.sum(), design, method=method)
                table = table[table["term"] == "group[T.b]"]
                null.append((table["p"] < 0.05).mean())
                null_hits.append((table["q"] < 0.05).sum())

                planted = generator.choice(table["taxon_id"].to_numpy(), 15, replace=False)
                change = pd.DataFrame(1, counts.index, counts.columns)
                change.loc[planted[:8], group == "b"] = 3
                change.loc[planted[8:], group == "a"] = 3
                changed = counts * change
                table = linear_models(changed, changed.sum(), design, method=method)
                table = table[(table["term"] == "group[T.b]") & (table["q"] < 0.05)]
                hit = table["taxon_id"].isin(planted)
                true_hits.append(hit.sum())
                false_hits.append((~hit).sum())
            means = [np.mean(values) for values in (null, null_hits, true_hits, false_hits)]
            print(n, method, *(f"{value:.3f}" for value in means), sep="\t", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["time", "calibration"])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--tables", type=int, default=60)
    arguments = parser.parse_args()
    if arguments.what == "time":
        measure_time(arguments.samples)
    else:
        measure_calibration(arguments.tables)


if __name__ == "__main__":
    main()
