"""Prepare the run on real stool samples, and write down what it found.

python tests/real/real_run.py DATA RUN            writes RUN/samples.tsv and RUN/config.yaml
python tests/real/real_run.py DATA RUN --figures  writes docs/real-run.md from RUN/results
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "samples": "samples.tsv",
    "host": {"fasta": ""},
    "databases": {
        "shotgun": {
            "genomes": "data/genomes_mini/genomes",
            "taxonomy": "data/genomes_mini/taxonomy",
            "read_lengths_bp": [100],
        }
    },
    # 10,000 pairs a sample, most of them of no genome in the database.
    "tables": {"low_depth_fragments": 200},
    "diversity": {"min_depth_fragments": 200},
    "cohort": {"group": "group", "reference": "mother"},
    "report": {"title": "Mother and infant stool (real reads, nine-genome database)"},
}


def prepare(data: Path, run: Path) -> None:
    run.mkdir(parents=True, exist_ok=True)
    link = run / "data"
    link.unlink(missing_ok=True)
    link.symlink_to(data.resolve())
    stool = data / "shotgun_stool8"
    names = ["sample", "fastq_1", "fastq_2"]
    sheet = pd.read_table(stool / "classification_input_pe.tsv", header=None, names=names)
    groups = pd.read_table(stool / "sample_groups.tsv", header=None, names=["sample", "group"])
    for column in names[1:]:
        files = sheet[column].map(lambda file: Path(file).name)
        sheet[column] = "data/shotgun_stool8/reads/" + files
    sheet = sheet.merge(groups, on="sample", validate="one_to_one")
    write(run / "samples.tsv", sheet.to_csv(sep="\t", index=False))
    host = next((data / "genomes_mini/host").glob("*.f*a*"))
    settings = {**SETTINGS, "host": {"fasta": f"data/genomes_mini/host/{host.name}"}}
    write(run / "config.yaml", yaml.safe_dump(settings, sort_keys=False))


def write(path: Path, text: str) -> None:
    """Write only what changed: a file that is newer makes Snakemake run again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def figures(run: Path) -> str:
    results = run / "results"
    ledger = pd.read_table(results / "tables/ledger.tsv", index_col="sample")
    status = pd.read_table(results / "tables/sample_status.tsv", index_col="sample")
    group = pd.read_table(results / "tables/metadata.tsv", index_col="sample")["group"]
    genus = pd.read_table(results / "tables/shotgun.genus.counts.tsv", index_col="taxon_id")
    tests = pd.read_table(results / "diversity/permanova.tsv")
    distance = pd.read_table(results / "diversity/beta.bray_curtis.tsv", index_col="sample")

    adds_up = ledger["raw"] == ledger[["failed_qc", "host", "non_host"]].sum(axis=1)
    adds_up &= ledger["non_host"] == ledger[["classified", "unclassified"]].sum(axis=1)
    counts = genus[list(ledger.index)].loc[lambda table: table.index > 0]
    share = counts / counts.sum()
    top = {
        sample: ", ".join(
            f"{genus.loc[taxon, 'name']} {100 * value:.0f} %"
            for taxon, value in share[sample].nlargest(3).items()
        )
        for sample in ledger.index
    }
    lines = [
        "| sample | group | raw | failed QC | host | classified | classified share | top genera |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for sample, row in ledger.iterrows():
        cells = [sample, group[sample], row["raw"], row["failed_qc"], row["host"]]
        cells += [row["classified"], f"{100 * row['classified'] / row['non_host']:.1f} %"]
        lines.append("| " + " | ".join(map(str, [*cells, top[sample]])) + " |")
    total = ledger.drop(columns=["assay", "contaminant"]).sum()
    n_ok = (status["status"] == "ok").sum()
    account = (
        f"It reconciles for {adds_up.sum()} of {len(ledger)} samples; {n_ok} have status ok. Of"
        f" {total['raw']} fragments\n{total['failed_qc']} failed quality control and"
        f" {total['host']} were of the host; of the other {total['non_host']} {total['classified']}"
        f" were\nclassified and {total['unclassified']} not."
    )
    within = {}
    for one, other in (("mother", "mother"), ("infant", "infant"), ("mother", "infant")):
        block = distance.loc[
            group[distance.index] == one, group[distance.index].to_numpy() == other
        ]
        values = [
            block.loc[row, column]
            for row in block.index
            for column in block.columns
            if row != column
        ]
        within[f"{one}-{other}"] = sum(values) / len(values)
    of_group = tests[tests["term"] == "group"].set_index("metric")
    return (
        f"""# A real run

Eight stool samples of one mother and her infant (10,000 read pairs each, 2 x 101 bp; Yassour 2018),
against a Kraken2 database built from nine real gut genomes with NCBI's taxonomy, host reads removed
against 80 kb of GRCh38. Most members of these communities are none of the nine, so most reads stay
unclassified: the run shows that real reads pass, not what these people carry.

    make demo-real DATA=../shared/data

writes this page from its results.

## Ledger

{account}

{chr(10).join(lines)}

Top genera are shares of what is assigned at genus rank.

## Mother and infant

Mean Bray-Curtis dissimilarity of genera: {
            "; ".join(f"{pair} {value:.2f}" for pair, value in within.items())
        }.

| metric | PERMANOVA R2 | pseudo-F | p | PERMDISP p | n |
| --- | ---: | ---: | ---: | ---: | ---: |
"""
        + "".join(
            f"| {metric} | {row['r2']:.3f} | {row['pseudo_f']:.2f} | {row['p']:.3f} |"
            f" {row['permdisp_p']:.3f} | {row['n']} |\n"
            for metric, row in of_group.iterrows()
        )
        + """
The samples of a group are of one person, so p says nothing about mothers and infants at large.
The signature abstains for all samples: none has the 10,000 classified fragments that it needs.
"""
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--figures", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.data / "shotgun_stool8").is_dir():
        raise SystemExit(f"no folder shotgun_stool8 in {arguments.data}: make demo-real DATA=...")
    if arguments.figures:
        (ROOT / "docs/real-run.md").write_text(figures(arguments.run))
    else:
        prepare(arguments.data, arguments.run)


if __name__ == "__main__":
    main()
