"""Record the versions of an environment's tools (rule record_software)."""

from pathlib import Path

from moodbiome.ledger import tsv
from moodbiome.software import tool_versions

rows = tool_versions(Path(snakemake.input.tools), snakemake.wildcards.environment)
Path(snakemake.output[0]).write_text(tsv(["tool", "version", "provided_by"], rows))
