"""A trained model on made-up cohorts: its time, and whether it says what is planted.

python benchmarks/train_model.py    (scikit-learn is needed)
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from moodbiome import trained as model
from moodbiome.evaluation import SCORE, TRAINED, evaluate
from moodbiome.trained import Screen, train

SIZES = ((200, 300), (1000, 500))
KINDS = {
    "nothing": (0.0, 0.0),
    "in the score's taxa": (1.0, 0.0),
    "in other taxa": (0.0, 1.0),
}
"""Shifts of the 20 taxa that the score is made of, and of 20 others, as natural logs."""
COHORTS, NOISE_COHORTS = 6, 80


def cohort(n: int, taxa: int, seed: int, own: float = 0.0, others: float = 0.0):
    """Equal groups, genera of log-normal abundance, and a score of the first 20 of them."""
    generator = np.random.default_rng(seed)
    is_other = np.arange(n) % 2 == 1
    logs = generator.normal(0, 1.5, taxa) + generator.normal(0, 1.2, (n, taxa))
    signs = np.resize([1, -1], 20)
    logs[:, :20] += own * 0.5 * signs * is_other[:, np.newaxis]
    logs[:, 20:40] += others * 0.5 * signs * is_other[:, np.newaxis]
    parts = np.exp(logs)
    parts[parts < 0.1 * np.median(parts)] = 0
    shares = parts / parts.sum(axis=1, keepdims=True)
    names = [f"S{number}" for number in range(n)]
    group = np.where(is_other, "depressed", "control")
    score = np.log(shares[:, :20] + 1e-4) @ signs / 10
    samples = pd.DataFrame({"score": score, "group": group}, index=names)
    return samples, pd.DataFrame(shares.T, index=range(taxa), columns=names)


def trained(samples: pd.DataFrame, shares: pd.DataFrame, seed: int):
    """Seconds of the training, elapsed and of all cores, and the rows of score and model."""
    begun = np.array([time.perf_counter(), time.process_time()])
    with threadpool_limits(1):
        limits = Screen(0.1, 1e-4, 1e-4)
        found = train(samples, shares, "group", "control", limits, threads=2, seed=seed)
    seconds = np.array([time.perf_counter(), time.process_time()]) - begun
    told = {"permutations": 1, "trained": found.predictions, "seed": seed}
    table = evaluate(samples, "group", "control", **told).table
    return seconds, table.set_index("model")


def main() -> None:
    print("samples  taxa  seconds on two threads  core seconds")
    for n, taxa in SIZES:
        seconds, _ = trained(*cohort(n, taxa, 1, 0.0, 1.0), seed=1)
        print(f"{n:7}  {taxa:4}  {seconds[0]:22.0f}  {seconds[1]:12.0f}", flush=True)
    print("planted, 100 samples, 100 genera; of the trained model: mean area (of the score),")
    print("intervals that hold 0.5, shown first")
    for kind, (own, others) in KINDS.items():
        tables = [
            trained(*cohort(100, 100, 100 + i, own, others), seed=i)[1] for i in range(COHORTS)
        ]
        rows = pd.DataFrame([table.loc[TRAINED] for table in tables])
        score = np.mean([table.loc[SCORE, "auc"] for table in tables])
        held = ((rows["low"] <= 0.5) & (rows["high"] >= 0.5)).sum()
        first = rows["shown_first"].sum()
        area = rows["auc"].mean()
        print(f"{kind}: {area:.2f} ({score:.2f}), {held} and {first} of {COHORTS}", flush=True)
    # A smaller grid, so that many cohorts can be tried.
    model.L1_RATIOS, model.PENALTIES = (0.5,), 1 / np.geomspace(1.5, 30, 4)
    tables = [trained(*cohort(60, 60, 1000 + i), seed=i)[1] for i in range(NOISE_COHORTS)]
    rows = pd.DataFrame([table.loc[TRAINED] for table in tables])
    above, below = (rows["low"] > 0.5).sum(), (rows["high"] < 0.5).sum()
    print(f"nothing, 60 samples, 60 genera, smaller grid, {NOISE_COHORTS} cohorts: mean area")
    print(f"{rows['auc'].mean():.3f}, intervals above 0.5 {above}, below {below},", end=" ")
    print(f"shown first {rows['shown_first'].sum()}")


if __name__ == "__main__":
    main()
