"""Check everything a run is given, and forecast what it will take, without running anything.

python workflow/check_run.py [--directory RUN] [--configfile FILE] [--sheet FILE] [--json]

Ends with code 0 if the run can start and 1 if there is any fault. FASTQ files are looked for, and
a few are opened to learn the length of reads; they are read to the end by the run itself.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from moodbiome.faults import as_message  # noqa: E402
from moodbiome.forecast import (  # noqa: E402
    DEFAULT_RATES,
    GENE_RATES,
    Forecast,
    bytes_a_read,
    forecast,
    rates_of,
    readable,
    size,
)
from moodbiome.inputs import check_inputs, imported_functions, imported_tables  # noqa: E402
from moodbiome.manifest import read_manifest  # noqa: E402
from moodbiome.sheet import Sheet  # noqa: E402
from moodbiome.strains import read_strains  # noqa: E402

# Jobs of a cohort, from the ledger to the conclusion (`all` among them); with reads, of tools'
# versions; of an assay, of fingerprint, sensitivity and tables; with a protein set, of DIAMOND's
# version, its database and the table. Without MultiQC.
COHORT_JOBS, SOFTWARE_JOBS, JOBS_AN_ASSAY, GENE_JOBS = 13, 2, 3, 3
# Of gut-brain modules: measured and tested; beside these, one import an assay.
MODULE_JOBS = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--directory", type=Path, default=Path(), help="run folder")
    parser.add_argument("--configfile", type=Path, help="settings that differ from the defaults")
    parser.add_argument("--sheet", help="sample sheet, instead of the settings' own")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    arguments = parser.parse_args()

    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    if arguments.configfile:
        merge(settings, read_settings(arguments.configfile))
    if arguments.sheet:
        settings["samples"] = str(Path(arguments.sheet).resolve())
    os.chdir(arguments.directory)
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    provider = ROOT / ".software"
    with_conda = provider.exists() and provider.read_text().strip() == "conda"
    sheet, faults, warnings = check_inputs(settings, schema, ROOT / "config", with_conda=with_conda)
    expected = None if faults else expect(settings, sheet, arguments.cores)
    if arguments.json:
        found = {
            "faults": [fault._asdict() for fault in faults],
            "warnings": [warning._asdict() for warning in warnings],
            "forecast": expected and expected.as_dict(),
        }
        print(json.dumps(found, indent=1))
    else:
        for warning in warnings:
            print(f"warning: {warning}")
        print(describe(expected, arguments.cores) if expected else as_message(faults))
    return 1 if faults else 0


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a file; ends with a message if it is none of settings."""
    try:
        found = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise SystemExit(f"config: {path}: cannot be read: {problem}") from error
    if not isinstance(found, dict):
        raise SystemExit(f"config: {path}: holds no settings; write them as `key: value`")
    return found


