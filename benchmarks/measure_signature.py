"""Invariance of the signature score, and real tables: python benchmarks/measure_signature.py.

Writes the measured parts of docs/validation.md, between its marks.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(root / "scripts"))

from moodbiome.evidence import read_table, resolve_members  # noqa: E402
from moodbiome.signature import Limits, score_samples  # noqa: E402

PAGE = root / "docs/validation.md"
DATA = root.parent / "shared/data/tables_mini"
N_SAMPLES = 200
OFFSET = 1e-4

taxa = read_table(root / "config/evidence/taxa.tsv", "taxa")
concepts = read_table(root / "config/evidence/concepts.tsv", "concepts")
rng = np.random.default_rng(20260101)
# Most taxa of the signature hold 0.02 to 2 % of a community; a fifth of the cells is 0.
shares = np.exp(rng.normal(-6.5, 1.5, (len(taxa), 1)) + rng.normal(0, 1.2, (len(taxa), N_SAMPLES)))
shares *= (rng.random(shares.shape) > 0.2) * 0.5 / max(shares.sum(axis=0).max(), 0.5)


def counts_of(shares, depth, random=None):
    """Counts of each taxon, and of one more that holds the rest."""
    whole = np.vstack([shares, 1 - shares.sum(axis=0)])
    if random is None:
        return np.round(whole * depth).astype(int)
    return random.multinomial(depth, whole.T).T


def named(counts, nomenclature):
    """The community as a genus table whose taxa are named as a database of these names would."""
    column = "ncbi_ids" if nomenclature == "ncbi" else nomenclature
    labels = [re.split("[,;]", cell)[0] for cell in [*concepts[column], ""]]
    ids, ranks, names = [], [], []
    for place, label in enumerate(labels):
        ids.append(int(label) if nomenclature == "ncbi" and label else 10**8 + place)
        ranks.append("species" if label.startswith("s__") else "genus")
        names.append(label[3:] if label and nomenclature != "ncbi" else f"unnamed {place}")
    database = pd.DataFrame({"rank": ranks, "name": names}, index=ids)
    table = pd.DataFrame(counts, index=ids, columns=[f"S{i}" for i in range(counts.shape[1])])
    table.insert(0, "name", names)
    table.insert(1, "lineage", [f"d__Bacteria;g__{taxon}" for taxon in ids])
    return table, resolve_members(taxa, concepts, database, nomenclature)


def scored(counts, nomenclature="ncbi"):
    table, resolved = named(counts, nomenclature)
    totals = table.iloc[:, 2:].sum()
    limits = Limits(min_spread_reference=10**9)
    return score_samples(
        *(table, table.iloc[:0], resolved, totals, table.index), seed=1, limits=limits
    )[0]


lines = ["| what was done to 200 simulated communities | measured |", "| --- | --- |"]
deep = counts_of(shares, 10**7)
before = scored(deep)
sd = before["score"].std()
bloom = deep.copy()
bloom[-1] += 10**7
after = scored(bloom)
table, resolved = named(deep, "ncbi")
weight = resolved["weight_evidence"].to_numpy()
detectable = (
    resolved["ncbi_ids"]
    .str.split(",")
    .map(lambda ids: any(i and int(i) in table.index for i in ids))
    .to_numpy()
)
weight = np.where(detectable, weight, 0)
for side in (weight > 0, weight < 0):
    weight[side] /= np.abs(weight[side]).sum()
theory = weight @ np.log(deep[:-1] / (2 * 10**7) + OFFSET)
lines.append(
    "| a taxon outside the signature doubles the community: largest difference from "
    f"Σ w ln(p/2 + offset) | {np.abs(after['score'] - theory).max():.1e} |"
)
lines.append(
    "| ... mean absolute change of the score, in standard deviations between samples | "
    f"{(after['score'] - before['score']).abs().mean() / sd:.3f} |"
)
order = rng.permutation(N_SAMPLES)
back = scored(deep[:, order])["score"].to_numpy()[np.argsort(order)]
lines.append(f"| samples in another order | {np.abs(back - before['score']).max():.1e} |")
rows = rng.permutation(len(deep))
mixed = score_samples(
    table.iloc[rows],
    table.iloc[:0],
    resolved.sample(frac=1, random_state=1),
    table.iloc[:, 2:].sum(),
    table.index,
    seed=1,
    limits=Limits(min_spread_reference=10**9),
)[0]
lines.append(
    f"| taxa of table and signature in another order | "
    f"{(mixed['score'] - before['score']).abs().max():.1e} |"
)
for names in ("gtdb", "silva"):
    other = scored(deep, names)
    r = np.corrcoef(other["score"], before["score"])[0, 1]
    z = [(part - part.mean()) / part.std() for part in (other["score"], before["score"])]
    lines.append(
        f"| named as in {names.upper()}, against NCBI "
        f"({other['weight_detectable'].iloc[0]:.0%} and "
        f"{before['weight_detectable'].iloc[0]:.0%} of the weight detectable) | r = {r:.3f}; "
        f"mean difference of the standardised scores {(z[0] - z[1]).abs().mean():.2f} |"
    )
invariance = "\n".join(lines)

lines = ["| fragments | mean drift / SD between samples | intervals that hold the truth |"]
lines.append("| --- | --- | --- |")
truth = weight @ np.log(shares + OFFSET)
for depth in (10_000, 30_000, 100_000, 1_000_000):
    here = scored(counts_of(shares, depth, rng))
    drift = (here["score"] - truth).mean() / truth.std()
    covers = ((here["score_low"] <= truth) & (truth <= here["score_high"])).mean()
    lines.append(f"| {depth:,} | {drift:+.3f} | {covers:.1%} |")
depth_table = "\n".join(lines)


def real(counts, labels, groups):
    """Scores of a real genus table, names as in SILVA or GTDB, by group."""
    names = [label.split("__")[-1] for label in labels]
    table = counts.groupby(np.array(names)).sum()
    ids = range(1, len(table) + 1)
    database = pd.DataFrame({"rank": "genus", "name": table.index}, index=ids)
    resolved = resolve_members(taxa, concepts, database, groups.attrs["nomenclature"])
    lineages = [f"d__Bacteria;g__{name}" for name in table.index]
    start = pd.DataFrame({"name": table.index, "lineage": lineages}, index=ids)
    genus = start.join(table.set_axis(ids, axis="index"))
    score = score_samples(
        genus,
        genus.iloc[:0],
        resolved,
        counts.sum(),
        ids,
        seed=1,
        limits=Limits(min_classified=1000, min_spread_reference=10**9),
    )[0]
    share = score["weight_detectable"].iloc[0]
    ok = score["score"].dropna()
    for group, part in ok.groupby(groups.reindex(ok.index)):
        low, middle, high = part.quantile([0.25, 0.5, 0.75])
        cells = [len(part), f"{middle:.2f}", f"{low:.2f} to {high:.2f}", f"{share:.0%}"]
        yield f"| {{}} | {group} | {' | '.join(map(str, cells))} |"


lines = ["| table | group | n | median | middle half | weight detectable |"]
lines.append("| --- | --- | --- | --- | --- | --- |")
if DATA.exists():
    strains = pd.read_table(DATA / "qin2014/taxatable.txt", index_col=0)
    group = pd.read_table(DATA / "qin2014/task-healthy-cirrhosis.txt", index_col=0)["Var"]
    group.attrs["nomenclature"] = "silva"
    label = strains.index.str.extract(r";(g__[^;]*);")[0].fillna("g__none")
    kept = strains[[sample for sample in group.index if sample in strains]]
    lines += [row.format("liver cirrhosis, shotgun (Qin 2014)") for row in real(kept, label, group)]
    kang = pd.read_table(DATA / "genera.counts.tsv", index_col="Sample").T
    group = pd.read_table(DATA / "metadata.tsv", index_col="Sample")["Study.Group"].str.strip()
    group.attrs["nomenclature"] = "gtdb"
    lines += [row.format("autism, children (Kang 2017)") for row in real(kang, kang.index, group)]
real_table = "\n".join(lines)

page = PAGE.read_text()
parts = [("invariance", invariance), ("depth", depth_table)]
if DATA.exists():
    parts.append(("real tables", real_table))
for name, text in parts:
    mark = f"<!-- measured: {name} -->"
    before_mark, _, rest = page.partition(mark)
    _, _, after_mark = rest.partition("<!-- end -->")
    page = f"{before_mark}{mark}\n{text}\n<!-- end -->{after_mark}"
PAGE.write_text(page)
print("\n\n".join(text for _, text in parts))
