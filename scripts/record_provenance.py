"""Write what the run read, used and wrote (rule record_provenance)."""

import json
from pathlib import Path

import pandas as pd

from moodbiome.classification import choose_confidence
from moodbiome.database import sha256
from moodbiome.software import python_versions

checks = [json.loads(Path(file).read_text()) for file in snakemake.input.checks]
software = pd.concat([pd.read_table(file, dtype=str) for file in snakemake.input.software])
databases = {
    Path(file).name.split(".")[1]: json.loads(Path(file).read_text())
    for file in snakemake.input.databases
}
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
    "config": snakemake.params.config,
    "seed": snakemake.params.config["seed"],
    "versions": {
        **python_versions(),
        **dict(zip(software["tool"], software["version"], strict=True)),
    },
    "tools_provided_by": dict(zip(software["tool"], software["provided_by"], strict=True)),
    "outputs": {file: sha256(Path(file)) for file in sorted(outputs)},
}
Path(snakemake.output[0]).write_text(json.dumps(provenance, indent=1, sort_keys=True) + "\n")
