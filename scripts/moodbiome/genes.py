"""Copies of gene families per genome, from the reads that each family took.

A read that starts anywhere from min_aligned before a gene's first base to min_aligned before its
last finds place for a long enough alignment: so many starts are the gene's effective length. Reads
over effective length is a density of reads on the genome; the median density of families that
every genome has once is that of the genomes, and the ratio of the two is copies per genome. Mates
count as reads of their own here: fragments that count once would count short genes too often, for
a pair has more chances to hit a gene than a read.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from moodbiome.gene_search import FATES

LEVEL = 0.95
DRAWS = 1000
_JEFFREYS = 0.5
_COUNTED = ("fragments", *FATES, "long_reads", "single_copy_families")
SEARCH_COLUMNS = (
    *("sample", "status", "reason", *_COUNTED, "genome_coverage", "average_genome_size_bp"),
    *("average_genome_size_low", "average_genome_size_high"),
)
INTERVAL_COLUMNS = ("sample", "ko", "fragments", "copies", "low", "high")


class Measured(NamedTuple):
    """What was measured of an assay; tables as docs/outputs.md has them.

    Attributes
    ----------
    copies, limits, fragments : DataFrame of shape (n_markers, n_samples)
        Copies per genome; copies that one read would give; fragments. Indexed by family, with its
        name first. A sample that was not measured is empty.
    intervals : DataFrame
        One row a measured sample and marker: sample, ko, fragments, copies, low, high.
    search : DataFrame
        One row a sample: how its search went.
    not_run : DataFrame
        analysis, sample, reason.
    """

    copies: pd.DataFrame
    limits: pd.DataFrame
    fragments: pd.DataFrame
    intervals: pd.DataFrame
    search: pd.DataFrame
    not_run: pd.DataFrame


def effective_length(protein_aa: Any, read_bp: float, min_aligned_aa: int) -> Any:
    """Starts of a read from which it covers so many amino acids of a gene.

    Parameters
    ----------
    protein_aa : float or array
        Length of the protein in amino acids.
    read_bp : float
        Length of the reads in bp.
    min_aligned_aa : int

    Returns
    -------
    float or array
        In bp; at least 1.

    Examples
    --------
    A gene of 300 bp and reads of 100 bp that must share 75 bp: starts from -25 to 225.

    >>> float(effective_length(100, 100, 25))
    251.0
    """
    starts = 3 * np.asarray(protein_aa, float) + read_bp - 6 * min_aligned_aa + 1
    return np.maximum(starts, 1)


def density(reads_by_length: Mapping[str, int], read_bp: float, min_aligned_aa: int) -> float:
    """Reads a base: each read over the effective length of the protein that it fits best.

    Parameters
    ----------
    reads_by_length
        Reads by the length of the protein, in amino acids (as text).

    Examples
    --------
    >>> density({"100": 251, "200": 551}, 100, 25)
    2.0
    """
    lengths = np.array([int(length) for length in reads_by_length], float)
    reads = np.array(list(reads_by_length.values()), float)
    return float((reads / effective_length(lengths, read_bp, min_aligned_aa)).sum())


def measure_genes(
    searched: Mapping[str, Mapping[str, Any]],
    families: Mapping[str, Mapping[str, Any]],
    min_single_copy_fragments: int,
    seed: int,
) -> Measured:
    """Copies per genome of each marker family in each sample.

    Parameters
    ----------
    searched
        By sample, in the order of the sheet: sample, status (`ok`, `empty`, `failed`), reason and,
        where it is ok, what `moodbiome.gene_search.search_sample` returned.
    families
        As `moodbiome.proteins.describe_set` returns them.
    min_single_copy_fragments
        A sample with fewer is too shallow, and nothing is measured in it.
    seed
        Of the intervals' draws; each sample has its own stream.

    Notes
    -----
    Intervals (95 %) hold the noise of counting in the marker and in the single-copy families:
    counts of each family are drawn from the gamma distribution that Jeffreys' prior gives. Not
    in them: families that the set knows less well than others, and genomes that differ in them.
    """
    table = pd.DataFrame.from_dict(dict(families), orient="index").sort_index()
    markers, single = (
        list(table.index[table["role"] == role]) for role in ("marker", "single_copy")
    )
    none = pd.Series(np.nan, index=markers)
    columns: dict[str, dict[str, pd.Series]] = {"copies": {}, "limits": {}, "fragments": {}}
    intervals, accounts, notes = [], [], []
    for sample, found in searched.items():
        account = {key: found[key] for key in ("sample", "status", "reason")}
        if account["status"] == "ok":
            of_single = _counts(found, single)
            columns["fragments"][sample] = _counts(found, markers)
            account |= {"fragments": found["fragments"], **found["fates"]}
            account |= {"long_reads": found["long_reads"]}
            account["single_copy_families"] = int((of_single > 0).sum())
            reason = _too_shallow(of_single, min_single_copy_fragments, found)
            account |= {"status": "too_shallow", "reason": reason} if reason else {}
        if account["status"] == "ok":
            random = np.random.default_rng([seed, *sample.encode()])
            measured, genomes = _measure_sample(
                found, table["mean_length_aa"], markers, single, random
            )
            columns["copies"][sample] = measured["copies"]
            columns["limits"][sample] = measured.pop("limit")
            intervals.append(measured.rename_axis("ko").reset_index().assign(sample=sample))
            account |= genomes
        else:
            notes.append(("genes", sample, account["reason"]))
        accounts.append(account)
    names = table.loc[markers, ["name"]]
    tables = {
        kind: names.join(pd.DataFrame({name: of.get(name, none) for name in searched}))
        .rename_axis("ko")
        .reset_index()
        for kind, of in columns.items()
    }
    tables["fragments"] = tables["fragments"].astype(dict.fromkeys(searched, "Int64"))
    listed = intervals or [pd.DataFrame(columns=list(INTERVAL_COLUMNS))]
    return Measured(
        **tables,
        intervals=pd.concat(listed, ignore_index=True)[list(INTERVAL_COLUMNS)],
        search=pd.DataFrame(accounts, columns=list(SEARCH_COLUMNS)).astype(
            dict.fromkeys(_COUNTED, "Int64")
        ),
        not_run=pd.DataFrame(notes, columns=["analysis", "sample", "reason"]),
    )


def _measure_sample(
    found: Mapping[str, Any],
    lengths: pd.Series,
    markers: list[str],
    single: list[str],
    random: np.random.Generator,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Copies of a sample's markers (fragments, copies, low, high, limit), and its genomes."""
    read_bp, least = found["long_bases"] / found["long_reads"], found["min_aligned_aa"]
    a_read = pd.Series(1 / effective_length(lengths, read_bp, least), index=lengths.index)
    by_family = {
        ko: density(counts, read_bp, least) for ko, counts in found["reads_by_family"].items()
    }
    densities = pd.Series(by_family, dtype=float).reindex(lengths.index, fill_value=0.0)
    genomes = float(densities[single].median())
    drawn = _draw(densities[single], _counts(found, single), a_read[single], found, random)
    of_genomes = np.median(drawn, axis=1)
    fragments = _counts(found, markers)
    drawn = _draw(densities[markers], fragments, a_read[markers], found, random)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn / of_genomes[:, None], [tail, 1 - tail], axis=0)
    measured = pd.DataFrame(
        {
            "fragments": fragments,
            "copies": densities[markers] / genomes,
            "low": np.where(fragments > 0, low, 0.0),
            "high": high,
            "limit": a_read[markers] / genomes,
        }
    )
    smallest, largest = found["long_reads"] / np.quantile(of_genomes, [1 - tail, tail])
    return measured, {
        "genome_coverage": genomes * read_bp,
        "average_genome_size_bp": found["long_reads"] / genomes,
        "average_genome_size_low": smallest,
        "average_genome_size_high": largest,
    }