def merge(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    """Overlay settings as Snakemake does: sections are merged, anything else is replaced."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(settings.get(key), dict):
            merge(settings[key], value)
        else:
            settings[key] = value


def expect(settings: dict[str, Any], sheet: Sheet, cores: int) -> Forecast:
    """Forecast the run from its sheet, its databases and what earlier jobs took."""
    folder = Path(settings["samples"]).parent
    imported = imported_tables(settings)
    runs = [unit for unit in sheet.units if unit.assay not in imported]
    paths = [[folder / file for file in unit.files] for unit in runs]
    # Sizes of runs given by accession are known once they are fetched.
    a_read = bytes_a_read([run[0] for run in paths if run])
    files = [[(path.stat().st_size, a_read) for path in run] for run in paths]
    assays = {unit.assay for unit in runs}
    jobs = COHORT_JOBS + JOBS_AN_ASSAY * len(assays)
    jobs += len({unit.assay for unit in sheet.units} - assays)
    cohort = settings["cohort"]
    optional = [cohort["study"], cohort["subject"], settings["statistics"]["trials"]]
    optional += [settings["psychobiotics"]["intake"]["during"], settings["signature"]["train"]]
    jobs += sum(map(bool, optional))
    functions = imported_functions(settings)
    host = settings["host"] if runs else {"remove": False}
    if runs:
        jobs += SOFTWARE_JOBS
    if host["remove"] and not host["index"]:
        jobs += 1
    jobs += sum(1 for unit in runs if unit.accession)
    table = settings["psychobiotics"]["strains"]
    if table and any(strain.genome for strain in read_strains(Path(table))):
        jobs += sum(1 for _, assay in sheet.samples if assay == "shotgun" and assay in assays)
    proteins = settings["function"]["proteins"]
    has_genes = bool(proteins["fasta"] or proteins["fetch"])
    jobs += len(functions) + (MODULE_JOBS if functions or has_genes else 0)
    if has_genes:
        jobs += GENE_JOBS + proteins["fetch"]
        jobs += sum(1 for _, assay in sheet.samples if assay == "shotgun")
    databases = [settings["databases"][assay] for assay in sorted(assays)]
    for database in databases:
        if database["name"]:
            jobs += 1
        elif not database["path"]:
            jobs += 1 + len(database["read_lengths_bp"]) + Path(database["genomes"]).is_file()
    rates = {**DEFAULT_RATES, **(GENE_RATES if has_genes else {})}
    known = {rule: rate for rule, rate in rates_of(benchmarks(sheet)).items() if rule in rates}
    where = "earlier jobs of this run folder" if known else "measurements of the developers"
    return forecast(
        files,
        len(sheet.samples),
        jobs,
        cores,
        host_bytes=memory_of(host, host_files(host)) if host["remove"] else 0,
        database_bytes=sum(
            memory_of(database, [database_table(database, assay)])
            for assay, database in zip(sorted(assays), databases, strict=True)
        ),
        rates={**rates, **known},
        rates_from=where,
        n_imported=sum(1 for _, assay in sheet.samples if assay in imported),
    )


def benchmarks(sheet: Sheet) -> list[tuple[str, Path, int]]:
    """Benchmark files of earlier jobs of this run folder, with the fragments each handled."""
    found = []
    for unit in sheet.units:
        account = Path(f"results/reads/{unit.assay}/{unit.sample}/{unit.run}.clean.json")
        path = Path(f"benchmarks/clean_reads/{unit.assay}/{unit.sample}/{unit.run}.tsv")
        if account.exists() and path.exists():
            found.append(("clean_reads", path, json.loads(account.read_text())["raw"] or 0))
    for sample, assay in sheet.samples:
        account = Path(f"results/profile/{assay}/{sample}.profile.json")
        path = Path(f"benchmarks/classify_reads/{assay}/{sample}.tsv")
        if account.exists() and path.exists():
            found.append(("classify_reads", path, json.loads(account.read_text())["raw"] or 0))
        account = Path(f"results/function/{assay}/{sample}.genes.json")
        path = Path(f"benchmarks/search_genes/{assay}/{sample}.tsv")
        if account.exists() and path.exists():
            searched = json.loads(account.read_text()).get("fragments", 0)
            found.append(("search_genes", path, searched))
    return found


def memory_of(named: dict[str, Any], files: list[Path]) -> int:
    """Bytes of files that are held in memory; by the manifest for what is not fetched yet."""
    there = sum(path.stat().st_size for path in files if path.exists())
    if there or not named["name"]:
        return there
    return read_manifest(ROOT / "config/databases.yaml")[named["name"]].memory_bytes or 0


def host_files(host: dict[str, Any]) -> list[Path]:
    index = Path(host["index"] or "resources/host/index")
    return sorted(index.parent.glob(f"{index.name}.*bt2*"))


def database_table(database: dict[str, Any], assay: str) -> Path:
    return Path(database["path"] or f"resources/databases/{assay}") / "hash.k2d"


def describe(expected: Forecast, cores: int) -> str:
    """A forecast for people."""
    time = f"{readable(expected.wall_seconds)} on {cores} cores"
    lines = {
        "samples": f"{expected.samples}, in {expected.runs} sequencing runs",
        "input": f"{size(expected.input_bytes)}, about {expected.fragments:,} fragments",
        "jobs": f"{expected.jobs}",
        "time": f"{time} ({readable(expected.core_seconds)} of one core)",
        "memory": f"{size(expected.memory_bytes)} at the most at once, databases included",
        "disk": f"{size(expected.temporary_bytes)} for a while (clean reads), "
        f"{size(expected.result_bytes)} for results",
    }
    head = f"No fault found. Forecast from {expected.rates_from}, mostly within a factor of 2:"
    return "\n".join([head, *(f"  {name:<9}{text}" for name, text in lines.items())])


if __name__ == "__main__":
    sys.exit(main())
