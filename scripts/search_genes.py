"""Search a sample's reads for marker genes (rule search_genes)."""

import json
import tempfile
from itertools import chain
from pathlib import Path

import dnaio

from moodbiome.classification import used_files, why_failed
from moodbiome.gene_search import search_sample
from moodbiome.proteins import read_proteins

snake_in, params = snakemake.input, snakemake.params
runs = [json.loads(Path(file).read_text()) for file in snake_in.clean]
log = Path(snakemake.log[0])


def sequences(file):
    with dnaio.open(file) as records:
        yield from (record.sequence for record in records)


reason = why_failed(runs)
fragments = 0 if reason else sum(run["non_host"] for run in runs)
found = {
    "sample": runs[0]["sample"],
    "status": "failed" if reason else "ok" if fragments else "empty",
    "reason": reason or ("" if fragments else "no fragment is left to be searched"),
}
if fragments:
    proteins, _ = read_proteins(Path(snake_in.table))
    mates = used_files(runs, snake_in.r1, snake_in.r2)
    with tempfile.TemporaryDirectory(dir=snakemake.resources.tmpdir) as work:
        found |= search_sample(
            [chain.from_iterable(map(sequences, files)) for files in mates],
            fragments,
            proteins,
            Path(snake_in.database),
            Path(work),
            **params.search,
            threads=snakemake.threads,
            log=log,
            place=f"sample {found['sample']}",
        )
else:
    log.write_text(f"{found['reason']}\n")
Path(snakemake.output[0]).write_text(json.dumps(found, indent=1) + "\n")
