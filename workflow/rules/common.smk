"""The checked settings and sheet, and where each input lies: what all stages need."""

import ast
import hashlib
import os
import shutil
import sys
from functools import cache

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

SCRIPTS = Path(workflow.basedir, "scripts")
if str(SCRIPTS) not in sys.path:
    sys.path.append(str(SCRIPTS))

from moodbiome.accessions import RUN
from moodbiome.database import (
    DATABASE_FILES,
    HISTORY_FILES,
    TAXONOMY_FILES,
    genome_files,
    taxonomy_file,
)
from moodbiome.faults import as_message
from moodbiome.formula import model_of
from moodbiome.inputs import check_inputs, imported_functions, imported_tables
from moodbiome.metrics import beta_metrics
from moodbiome.sensitivity import spread
from moodbiome.sheet import NAME
from moodbiome.staging import keep_copies, node_folder
from moodbiome.strains import read_strains
from moodbiome.visits import timepoints_from_baseline, timepoints_of

SCHEMA = yaml.safe_load(Path(workflow.basedir, "workflow/schemas/config.schema.yaml").read_text())

CONFIG = Path(workflow.basedir, "config")
DICTIONARY, MANIFEST = CONFIG / "metadata.tsv", CONFIG / "databases.yaml"
PRIMERS = CONFIG / "primers.tsv"
# Imported tables are checked before any job, and not again in each of them.
with_conda = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
sheet, faults, warnings = check_inputs(config, SCHEMA, CONFIG, workflow.is_main_process, with_conda)
for warning in warnings:
    logger.warning(f"warning: {warning}")
if faults:
    raise WorkflowError(as_message(faults))

SHEET_FOLDER = Path(config["samples"]).parent
ASSAYS = sorted({unit.assay for unit in sheet.units})
IMPORTS = imported_tables(config)
# Assays whose reads are given, their runs, and the environments whose tools handle these.
SEQUENCED = [assay for assay in ASSAYS if assay not in IMPORTS]
IMPORTED = [assay for assay in ASSAYS if assay in IMPORTS]
RUNS = [unit for unit in sheet.units if unit.assay in SEQUENCED]
# The protein set that shotgun reads are searched against: given, or fetched.
PROTEINS = config["function"]["proteins"]
PROTEIN_FASTA = PROTEINS["fasta"] or "resources/proteins/proteins.faa"
PROTEIN_TABLE = PROTEINS["table"] or "resources/proteins/proteins.tsv"
GENES = bool(PROTEINS["fasta"] or PROTEINS["fetch"])
TOOL_ENVIRONMENTS = (["reads", "profile"] if RUNS else []) + (["genes"] if GENES else [])
RANKS = config["tables"]["ranks"]
FORMULA = model_of(
    config["statistics"]["formula"], config["cohort"]["group"], config["cohort"]["subject"]
)
HOST_SUFFIXES = [".1.bt2", ".2.bt2", ".3.bt2", ".4.bt2", ".rev.1.bt2", ".rev.2.bt2"]
HOST_INDEX = config["host"]["index"] or "resources/host/index"
STRAINS = config["psychobiotics"]["strains"] or str(CONFIG / "psychobiotics/strains.tsv")
# Genomes of strains and of their decoys: without any, no reads are searched.
STRAIN_FILES = sorted(
    {
        str(file)
        for strain in read_strains(Path(STRAINS))
        if strain.genome
        for file in (strain.genome, *strain.decoys)
    }
)
# Files that the settings name, beside the sheet: the run's provenance holds their SHA-256.
GIVEN = {
    setting: [file for file in files if file]
    for setting, files in {
        "signature.more": config["signature"]["more"],
        "function.modules": config["function"]["modules"],
        "signature.reference_table": [config["signature"]["reference_table"]],
        "diversity.tree": [config["diversity"]["tree"]],
        "statistics.trials": [config["statistics"]["trials"]],
        "psychobiotics.strains": [config["psychobiotics"]["strains"], *STRAIN_FILES],
    }.items()
    if any(files)
}
MULTIQC = RUNS and (
    config["report"]["multiqc"] == "always"
    or config["report"]["multiqc"] == "auto"
    and (with_conda or shutil.which("multiqc"))
)


wildcard_constraints:
    sample=NAME.pattern,
    run=NAME.pattern,
    assay="|".join(ASSAYS),
    rank="|".join(RANKS),
    length=r"\d+",
    accession=RUN.pattern,


