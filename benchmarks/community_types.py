"""What community types are worth: python benchmarks/community_types.py [table.tsv labels.tsv].

Without files: mixtures of known types are simulated and found again, and timed. With the genus
table and the labels of Arumugam et al. 2011 (docs/validation.md says where they are from): the
reference is fitted anew, compared with config/community_types/reference.tsv, and judged on samples
of a method that it was not fitted to.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(root / "scripts"))

from moodbiome.community_types import (  # noqa: E402
    REFERENCE_FRAGMENTS,
    cohort_types,
    read_types_table,
    reference_types,
)
from moodbiome.dirichlet import adjusted_rand, fit_mixture, fit_one  # noqa: E402

CONFIG = root / "config" / "community_types"
# Genera of 2011 in each part: those of today had not been split yet.
GENERA = {
    "bacteroides_phocaeicola": ["Bacteroides"],
    "prevotella_segatella": ["Prevotella"],
    "faecalibacterium": ["Faecalibacterium"],
    "lachnospiraceae_ruminococcus": [
        *("Ruminococcus", "Blautia", "Dorea", "Roseburia", "Eubacterium", "Coprococcus"),
        "Anaerostipes",
    ],
    "subdoligranulum": ["Subdoligranulum"],
    "alistipes": ["Alistipes"],
    "parabacteroides": ["Parabacteroides"],
    "bifidobacterium": ["Bifidobacterium"],
    "akkermansia": ["Akkermansia"],
    "dialister": ["Dialister"],
    "streptococcus": ["Streptococcus"],
    "enterobacteriaceae": [
        *("Escherichia/Shigella", "Escherichia", "Klebsiella", "Enterobacter", "Citrobacter"),
        "Salmonella",
    ],
    "lactobacillus": ["Lactobacillus"],
    "methanobrevibacter": ["Methanobrevibacter"],
    "desulfovibrio": ["Desulfovibrio"],
    "collinsella": ["Collinsella"],
}
TYPES = {"bacteroides": "1", "prevotella": "2", "ruminococcus": "3"}


def simulated(n, n_types, n_genera, seed, precision=40.0, depth=100_000):
    """Counts of samples of known types, and the types: as many of each.

    The types share their genera; each genus differs between them by a factor of e and more or less.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(n) % n_types
    base = random.dirichlet(np.full(n_genera, 0.5)) * np.exp(
        random.normal(size=(n_types, n_genera))
    )
    base /= base.sum(axis=1, keepdims=True)
    shares = np.stack([random.dirichlet(precision * base[label] + 1e-3) for label in labels])
    counts = np.stack([random.multinomial(depth, row) for row in shares])
    counts = np.rint(counts * min(1, 10_000 / depth))
    names = [f"S{number:04d}" for number in range(n)]
    table = pd.DataFrame(counts, index=names)
    return table.loc[:, table.sum() > 0], labels


def fit_reference(shares, label, method):
    """Dirichlet parameters by type; in a type each method weighs the same, however many samples."""
    alpha = {}
    for name, number in TYPES.items():
        of_type = (label == number).astype(float)
        per_method = of_type.groupby(method).transform("sum")
        n_methods = method[of_type > 0].nunique()
        weight = (of_type / per_method.where(per_method > 0, 1)) * of_type.sum() / n_methods
        used = weight > 0
        alpha[name] = fit_one(
            REFERENCE_FRAGMENTS * shares[used].to_numpy(), weight[used].to_numpy()
        )
    return pd.DataFrame(alpha, index=list(shares.columns))


def assigned(parts, total, reference, subtype_of=None):
    """Types of samples (rows of ``parts``, shares) under a reference."""
    return reference_types(
        parts.T * 1e6, total * 1e6, reference, subtype_of or {}, min_membership=0.6, seed=1
    )


def refit(table_file, labels_file):
    shares = pd.read_table(table_file, index_col=0)
    labels = pd.read_table(labels_file, index_col=0, dtype=str)
    shares = shares.drop(index="-1")
    total = shares.sum()
    shares = shares.div(total)
    parts = pd.DataFrame({part: shares.reindex(names).sum() for part, names in GENERA.items()})
    total = pd.Series(1.0, index=parts.index)
    label, method = (
        pd.Series(labels[column].to_numpy(), parts.index) for column in ("Enterotype", "SeqTech")
    )
    # Illumina's label 3 is rich in Prevotella: another cluster than that of the other methods.
    use = label.notna() & ~((method == "Illumina") & (label == "3"))
    closed = parts.div(parts.sum(axis=1), axis=0)
    print(label[use].value_counts().to_string())
    fitted = fit_reference(closed[use], label[use], method[use])
    shipped = read_types_table(CONFIG / "reference.tsv", "reference")
    print(fitted.round(3).to_csv(sep="\t"))
    gap = (fitted.round(3) - shipped.loc[fitted.index, list(TYPES)]).abs().to_numpy().max()
    print(f"largest difference from reference.tsv: {gap:.4f}")

    named = pd.Series(TYPES).reset_index().set_index(0)["index"]
    subtype_of = {"bacteroides_2": "bacteroides"}
    print("all samples, shipped reference")
    report(assigned(parts, total, shipped, subtype_of), label.map(named), method, use)
    for held_out in sorted(set(method)):
        inside, outside = use & (method != held_out), use & (method == held_out)
        reference = fit_reference(closed[inside], label[inside], method[inside])
        print(f"{held_out} held out")
        report(assigned(parts, total, reference), label.map(named), method, outside)


def report(found, label, method, use):
    called = found["reference_type"]
    print(pd.crosstab([method[use], label[use]], called[use]).to_string())
    named = use & (called != "unclassified")
    same = (called[named] == label[named]).sum()
    print(f"{same} of {named.sum()} named as published, {use.sum() - named.sum()} unclassified")
    if "reference_subtype" in found:
        print(found.loc[use, "reference_subtype"].value_counts().to_dict())


def simulate():
    rand, chosen, single = [], [], []
    for seed in range(20):
        counts, labels = simulated(150, 3, 60, seed)
        found, models = cohort_types(counts, max_types=6, bootstraps=1, seed=seed)
        rand.append(adjusted_rand(labels, found["cohort_type"].to_numpy()))
        chosen.append(int(models.loc[models["is_chosen"] == "yes", "k"].iloc[0]))
        counts, _ = simulated(150, 1, 60, seed)
        _, models = cohort_types(counts, max_types=6, bootstraps=1, seed=seed)
        single.append(int(models.loc[models["is_chosen"] == "yes", "k"].iloc[0]))
    print(f"three types, 20 cohorts of 150: adjusted Rand index {min(rand):.3f} to {max(rand):.3f}")
    print(f"types chosen where there are three: {sorted(chosen)}")
    print(f"types chosen where there is one: {sorted(single)}")
    counts, labels = simulated(500, 4, 100, 1)
    start = time.perf_counter()
    for k in range(1, 7):
        fit_mixture(counts.to_numpy(), k, seed=1)
    fitted = time.perf_counter()
    found, models = cohort_types(counts, max_types=6, bootstraps=20, seed=1)
    done = time.perf_counter()
    print(
        f"500 samples x {counts.shape[1]} genera, 1 to 6 types: {fitted - start:.1f} s, with 20"
        f" resamples {done - fitted:.1f} s, adjusted Rand index"
        f" {adjusted_rand(labels, found['cohort_type'].to_numpy()):.3f}"
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        refit(*sys.argv[1:])
    else:
        simulate()
