"""Time and memory of scoring a large cohort: python benchmarks/score_signature.py [samples]."""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(root / "scripts"))

from moodbiome.evidence import members, read_table  # noqa: E402
from moodbiome.indices import index_members, score_indices  # noqa: E402
from moodbiome.signature import score_samples  # noqa: E402

N_GENERA = 500
DEPTH = 1_000_000

n_samples = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
rng = np.random.default_rng(1)
taxa = read_table(root / "config" / "evidence" / "taxa.tsv", "taxa")
ids = members(taxa).index.to_list()
ids += list(range(10_000_000, 10_000_000 + N_GENERA - len(ids)))

mean = rng.normal(0, 2, size=(N_GENERA, 1))
share = np.exp(mean + rng.normal(0, 1, size=(N_GENERA, n_samples)))
counts = rng.poisson(DEPTH * share / share.sum(axis=0))
samples = [f"S{number:05d}" for number in range(n_samples)]
genus = pd.DataFrame(counts, index=ids, columns=samples)
genus.insert(0, "name", [f"genus {taxon}" for taxon in ids])
genus.insert(1, "lineage", [f"d__Bacteria;g__genus {taxon}" for taxon in ids])
species = genus.iloc[:0]
n_classified = pd.Series(counts.sum(axis=0), index=samples)

start = time.perf_counter()
scores, contributions = score_samples(
    genus, species, taxa, n_classified, ids, seed=1, reference=samples[: n_samples // 2]
)
seconds = time.perf_counter() - start
indices = read_table(root / "config" / "evidence" / "indices.tsv", "indices")
crosswalk = read_table(root / "config" / "evidence" / "crosswalk.tsv", "crosswalk")
in_both = index_members(indices, pd.concat([taxa, crosswalk]))
start = time.perf_counter()
values = score_indices(genus, species, in_both, n_classified, ids, seed=1)
seconds_of_indices = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
print(
    f"{n_samples} samples x {N_GENERA} genera, 200 draws: {seconds:.1f} s, peak {peak:.2f} GB, "
    f"{(scores['status'] == 'ok').sum()} scored, {len(contributions)} contributions; "
    f"{values['value'].notna().sum()} indices: {seconds_of_indices:.1f} s"
)
