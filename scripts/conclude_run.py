"""Say how the run ended; fail if a sample did (rule conclude_run)."""

import csv
from pathlib import Path

with Path(snakemake.input.status).open() as lines:
    rows = list(csv.DictReader(lines, delimiter="\t"))
failed = [row for row in rows if row["status"] == "failed"]
if failed:
    names = "\n".join(f"  {row['sample']} ({row['assay']}): {row['reason']}" for row in failed)
    message = (
        f"{len(failed)} of {len(rows)} samples failed; all others are complete, and the report"
        f" (results/report/cohort.html) opens with this:\n{names}\n"
    )
    Path(snakemake.log[0]).write_text(message)
    raise SystemExit(message)
text = f"{len(rows)} samples, none failed\n"
Path(snakemake.log[0]).write_text(text)
Path(snakemake.output[0]).write_text(text)
