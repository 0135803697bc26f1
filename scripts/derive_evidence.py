"""Rewrite config/evidence/taxa.tsv from the claims and concepts beside it (run by hand)."""

from pathlib import Path

from moodbiome.evidence import check_evidence, derive, read_table

evidence = Path(__file__).resolve().parents[1] / "config" / "evidence"
claims = read_table(evidence / "claims.tsv", "claims")
concepts = read_table(evidence / "concepts.tsv", "concepts")
check_evidence(claims, concepts, read_table(evidence / "sources.tsv", "sources"))
derive(claims, concepts).to_csv(
    evidence / "taxa.tsv", sep="\t", index=False, float_format="%.10g", lineterminator="\n"
)