# Copies of databases (databases.stage) stay from a node's first classification to its last: in a local
# run, and in the cluster's job of several samples. Other jobs, and a cluster's head, need none.
onstart:
    if config["databases"]["stage"] and not on_cluster():
        keep_copies(node_folder(config["databases"]["stage"]))


# In a job of several samples they take turns, whatever cores the node shows: the job asked for the memory
# of one. Snakemake passes no limits of its profile on into jobs.
if workflow.remote_exec:
    workflow.register_resource("database", 1)
# A cluster's job runs no hooks; its command line names its rules (--allowed-rules).
if workflow.remote_exec and config["databases"]["stage"] and "classify_reads" in sys.argv:
    keep_copies(node_folder(config["databases"]["stage"]))


@cache
def imports_of(path):
    """A source file, and the library modules that it imports; of a package, what it makes public."""
    source, modules = path.read_bytes(), []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "moodbiome":
            names = [f"{node.module}.{name.name}" for name in node.names]
            # The library's own __init__.py tells of its modules, and is no code.
            for name in names if node.module == "moodbiome" else [node.module, *names]:
                place = SCRIPTS / name.replace(".", "/")
                modules += [place.with_suffix(".py"), place / "__init__.py"]
    return source, [module for module in modules if module.exists()]


def sources_of(script):
    """A script and the library modules it uses, as bytes by file."""
    waiting, sources = [SCRIPTS / f"{script}.py"], {}
    while waiting:
        path = waiting.pop()
        if path not in sources:
            sources[path], modules = imports_of(path)
            waiting += modules
    return sources


def code(script):
    """Fingerprint of the library modules a script uses: as a param, it reruns steps whose code changed."""
    sources = sources_of(script)
    return hashlib.sha256(b"".join(sources[path] for path in sorted(sources))).hexdigest()[:12]


# Looked up for every job: a search through the sheet each time would take minutes in large cohorts.
UNITS = {key: [] for key in sheet.samples}
for unit in sheet.units:
    UNITS[unit.sample, unit.assay].append(unit)


def units_of(wildcards):
    """Rows of the sheet that belong to a sample and assay."""
    return UNITS[wildcards.sample, wildcards.assay]


def unit_of(wildcards):
    """The one row of the sheet that is a sample's run."""
    return next(unit for unit in units_of(wildcards) if unit.run == wildcards.run)


def primer_setting(wildcards):
    """Primers are cut from amplicons only."""
    return config["reads"]["primers"] if wildcards.assay == "amplicon" else "none"


def fastq_files(wildcards):
    """FASTQ files of a run: the sheet's own, or those fetched by its accession."""
    unit = unit_of(wildcards)
    if unit.accession:
        return [f"resources/reads/{unit.accession}_{mate}.fastq.gz" for mate in (1, 2)]
    return [str(SHEET_FOLDER / file) for file in unit.files]


def of_units(pattern, units):
    """The pattern filled in for each of some rows of the sheet."""
    return [pattern.format(sample=unit.sample, assay=unit.assay, run=unit.run) for unit in units]


def of_samples(pattern, assay=None):
    """The pattern filled in for each sample and assay whose reads are given."""
    return [
        pattern.format(sample=sample, assay=sample_assay)
        for sample, sample_assay in sheet.samples
        if sample_assay in SEQUENCED and assay in (None, sample_assay)
    ]


all_checks = of_units("results/reads/{assay}/{sample}/{run}.check.json", RUNS)


def clean_files(suffix):
    """Input function: files of this suffix for each run of a sample."""
    pattern = f"results/reads/{{assay}}/{{sample}}/{{run}}.{suffix}"
    return lambda wildcards: of_units(pattern, units_of(wildcards))


def strain_kmers(wildcards):
    """K-mers of the strains in each shotgun sample, if genomes are given."""
    pattern = "results/signature/strains/{assay}/{sample}.kmers.json"
    return of_samples(pattern, "shotgun") if STRAIN_FILES else []


def sensitivity_samples(assay):
    """Samples of an assay to try other settings on: spread over the sheet, no controls."""
    usable = [
        sample
        for sample, sample_assay in sheet.samples
        if sample_assay == assay
        and sheet.metadata[sample]["sample_type"] == "sample"
        and not sheet.metadata[sample]["exclude"]
    ]
    return spread(usable, config["profile"]["sensitivity"]["samples"])


