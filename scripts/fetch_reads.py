"""Download a run of a public archive (rule fetch_reads)."""

import json
from pathlib import Path

from moodbiome.accessions import AccessionError, fetch_run
from moodbiome.download import DownloadError

output = snakemake.output
with Path(snakemake.log[0]).open("w", buffering=1) as log:
    try:
        facts = fetch_run(
            snakemake.wildcards.accession,
            (Path(output.r1), Path(output.r2)),
            snakemake.params.archive,
            say=lambda line: print(line, file=log),
        )
    except (AccessionError, DownloadError) as error:
        print(error, file=log)
        raise SystemExit(str(error)) from error
Path(output.facts).write_text(json.dumps(facts, indent=1) + "\n")