def _counts(found: Mapping[str, Any], families: list[str]) -> pd.Series:
    """Fragments of these families in a sample."""
    counts = found["family_fragments"]
    return pd.Series({ko: counts.get(ko, 0) for ko in families}, dtype=int)


def _too_shallow(of_single: pd.Series, least: int, found: Mapping[str, Any]) -> str:
    """Why copies per genome cannot be told; empty if they can."""
    fragments = int(of_single.sum())
    if fragments < least:
        return (
            f"too shallow: {fragments} fragments of single-copy families, fewer than {least};"
            f" {found['fragments']} were searched"
        )
    seen = int((of_single > 0).sum())
    if 2 * seen <= of_single.size:
        return (
            f"{seen} of {of_single.size} single-copy families were seen: their median is no measure"
            " of the genomes"
        )
    return ""


def _draw(
    densities: pd.Series,
    fragments: pd.Series,
    a_read: pd.Series,
    found: Mapping[str, Any],
    random: np.random.Generator,
) -> np.ndarray:
    """Densities that fit the counts; shape (`DRAWS`, n_families).

    Fragments come one by one and bring one read or two, so that F fragments with R reads vary as
    R^2 / (3 R - 2 F) single reads would. Of a family without any, a fragment is taken to bring as
    many reads as one of the sample does on average.
    """
    by_family = {ko: sum(counts.values()) for ko, counts in found["reads_by_family"].items()}
    reads = pd.Series({ko: by_family.get(ko, 0) for ko in fragments.index}, dtype=float)
    single = (reads**2 / (3 * reads - 2 * fragments)).fillna(0.0)
    counted = sum(found["family_fragments"].values())
    mates = sum(by_family.values()) / counted if counted else 1.0
    each = (densities / single).fillna(a_read * mates)
    drawn = random.standard_gamma(single.to_numpy() + _JEFFREYS, (DRAWS, single.size))
    return np.asarray(drawn * each.to_numpy())
