"""Write what the run read, used and wrote (rule record_provenance)."""

import json
from pathlib import Path

from moodbiome.classification import used_databases
from moodbiome.database import read_fingerprints, sha256
from moodbiome.software import python_versions, read_software

checks = [json.loads(Path(file).read_text()) for file in snakemake.input.checks]
databases, confidence = used_databases(
    snakemake.input.databases, snakemake.params.config["profile"]["confidence"]
)
software = read_software(snakemake.input.software)
# The k-mers of all samples come from one environment.
searched = [json.loads(Path(file).read_text()) for file in snakemake.input.kmers[:1]]
outputs = [*snakemake.input.analyses, *snakemake.input.pages]
provenance = {
    "inputs": {
        "reads": {file["file"]: file["sha256"] for check in checks for file in check["files"]},
        "samples": sha256(Path(snakemake.input.sheet)),
        "signature_taxa": sha256(Path(snakemake.input.taxa)),
        "given": {
            setting: {file: sha256(Path(file)) for file in files}
            for setting, files in snakemake.params.given.items()
        },
    },
    "databases": databases,
    "confidence": confidence,
    "imports": read_fingerprints(snakemake.input.imports),
    "functions": read_fingerprints(snakemake.input.functions),
    # What was searched for genes: the set's files, and the families in it.
    **(
        {"proteins": json.loads(Path(snakemake.input.proteins).read_text())}
        if snakemake.input.proteins
        else {}
    ),
    "config": snakemake.params.config,
    "seed": snakemake.params.config["seed"],
    "versions": {
        **python_versions(),
        **{row["tool"]: row["version"] for row in software},
        **{tool: found[tool] for found in searched for tool in ["sourmash"]},
    },
    "tools_provided_by": {row["tool"]: row["provided_by"] for row in software},
    "outputs": {file: sha256(Path(file)) for file in sorted(outputs)},
}
Path(snakemake.output[0]).write_text(json.dumps(provenance, indent=1, sort_keys=True) + "\n")
