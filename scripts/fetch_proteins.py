"""Fetch marker proteins from UniProt, and lock them (rule fetch_proteins)."""

from pathlib import Path

from moodbiome.download import DownloadError
from moodbiome.faults import as_message
from moodbiome.proteins import ProteinError, fetch_proteins, read_families

output = snakemake.output
with Path(snakemake.log[0]).open("w", buffering=1) as log:
    try:
        families, faults = read_families(Path(snakemake.input.families))
        if faults:
            raise ProteinError(as_message(faults))
        fetch_proteins(
            families,
            snakemake.params.archive,
            work=Path(output.fasta).parent / "families",
            fasta=Path(output.fasta),
            table=Path(output.table),
            lock=Path(output.lock),
            say=lambda line: print(line, file=log),
        )
    except (ProteinError, DownloadError) as error:
        print(error, file=log)
        raise SystemExit(str(error)) from error
