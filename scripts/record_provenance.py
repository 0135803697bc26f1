"""Write what the run read, used and wrote (rule record_provenance)."""

import json
from pathlib import Path

from moodbiome.classification import choose_confidence
from moodbiome.database import sha256
from moodbiome.software import python_versions, read_software

checks = [json.loads(Path(file).read_text()) for file in snakemake.input.checks]
databases = {
    Path(file).name.split(".")[1]: json.loads(Path(file).read_text())
    for file in snakemake.input.databases
}
software = read_software(snakemake.input.software)
setting = snakemake.params.config["profile"]["confidence"]
outputs = [*snakemake.input.analyses, *snakemake.input.pages]
provenance = {
    "inputs": {
        "reads": {file["file"]: file["sha256"] for check in checks for file in check["files"]},
        "samples": sha256(Path(snakemake.input.sheet)),
        "signature_taxa": sha256(Path(snakemake.input.taxa)),
        **({"trials": sha256(Path(snakemake.input.trials))} if snakemake.input.trials else {}),
    },
    "databases": databases,
    "confidence": {
        assay: choose_confidence(setting, database["files"]["hash.k2d"]["bytes"])
        for assay, database in databases.items()
    },
    "imports": {
        Path(file).name.split(".")[1]: json.loads(Path(file).read_text())
        for file in snakemake.input.imports
    },
    "config": snakemake.params.config,
    "seed": snakemake.params.config["seed"],
    "versions": {
        **python_versions(),
        **{row["tool"]: row["version"] for row in software},
    },
    "tools_provided_by": {row["tool"]: row["provided_by"] for row in software},
    "outputs": {file: sha256(Path(file)) for file in sorted(outputs)},
}
Path(snakemake.output[0]).write_text(json.dumps(provenance, indent=1, sort_keys=True) + "\n")
