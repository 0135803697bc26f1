"""Fetch a database by its name in the manifest, and lock it (rule fetch_database)."""

from pathlib import Path

from moodbiome.download import DownloadError
from moodbiome.manifest import DatabaseError, ManifestError, fetch, name_fault, read_manifest

name, kind = snakemake.params.name, snakemake.params.kind
lock = Path(snakemake.output.lock)
with Path(snakemake.log[0]).open("w", buffering=1) as log:
    try:
        manifest = read_manifest(Path(snakemake.input.manifest))
        fault = name_fault(name, manifest, kind, "config: databases")
        if fault:
            raise DatabaseError(str(fault))
        fetch(name, manifest[name], lock.parent, lock, lambda line: print(line, file=log))
    except (ManifestError, DatabaseError, DownloadError) as error:
        print(error, file=log)
        raise SystemExit(str(error)) from error
