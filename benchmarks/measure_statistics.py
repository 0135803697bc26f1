"""Time of diversity, PERMANOVA and the association models on a synthetic cohort.

    PYTHONPATH=scripts python benchmarks/measure_statistics.py [--samples 5000]

How the models compare in what they find is measured by calibrate_methods.py.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from moodbiome.association import METHODS, build_design, linear_models, random_intercept
from moodbiome.diversity import aitchison, alpha, bray_curtis, jaccard, pcoa
from moodbiome.longitudinal import change_models
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
    measure_trial()


def measure_trial(subjects: int = 500, taxa: int = 2000) -> None:
    """A trial of two arms, a baseline and three later timepoints, everybody seen."""
    generator, times = np.random.default_rng(2), ["0", "4", "8", "12"]
    names = [f"P{i}" for i in range(subjects)]
    keys = [(name, time) for name in names for time in times]
    visits = pd.DataFrame(keys, columns=["subject", "timepoint"])
    visits["arm"] = visits["subject"].map(dict(zip(names, ["a", "b"] * subjects, strict=False)))
    level = np.repeat(generator.normal(size=(subjects, taxa)), len(times), axis=0)
    values = pd.DataFrame(level + generator.normal(size=level.shape))
    what = f"change_models, {len(values)} samples, {taxa} taxa"
    clock(what, lambda: change_models(values, visits, times, "a"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000)
    measure_time(parser.parse_args().samples)


if __name__ == "__main__":
    main()
