"""Time of diversity, PERMANOVA and the association models on a synthetic cohort.

    PYTHONPATH=scripts python benchmarks/measure_statistics.py [--samples 5000] [--taxa 2000]

The run's own PERMANOVA and rarefaction are held against scikit-bio's, in one run on the same data,
and what the comparison of a whole cohort takes is added up. How the models compare in what they
find is measured by calibrate_methods.py.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from skbio.stats import subsample_counts
from skbio.stats.distance import DistanceMatrix
from skbio.stats.distance import permanova as skbio_permanova

from moodbiome.association import METHODS, build_design, linear_models, random_intercept
from moodbiome.comparison import measures
from moodbiome.diversity import alpha, bray_curtis, pcoa, rarefied
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


def clock(what: str, run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    print(f"{what}\t{seconds:.2f}", flush=True)
    return result, seconds


def measure_time(n: int, taxa: int) -> None:
    generator = np.random.default_rng(1)
    counts = simulate(generator, n, taxa)
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
    measure_rarefaction(counts)
    depth = int(counts.sum().quantile(0.1))
    few = counts.iloc[:, :200]
    clock(f"alpha, 200 samples, 100 draws of {depth}", lambda: alpha(few, depth))
    cohort = 0.0
    distance = pd.DataFrame()
    for metric, measure in measures(depth, 0, None).items():
        distance, seconds = clock(metric, lambda m=measure: m(counts))
        cohort += seconds
        cohort += clock(f"{metric}, pcoa, 10 axes", lambda d=distance: pcoa(d))[1]
        part = design.matrix.index.intersection(distance.index)
        terms = {term: columns.loc[part] for term, columns in design.by_term().items()}
        test = lambda d=distance, t=terms: permanova(d, t)  # noqa: E731
        cohort += clock(f"{metric}, permanova, 3 terms, 999", test)[1]
        spread = lambda d=distance, p=part: permdisp(d, metadata.loc[p, "group"])  # noqa: E731
        cohort += clock(f"{metric}, permdisp, 999", spread)[1]
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"# beta, ordinations and tests of the cohort: {cohort:.0f} s, peak {gigabytes:.1f} GB")
    measure_permanova(bray_curtis(counts), metadata["group"])
    for method in METHODS:
        clock(method, lambda m=method: linear_models(counts, counts.sum(), design, method=m))
    clock("log2_proportion, (1|subject)", lambda: linear_models(counts, counts.sum(), mixed))
    groups, matrix = metadata["subject"].to_numpy()[:2000], mixed.matrix.to_numpy()[:2000]
    response = generator.normal(size=(len(groups), 2000))
    clock(
        f"random_intercept, 2,000 taxa, {len(groups):,} samples",
        lambda: random_intercept(response, matrix, groups),
    )
    measure_trial()


def measure_rarefaction(counts: pd.DataFrame) -> None:
    """One draw of 500,000 from each of 200 samples, by numpy as the run does and by scikit-bio."""
    deep = counts * 3
    deep = deep.loc[:, deep.sum() >= 500_000].iloc[:, :200]
    ours, fast = clock(
        f"rarefaction, {deep.shape[1]} samples of {int(deep.sum().median()):,} to 500,000",
        lambda: rarefied(deep, 500_000, 0),
    )
    assert (ours.sum() == 500_000).all()
    columns = [np.ascontiguousarray(column) for column in deep.to_numpy().T]
    _, slow = clock(
        "the same by scikit-bio's subsample_counts",
        lambda: [subsample_counts(column, 500_000, seed=1) for column in columns],
    )
    print(f"# rarefaction: {slow / fast:.0f} times faster")


def measure_permanova(distance: pd.DataFrame, group: pd.Series, runs: int = 5) -> None:
    """One factor, 999 permutations, by the run's own test and by scikit-bio's default.

    Both begin with the distances in memory and end with p; the run's own checks them and makes
    its design meanwhile. They take turns, and the least of the runs counts.
    """
    matrix = DistanceMatrix(distance.to_numpy(), list(distance.index))

    def ours() -> float:
        terms = build_design(group.to_frame(), "~ group").by_term()
        return permanova(distance, terms).loc[0, "pseudo_f"]

    def theirs() -> float:
        return skbio_permanova(matrix, group, permutations=999, seed=1)["test statistic"]

    wall, processor, statistics = np.empty((runs, 2)), np.empty((runs, 2)), [0.0, 0.0]
    for run in range(runs):
        for place, test in enumerate((ours, theirs)):
            busy, start = time.process_time(), time.perf_counter()
            statistics[place] = test()
            wall[run, place] = time.perf_counter() - start
            processor[run, place] = time.process_time() - busy
    np.testing.assert_allclose(*statistics, rtol=1e-8)
    for what, seconds in (("wall", wall.min(axis=0)), ("processor", processor.min(axis=0))):
        print(f"permanova, one factor, 999, {what} seconds\t{seconds[0]:.2f}")
        print(f"the same by scikit-bio's default\t{seconds[1]:.2f}")
        print(f"# permanova: {seconds[1] / seconds[0]:.1f} times less {what} time", flush=True)
    print(f"# permanova: pseudo-F {statistics[0]:.6f} by both")


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
    parser.add_argument("--taxa", type=int, default=2000)
    arguments = parser.parse_args()
    measure_time(arguments.samples, arguments.taxa)


if __name__ == "__main__":
    main()
