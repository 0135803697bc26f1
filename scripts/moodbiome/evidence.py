"""Published claims about taxa in depression, and the grades and weights that follow from them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

DIRECTIONS = ("up", "down", "none")
KINDS = ("synthesis", "cohort", "case_control", "pooled", "mendelian_randomisation")
NOMENCLATURES = ("ncbi", "gtdb", "silva", "greengenes")

# A judgement and not a published number: each grade counts about half the one above it.
GRADE_WEIGHTS = {"A": 1.0, "B": 0.6, "C": 0.3, "X": 0.0}

LARGE_COHORT = 1000

_ALLOWED = {
    "direction": DIRECTIONS,
    "kind": KINDS,
    "replicated": ("yes", "no"),
    "adjusted_for_medication": ("yes", "no", "unknown"),
    "certainty": ("verified", "memory"),
    "rank": ("family", "genus", "species"),
    "side": ("numerator", "denominator"),
    "seed_direction": ("up", "down", ""),
    "grade_override": ("A", "B", "C", "X", ""),
}

_COLUMNS = {
    "claims": (
        *("claim_id", "concept", "direction", "source_id", "kind", "n", "replicated", "design"),
        *("adjusted_for_medication", "effect", "doi_or_pmid", "certainty", "note"),
    ),
    "concepts": (
        *("concept", "name", "rank", "ncbi_ids", "gtdb", "silva", "greengenes", "seed_direction"),
        *("grade_override", "override_reason", "note"),
    ),
    "crosswalk": (
        *("concept", "name", "rank", "ncbi_ids", "gtdb", "silva", "greengenes", "within"),
        *("used_by", "certainty", "source", "note"),
    ),
    "indices": ("index", "side", "concept", "certainty", "source", "note"),
    "other_conditions": (
        *("concept", "condition", "direction", "source", "doi_or_pmid", "certainty", "note"),
    ),
    "sources": ("source_id", "citation", "year", "doi_or_pmid", "certainty", "note"),
    "taxa": (
        *("concept", "name", "rank", "ncbi_ids", "direction", "grade", "grade_by_rule"),
        *("weight_evidence", "weight_seed", "weight_grade_a"),
        *("n_claims_for", "n_claims_against", "n_claims_none", "note"),
    ),
}

_NUMERIC = {
    "taxa": (
        *("weight_evidence", "weight_seed", "weight_grade_a"),
        *("n_claims_for", "n_claims_against", "n_claims_none"),
    )
}


def read_table(path: Path, kind: str) -> pd.DataFrame:
    """Read one of the evidence tables.

    Parameters
    ----------
    path
        A TSV file with a header; columns beyond the known ones are kept.
    kind
        ``claims``, ``concepts``, ``crosswalk``, ``indices``, ``other_conditions``, ``sources``
        or ``taxa``.

    Returns
    -------
    DataFrame
        One row a claim, concept, source or taxon; text, an empty cell is the empty string. The
        weights and numbers of claims of a ``taxa`` table are numbers.

    Raises
    ------
    ValueError
        If a column is missing or a number cannot be read; the message names file and column.
    """
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    missing = [column for column in _COLUMNS[kind] if column not in table.columns]
    if missing:
        raise ValueError(
            f"{path.name}: column {missing[0]!r} is missing; a table of {kind} has the columns "
            f"{', '.join(_COLUMNS[kind])}"
        )
    for column in _NUMERIC.get(kind, ()):
        numbers = pd.to_numeric(table[column], errors="coerce")
        bad = ~np.isfinite(numbers)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise ValueError(
                f"{path.name}, row {row + 2}, column {column!r}: {table[column].iloc[row]!r} is "
                "not a number"
            )
        table[column] = numbers
    return table


def check_evidence(claims: pd.DataFrame, concepts: pd.DataFrame, sources: pd.DataFrame) -> None:
    """Refuse evidence tables that contradict themselves or each other.

    Parameters
    ----------
    claims, concepts, sources
        As given by `read_table`.

    Raises
    ------
    ValueError
        If a key stands twice, a cell holds a word that is not allowed, a claim names an unknown
        concept or source or another identifier than its source, one source is cited twice or with
        both directions for a concept, a taxon id belongs to two concepts, or a grade is overridden
        without a reason. The message names the claim, concept, source or taxon id.
    """
    _check_unique(claims, "claim_id", "claims")
    _check_unique(concepts, "concept", "concepts")
    _check_unique(sources, "source_id", "sources")
    for name, table in (("claims", claims), ("concepts", concepts), ("sources", sources)):
        _check_words(table, name)
    _check_sample_sizes(claims)

    known_concepts, known_sources = set(concepts["concept"]), set(sources["source_id"])
    identifiers = dict(zip(sources["source_id"], sources["doi_or_pmid"], strict=True))
    for claim in claims.itertuples():
        if claim.concept not in known_concepts:
            raise ValueError(
                f"claim {claim.claim_id!r} is about the unknown concept {claim.concept!r}; add it "
                "to the concepts or correct the name"
            )
        if claim.source_id not in known_sources:
            raise ValueError(
                f"claim {claim.claim_id!r} cites the source {claim.source_id!r}, which is missing "
                "from the sources; add it there"
            )
        if claim.doi_or_pmid != identifiers[str(claim.source_id)]:
            raise ValueError(
                f"claim {claim.claim_id!r} gives {claim.doi_or_pmid!r} for {claim.source_id!r}, "
                f"the sources give {identifiers[str(claim.source_id)]!r}; make them agree"
            )

    for (concept, source), cited in claims.groupby(["concept", "source_id"])["direction"]:
        if len(cited) > 1:
            how = "with both directions" if {"up", "down"} <= set(cited) else "twice"
            raise ValueError(
                f"source {source!r} is cited {how} for concept {concept!r}; keep one claim a "
                "source and concept"
            )
    members(concepts)
    unexplained = (concepts["grade_override"] != "") & (concepts["override_reason"] == "")
    if unexplained.any():
        raise ValueError(
            f"concept {concepts.loc[unexplained, 'concept'].iloc[0]!r} overrides its grade without "
            "a reason; fill override_reason"
        )


def members(table: pd.DataFrame) -> pd.Series:
    """Taxon ids of each concept.

    Parameters
    ----------
    table : DataFrame
        Concepts or taxa, with the columns ``concept`` and ``ncbi_ids``.

    Returns
    -------
    Series
        Concept name, indexed by taxon id (int), in the table's order.

    Raises
    ------
    ValueError
        If an id is not a positive whole number or belongs to more than one concept or stands twice.

    Examples
    --------
    >>> table = pd.DataFrame({"concept": ["roseburia", "ucg"], "ncbi_ids": ["841,301301", ""]})
    >>> members(table).to_dict()
    {841: 'roseburia', 301301: 'roseburia'}
    """
    owner: dict[int, str] = {}
    for concept, ids in zip(table["concept"], table["ncbi_ids"], strict=True):
        for cell in filter(None, str(ids).split(",")):
            if not (cell.isascii() and cell.isdigit() and int(cell) > 0):
                raise ValueError(
                    f"concept {concept!r}: {cell!r} is not a taxon id; write whole numbers with a "
                    "comma and no space between them"
                )
            taxon = int(cell)
            if taxon in owner:
                raise ValueError(
                    f"taxon {taxon} is given for concept {owner[taxon]!r} and again for "
                    f"{concept!r}; a taxon belongs to one concept, once"
                )
            owner[taxon] = str(concept)
    return pd.Series(owner, dtype=object, name="concept").rename_axis("taxon_id")


def grade_taxa(claims: pd.DataFrame, concepts: pd.DataFrame) -> pd.DataFrame:
    """Grade each concept by what was claimed about it.

    A *pillar* is a synthesis (systematic review or meta-analysis) or a cohort of at least 1,000
    that was replicated. A *study* is any other observational source: a pooled re-analysis is one,
    for its samples are in the syntheses already. Mendelian randomisation can contradict, but does
    not stand in for an observation. The leading direction has more pillars, then more sources, then
    more people.

    ===== =====================================================================================
    grade rule (the first that holds; a source counts once)
    ===== =====================================================================================
    X     nothing leads; or a pillar contradicts; or as many contradict as support; or two or
          more contradict and are at least half as many as support
    A     two pillars
    B     nothing contradicts, and: a replicated cohort, or a synthesis and two studies
    C     a pillar, or a cohort of at least 1,000, or two studies
    X     less than that
    ===== =====================================================================================

    Parameters
    ----------
    claims, concepts
        As given by `read_table`; only the names of the concepts are used.

    Returns
    -------
    DataFrame
        Indexed by concept in the order of ``concepts``: ``leading`` (up, down or empty),
        ``grade`` (A, B, C, X), ``n_for``, ``n_against``, ``n_none`` (sources for and against the
        leading direction, and sources that looked and found nothing).
    """
    sized = pd.to_numeric(claims["n"]).fillna(0.0)
    replicated = (
        (claims["kind"] == "cohort") & (claims["replicated"] == "yes") & (sized >= LARGE_COHORT)
    )
    synthesis = claims["kind"] == "synthesis"
    marked = pd.DataFrame(
        {
            "concept": claims["concept"],
            "direction": claims["direction"],
            "sources": 1,
            "people": sized,
            "replicated": replicated.astype(int),
            "syntheses": synthesis.astype(int),
            "large": ((claims["kind"] == "cohort") & (sized >= LARGE_COHORT)).astype(int),
            "studies": (
                claims["kind"].isin(["cohort", "case_control", "pooled"]) & ~replicated
            ).astype(int),
        }
    )
    every = pd.MultiIndex.from_product(
        [concepts["concept"], DIRECTIONS], names=["concept", "direction"]
    )
    totals = marked.groupby(["concept", "direction"]).sum().reindex(every, fill_value=0)
    totals["pillars"] = totals["syntheses"] + totals["replicated"]

    order = ["pillars", "sources", "people"]
    up, down, none = (
        totals.loc[pd.IndexSlice[:, direction], :].droplevel("direction")
        for direction in DIRECTIONS
    )
    up_leads = np.array(
        [tuple(a) > tuple(b) for a, b in zip(up[order].values, down[order].values, strict=True)],
        dtype=bool,
    )

    def of_side(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
        chosen = np.where(up_leads[:, np.newaxis], first, second)
        return pd.DataFrame(chosen, index=first.index, columns=first.columns)

    lead, other = of_side(up, down), of_side(down, up)
    tied = (up[order].to_numpy() == down[order].to_numpy()).all(axis=1)

    conflict = (
        tied
        | (other["pillars"] > 0)
        | (other["sources"] >= lead["sources"])
        | ((other["sources"] >= 2) & (2 * other["sources"] >= lead["sources"]))
    )
    strong = lead["pillars"] >= 2
    fair = (other["sources"] == 0) & (
        (lead["replicated"] >= 1) | ((lead["syntheses"] >= 1) & (lead["studies"] >= 2))
    )
    some = (lead["pillars"] >= 1) | (lead["large"] >= 1) | (lead["studies"] >= 2)
    return pd.DataFrame(
        {
            "leading": np.where(tied, "", np.where(up_leads, "up", "down")),
            "grade": np.select([conflict, strong, fair, some], ["X", "A", "B", "C"], "X"),
            "n_for": lead["sources"].astype(int),
            "n_against": other["sources"].astype(int),
            "n_none": none["sources"].astype(int),
        },
        index=up.index,
    )


def derive(claims: pd.DataFrame, concepts: pd.DataFrame) -> pd.DataFrame:
    """Derive the table of taxa: direction, grade and weights of every concept.

    Within each profile the weights of the enriched concepts sum to +1 and those of the depleted
    ones to -1, so that the score is a log-contrast.

    - ``weight_evidence``: every concept by its grade (A 1.0, B 0.6, C 0.3, X 0).
    - ``weight_grade_a``: concepts of grade A alone.
    - ``weight_seed``: concepts with a ``seed_direction``, in that direction whatever the claims
      say; a concept of grade X weighs as much as one of grade C.

    Parameters
    ----------
    claims, concepts
        As given by `read_table`, having passed `check_evidence`.

    Returns
    -------
    DataFrame
        The ``taxa`` table, one row a concept in the order of ``concepts``. Direction is
        ``conflicting`` where the grade is X; ``n_claims_for`` and ``n_claims_against`` then still
        count for and against the leading direction. Weights have ten decimals.

    Raises
    ------
    ValueError
        If a profile has no enriched or no depleted concept, or a graded concept no direction.
    """
    by_rule = grade_taxa(claims, concepts).reset_index()
    override = concepts["grade_override"].reset_index(drop=True)
    grade = by_rule["grade"].where(override == "", override)
    graded = grade != "X"
    undirected = graded & (by_rule["leading"] == "")
    if undirected.any():
        raise ValueError(
            f"concept {by_rule.loc[undirected, 'concept'].iloc[0]!r} has a grade and no direction: "
            "its claims are in balance; remove the override or add the missing claims"
        )
    direction = by_rule["leading"].where(graded, "conflicting")
    seed = concepts["seed_direction"].reset_index(drop=True)
    strength = grade.map(GRADE_WEIGHTS).astype(float)
    weights = {
        "weight_evidence": _contrast(strength, direction, "evidence"),
        "weight_seed": _contrast(
            strength.where(graded, GRADE_WEIGHTS["C"]).where(seed != "", 0.0), seed, "seed"
        ),
        "weight_grade_a": _contrast(strength.where(grade == "A", 0.0), direction, "grade_a"),
    }
    described = concepts[["concept", "name", "rank", "ncbi_ids"]].reset_index(drop=True)
    return described.assign(
        direction=direction,
        grade=grade,
        grade_by_rule=by_rule["grade"],
        **weights,
        n_claims_for=by_rule["n_for"],
        n_claims_against=by_rule["n_against"],
        n_claims_none=by_rule["n_none"],
        note=concepts["note"].reset_index(drop=True),
    )


def shared_with_others(
    taxa: pd.DataFrame, others: pd.DataFrame, profile: str
) -> tuple[pd.DataFrame, float]:
    """Say which weight of the signature lies on shifts reported in other conditions too.

    Parameters
    ----------
    taxa : DataFrame
        As given by `derive`.
    others : DataFrame
        Table ``other_conditions``: what was reported there, by concept and condition.
    profile
        ``evidence``, ``seed`` or ``grade_a``: which weights.

    Returns
    -------
    table : DataFrame
        One row a condition, the largest share first: ``condition``, ``concepts`` (whose weight and
        direction there have one sign, in the order of ``taxa``, a comma between), ``share`` (of the
        absolute weight, 0 to 1), ``opposite`` (concepts reported the other way round), ``recalled``
        (whether any of it is from memory).
    float
        Share of the absolute weight that is shared with any condition.

    Raises
    ------
    ValueError
        If a concept is not in ``taxa``.

    Examples
    --------
    >>> taxa = pd.DataFrame({"concept": ["a", "b"], "weight_seed": [1.0, -1.0]})
    >>> others = pd.DataFrame({"concept": ["a", "b"], "condition": "x", "direction": "up",
    ...                        "certainty": "memory"})
    >>> table, share = shared_with_others(taxa, others, "seed")
    >>> table.values.tolist(), share
    ([['x', 'a', 0.5, 'b', True]], 0.5)
    """
    weight = taxa.set_index("concept")[f"weight_{profile}"]
    unknown = [concept for concept in others["concept"] if concept not in weight.index]
    if unknown:
        raise ValueError(
            f"other_conditions: concept {unknown[0]!r} is not in the table of taxa; correct the "
            "name"
        )
    total = weight.abs().sum()
    sign = others["direction"].map({"up": 1, "down": -1}).fillna(0)
    agreement = sign * np.sign(others["concept"].map(weight))
    rows = []
    for condition, reported in others.groupby("condition", sort=False):
        same, other_way = (
            [name for name in weight.index if name in set(reported["concept"][agreement == side])]
            for side in (1, -1)
        )
        rows.append(
            {
                "condition": condition,
                "concepts": ", ".join(same),
                "share": float(weight[same].abs().sum() / total),
                "opposite": ", ".join(other_way),
                "recalled": bool((reported["certainty"] == "memory").any()),
            }
        )
    table = pd.DataFrame(rows, columns=["condition", "concepts", "share", "opposite", "recalled"])
    shared = weight[weight.index.isin(others["concept"][agreement == 1])]
    ordered = table.sort_values(["share", "condition"], ascending=[False, True], ignore_index=True)
    return ordered, float(shared.abs().sum() / total)


def find_members(table: pd.DataFrame, database: pd.DataFrame, nomenclature: str) -> pd.DataFrame:
    """Find the members of each concept among the taxa of a database.

    Parameters
    ----------
    table : DataFrame
        One row a concept: ``concept``, and ``ncbi_ids`` (a comma between) for ``ncbi``, else the
        column of the nomenclature, with labels such as ``g__Coprococcus`` or ``s__Bariatricus
        comes`` (``;`` between). Concepts, crosswalk and, for ``ncbi``, taxa have these.
    database : DataFrame
        Indexed by taxon id, with the columns ``rank`` (labels are of ``genus`` and ``species``)
        and ``name``; a prefix such as ``g__`` in the name is accepted. Optional: ``other_ids``
        (see `moodbiome.taxonomy.other_ids`; a comma between).
    nomenclature
        ``ncbi``, ``gtdb``, ``silva`` or ``greengenes``.

    Returns
    -------
    DataFrame
        One row for each id or label asked for and each taxon found by it, in the table's order:
        ``concept``, ``asked``, ``found_by`` (``id``, ``merged id``, ``label``, or empty where the
        database has no such taxon), ``taxon_id`` (of the database) and ``taxon_name``. A concept
        that this nomenclature has no id or label for has one row with nothing asked.

    Raises
    ------
    ValueError
        If the nomenclature is unknown or an id or label cannot be read.

    Examples
    --------
    >>> table = pd.DataFrame({"concept": ["roseburia"], "silva": ["g__Roseburia;g__Agathobacter"]})
    >>> database = pd.DataFrame({"rank": ["genus"], "name": ["Roseburia"]}, index=[7])
    >>> find_members(table, database, "silva")[["asked", "found_by", "taxon_id"]].values.tolist()
    [['g__Roseburia', 'label', 7], ['g__Agathobacter', '', <NA>]]
    """
    if nomenclature not in NOMENCLATURES:
        raise ValueError(
            f"nomenclature {nomenclature!r} is unknown; choose one of {', '.join(NOMENCLATURES)}"
        )
    if nomenclature == "ncbi":
        members(table)
        column, separator, places = "ncbi_ids", ",", _places_of_ids(database)
    else:
        column, separator, places = nomenclature, ";", _places_of_labels(database)
    rows: list[tuple[str, str, str, int | None, str]] = []
    for concept, cell in zip(table["concept"], table[column], strict=True):
        asked = [text for text in str(cell).split(separator) if text]
        for text in asked or [""]:
            key = text
            if nomenclature != "ncbi" and text:
                _check_label(concept, text, nomenclature)
                key = _plain(text)
            found = places.get(key, [])
            rows += [(concept, text, *place) for place in found] or [(concept, text, "", None, "")]
    columns = ["concept", "asked", "found_by", "taxon_id", "taxon_name"]
    return pd.DataFrame(rows, columns=columns).astype({"taxon_id": "Int64"})


def _places_of_ids(database: pd.DataFrame) -> dict[str, list[tuple[str, int, str]]]:
    """How each id is found, and the taxon and its name: by itself rather than by a merge."""
    places = {}
    if "other_ids" in database:
        merged = database.dropna(subset="other_ids")
        columns = (merged.index, merged["name"], merged["other_ids"])
        for taxon, name, others in zip(*columns, strict=True):
            for other in filter(None, str(others).split(",")):
                places[other] = [("merged id", int(taxon), str(name))]
    return places | {
        str(taxon): [("id", int(taxon), str(name))]
        for taxon, name in zip(database.index, database["name"], strict=True)
    }


def _places_of_labels(database: pd.DataFrame) -> dict[str, list[tuple[str, int, str]]]:
    places: dict[str, list[tuple[str, int, str]]] = {}
    for taxon, rank, name in zip(database.index, database["rank"], database["name"], strict=True):
        if rank in ("genus", "species"):
            label = f"{rank[0]}__{str(name).removeprefix(f'{rank[0]}__')}"
            places.setdefault(_plain(label), []).append(("label", int(taxon), str(name)))
    return places


def _plain(label: str) -> str:
    """SILVA's own files write blanks, other tools' copies underscores."""
    return label[:3] + label[3:].replace("_", " ")


def _check_label(concept: str, label: str, nomenclature: str) -> None:
    if not re.match("[gs]__.", label):
        raise ValueError(
            f"concept {concept!r}: the {nomenclature} label {label!r} must begin with g__ or s__"
        )


def resolve_members(
    taxa: pd.DataFrame, concepts: pd.DataFrame, database: pd.DataFrame, nomenclature: str
) -> pd.DataFrame:
    """Replace the NCBI ids of the concepts by the ids that a database has for them.

    Databases of GTDB, SILVA or Greengenes number their taxa in their own way, and their numbers
    coincide with those of unrelated NCBI taxa: without this step a score would count them. In a
    database of NCBI's taxonomy an id may have been merged since, or not yet.

    Parameters
    ----------
    taxa : DataFrame
        As given by `derive`.
    concepts : DataFrame
        As given by `read_table`; its labels are used unless the nomenclature is ``ncbi``.
    database, nomenclature
        As for `find_members`.

    Returns
    -------
    DataFrame
        ``taxa`` with the column ``ncbi_ids`` in the database's own ids. A concept without a label
        in this nomenclature, or whose labels the database does not hold, has none; NCBI ids that
        the database does not hold stay.

    Raises
    ------
    ValueError
        As `find_members`, or if a concept of ``taxa`` is not in ``concepts``.
    """
    found = find_members(_asked(taxa, concepts, nomenclature), database, nomenclature)
    ids = found["taxon_id"].astype("string")
    if nomenclature == "ncbi":
        ids = ids.fillna(found["asked"].replace("", pd.NA).astype("string"))
    else:
        found = found.sort_values("taxon_id", kind="stable")
    of_concept = ids.reindex(found.index).dropna().groupby(found["concept"])
    joined = of_concept.agg(lambda cells: ",".join(dict.fromkeys(cells)))
    return taxa.assign(ncbi_ids=[str(joined.get(concept, "")) for concept in taxa["concept"]])


def resolution(
    taxa: pd.DataFrame,
    concepts: pd.DataFrame,
    database: pd.DataFrame,
    nomenclature: str,
    profile: str,
) -> pd.DataFrame:
    """Say for each member of the signature how a database has it, and what weight it has not.

    Parameters
    ----------
    taxa, concepts, database, nomenclature
        As for `resolve_members`.
    profile
        ``evidence``, ``seed`` or ``grade_a``: which weights.

    Returns
    -------
    DataFrame
        The rows of `find_members` for the concepts of the profile, with ``name`` of the concept,
        its ``weight`` before any rescaling, and ``detectable`` (``yes`` or ``no``): whether the
        database has any member of the concept. The share of the absolute weight of detectable
        concepts is the ``weight_detectable`` of `moodbiome.signature.score_samples`.
    """
    weighted = taxa[taxa[f"weight_{profile}"] != 0]
    found = find_members(_asked(weighted, concepts, nomenclature), database, nomenclature)
    by_concept = weighted.set_index("concept")
    has_any = found["taxon_id"].notna().groupby(found["concept"]).transform("any")
    found.insert(1, "name", found["concept"].map(by_concept["name"]))
    found["weight"] = found["concept"].map(by_concept[f"weight_{profile}"])
    return found.assign(detectable=has_any.map({True: "yes", False: "no"}))


def _asked(taxa: pd.DataFrame, concepts: pd.DataFrame, nomenclature: str) -> pd.DataFrame:
    """The concepts of ``taxa`` with what is asked of a database of this nomenclature."""
    if nomenclature == "ncbi" or nomenclature not in concepts:
        return taxa
    labels = dict(zip(concepts["concept"], concepts[nomenclature], strict=True))
    unknown = [concept for concept in taxa["concept"] if concept not in labels]
    if unknown:
        raise ValueError(
            f"concept {unknown[0]!r} is unknown; its {nomenclature} labels are looked for in the "
            "table of concepts, add it there"
        )
    return taxa[["concept"]].assign(**{nomenclature: [labels[name] for name in taxa["concept"]]})


def _contrast(strength: pd.Series, direction: pd.Series, profile: str) -> pd.Series:
    """Signed weights: the enriched side sums to +1 and the depleted side to -1."""
    weights = pd.Series(0.0, index=strength.index)
    for side, sign in (("up", 1.0), ("down", -1.0)):
        on_side = direction == side
        total = strength[on_side].sum()
        if total <= 0:
            raise ValueError(
                f"profile {profile!r} has no concept with weight and direction {side!r}; a "
                "log-contrast needs both sides"
            )
        weights[on_side] = sign * strength[on_side] / total
    # Adding zero turns -0.0, which would be written as "-0", into 0.
    return weights.round(10) + 0.0


def _check_unique(table: pd.DataFrame, key: str, name: str) -> None:
    twice = table[key].duplicated()
    if twice.any():
        raise ValueError(
            f"{name}: {key} {table.loc[twice, key].iloc[0]!r} stands in more than one row; remove "
            "the duplicate"
        )


def _check_words(table: pd.DataFrame, name: str) -> None:
    key = table.columns[0]
    for column, allowed in _ALLOWED.items():
        if column not in table:
            continue
        bad = ~table[column].isin(allowed)
        if bad.any():
            row = table[bad].iloc[0]
            words = ", ".join(repr(word) for word in allowed)
            raise ValueError(
                f"{name}, {key} {row[key]!r}: {column} is {row[column]!r}; allowed are {words}"
            )


def _check_sample_sizes(claims: pd.DataFrame) -> None:
    bad = ~claims["n"].str.fullmatch(r"|[1-9][0-9]*")
    if bad.any():
        row = claims[bad].iloc[0]
        raise ValueError(
            f"claims, claim_id {row['claim_id']!r}: n is {row['n']!r}; give the number of people, "
            "or leave the cell empty where it is not known"
        )
