"""Prepare a 16S reference for Kraken2 (rule build_reference)."""

import json
from pathlib import Path

from moodbiome.amplicon import write_reference

snake_in, output = snakemake.input, snakemake.output
taxonomy = Path(snake_in.taxonomy) if snake_in.taxonomy else None
reference = write_reference(Path(snake_in.fasta), taxonomy, Path(output.library).parent)
Path(output.facts).write_text(json.dumps(reference.as_dict(), indent=1) + "\n")
Path(snakemake.log[0]).write_text(f"{reference.form}: {reference.sequences} sequences\n")