def sensitivity_files(suffix):
    """Input function: files of this suffix for each run of those samples."""
    pattern = f"results/reads/{{assay}}/{{sample}}/{{run}}.{suffix}"
    return lambda wildcards: [
        file
        for sample in sensitivity_samples(wildcards.assay)
        for file in of_units(pattern, UNITS[sample, wildcards.assay])
    ]


def host_index(wildcards):
    if not config["host"]["remove"]:
        return []
    if config["host"]["name"]:
        return ["resources/host/lock.json"]
    if Path(f"{HOST_INDEX}.1.bt2l").exists():
        return [f"{HOST_INDEX}{suffix}l" for suffix in HOST_SUFFIXES]
    return [f"{HOST_INDEX}{suffix}" for suffix in HOST_SUFFIXES]


def host_index_files():
    """Files of the host's index that are there."""
    if not config["host"]["remove"]:
        return []
    return Path(HOST_INDEX).parent.glob(f"{Path(HOST_INDEX).name}.*bt2*")


def megabytes(files):
    """Size of files, in units of 2**20 bytes, rounded up."""
    return -(-sum(os.stat(file).st_size for file in files) // 2**20)


def on_cluster():
    """Whether jobs run on nodes of a cluster."""
    if workflow.dryrun:
        # A plan has an executor of its own; a number of jobs, not of cores, is what a cluster is given.
        return workflow.nodes is not None
    return workflow.remote_exec or not workflow.local_exec


def classification_memory(wildcards, input, attempt):
    """Memory of a classification, in MB: its own, and on a cluster the whole database.

    Local jobs share one mapping, which the forecast counts. On a cluster the page cache and /dev/shm
    count for the job that fills them, and each job may be the one. A job that was killed asks for
    twice as much. While the database is not there yet, this is not known.
    """
    shared = megabytes(input.database) if on_cluster() else 0
    return (1000 + shared) * 2 ** (attempt - 1)


def database_folder(assay):
    return Path(config["databases"][assay]["path"] or f"resources/databases/{assay}")


def database_files(wildcards):
    return [str(database_folder(wildcards.assay) / name) for name in DATABASE_FILES]


def is_reference(assay):
    """Whether a database is built from one reference file with lineages, as for 16S."""
    return Path(config["databases"][assay]["genomes"]).is_file()


def taxonomy_folder(wildcards):
    if is_reference(wildcards.assay):
        return f"resources/databases/{wildcards.assay}/reference/taxonomy"
    return config["databases"][wildcards.assay]["taxonomy"]


def library_genomes(wildcards):
    """Genomes, or the library of a 16S reference, to build a database from."""
    if is_reference(wildcards.assay):
        return [f"resources/databases/{wildcards.assay}/reference/library.fna"]
    named, _ = genome_files(Path(config["databases"][wildcards.assay]["genomes"]))
    return [str(file) for file in named]


def library_taxonomy(wildcards):
    """Files of the taxonomy dump to build a database with; merged and deleted ids where it has them."""
    folder = Path(taxonomy_folder(wildcards))
    history = [taxonomy_file(folder, name) for name in HISTORY_FILES]
    return [str(taxonomy_file(folder, name)) for name in TAXONOMY_FILES] + [
        str(file) for file in history if file.is_file()
    ]


def merged_ids(wildcards):
    """The list of merged taxon ids beside a database, if there is one."""
    file = database_folder(wildcards.assay) / "merged.dmp"
    is_built = config["databases"][wildcards.assay]["genomes"]
    return [str(file)] if is_built or file.is_file() else []


def distributions(wildcards):
    """The database's k-mer distributions: those it came with, or those to be computed."""
    if not config["profile"]["reestimate"]:
        return []
    folder = database_folder(wildcards.assay)
    if config["databases"][wildcards.assay]["name"]:
        # Which ones it has is known when it is there: the lock stands for them.
        return [f"{folder}/lock.json"]
    if config["databases"][wildcards.assay]["path"]:
        return sorted(str(path) for path in folder.glob("database*mers.kmer_distrib"))
    lengths = config["databases"][wildcards.assay]["read_lengths_bp"]
    return [f"{folder}/database{length}mers.kmer_distrib" for length in lengths]
