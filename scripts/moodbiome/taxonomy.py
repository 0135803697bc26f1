"""NCBI taxon ids over time: which were merged into another, and which were deleted.

NCBI keeps the id of a taxon when it is renamed or moved (165179 was Prevotella copri and is
Segatella copri), merges the ids of taxa found to be one (``merged.dmp``), and deletes others
(``delnodes.dmp``). Only the standard library.
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

MERGED, DELETED = "merged.dmp", "delnodes.dmp"


def read_merged(path: Path) -> dict[int, int]:
    """Read the current id of every merged id.

    Parameters
    ----------
    path
        NCBI's ``merged.dmp``, plain or .gz: lines ``old id | current id |``. May be empty.

    Returns
    -------
    dict of old id to current id
        Chains are followed to their end.

    Raises
    ------
    ValueError
        If a line is not two taxon ids, an id was merged into two, or the ids go round.
    """
    merged: dict[int, int] = {}
    for number, fields in _rows(path, 2, "old id | current id |"):
        old, current = fields
        if merged.setdefault(old, current) != current:
            raise ValueError(
                f"{path}, line {number}: taxon {old} was merged into {current} here and into "
                f"{merged[old]} above; get the taxonomy dump again"
            )
    return {old: _end_of_chain(old, merged, path) for old in merged}


def read_deleted(path: Path) -> set[int]:
    """Read the deleted ids of NCBI's ``delnodes.dmp``, plain or .gz; may be empty.

    Raises
    ------
    ValueError
        If a line is not one taxon id.
    """
    return {fields[0] for _, fields in _rows(path, 1, "deleted id |")}


def other_ids(taxa: Iterable[int], merged: Mapping[int, int]) -> dict[int, list[int]]:
    """The other ids that mean the same taxon, by the merges of a taxonomy.

    Parameters
    ----------
    taxa
        Ids of a database, of that taxonomy or of an older one.
    merged
        As given by `read_merged`.

    Returns
    -------
    dict of id to ids, ascending
        Only ids that have any.

    Examples
    --------
    >>> other_ids([5, 2, 9], {3: 5, 4: 5, 2: 1})
    {5: [3, 4], 2: [1]}
    """
    older: dict[int, set[int]] = {}
    for old, current in merged.items():
        older.setdefault(current, set()).add(old)
    found = {}
    for taxon in taxa:
        current = merged.get(taxon, taxon)
        if same := ({current} | older.get(current, set())) - {taxon}:
            found[taxon] = sorted(same)
    return found


def _rows(path: Path, n_ids: int, form: str) -> Iterator[tuple[int, list[int]]]:
    """Line number and ids of each line of a dump file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for number, line in enumerate(lines, 1):
            cells = [cell.strip() for cell in line.split("|")]
            ids, rest = cells[:n_ids], cells[n_ids:]
            if len(ids) < n_ids or not all(map(_is_id, ids)) or any(rest):
                raise ValueError(
                    f"{path}, line {number}: {line[:60]!r} is not '{form}'; get the taxonomy dump "
                    "again"
                )
            yield number, [int(cell) for cell in ids]


def _is_id(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and int(cell) > 0


def _end_of_chain(old: int, merged: Mapping[int, int], path: Path) -> int:
    seen, current = {old}, merged[old]
    while current in merged:
        if current in seen:
            raise ValueError(
                f"{path}: taxon {old} is merged into itself by way of others; get the taxonomy "
                "dump again"
            )
        seen.add(current)
        current = merged[current]
    return current
