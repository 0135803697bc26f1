"""moodbiome: from gut sequencing reads to a depression-associated taxa signature.

inputs -> reads -> databases -> profile -> tables -> diversity -> signature -> function
    -> statistics -> report
"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


configfile: Path(workflow.basedir, "config", "config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/reads.smk"
include: "workflow/rules/databases.smk"
include: "workflow/rules/profile.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/diversity.smk"
include: "workflow/rules/signature.smk"
include: "workflow/rules/psychobiotics.smk"
include: "workflow/rules/genes.smk"
include: "workflow/rules/function.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/report.smk"


rule all:
    """Every table and page of the run, and the verdict that no sample failed on the way."""
    default_target: True
    input:
        "results/conclusion.txt",
