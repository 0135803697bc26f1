"""Made-up proteins, and genomes with their genes planted: the truth of a search for genes."""

import numpy as np

AMINO_ACIDS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
CODONS = {
    "A": "GCT GCC GCA GCG", "C": "TGC TGT", "D": "GAT GAC", "E": "GAA GAG", "F": "TTC TTT",
    "G": "GGC GGT GGA", "H": "CAT CAC", "I": "ATT ATC", "K": "AAA AAG", "L": "CTG CTT TTA TTG",
    "M": "ATG", "N": "AAC AAT", "P": "CCG CCT CCA", "Q": "CAG CAA", "R": "CGT CGC AGA",
    "S": "AGC TCT TCA", "T": "ACC ACT ACA", "V": "GTG GTT GTA", "W": "TGG", "Y": "TAT TAC",
}  # fmt: skip
_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
_COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")


def protein(length, random):
    """A protein of random amino acids."""
    return "".join(random.choice(AMINO_ACIDS, length))


def relative(protein, identity, random):
    """A protein with this share of its amino acids alike, the rest replaced by others at random."""
    letters = np.array(list(protein))
    at = random.permutation(letters.size)[: round((1 - identity) * letters.size)]
    codes = np.searchsorted(AMINO_ACIDS, letters[at])
    letters[at] = AMINO_ACIDS[(codes + random.integers(1, 20, at.size)) % 20]
    return "".join(letters)


def gene(protein, random):
    """A gene of the protein, codons drawn at random, on either strand."""
    codons = (random.choice(CODONS[letter].split()) for letter in protein)
    forward = "".join(codons).encode()
    return forward if random.random() < 0.5 else forward.translate(_COMPLEMENT)[::-1]


def genome(size, genes, random):
    """Random bases, `size` with the genes at random places, none in another."""
    spacers = size - sum(map(len, genes))
    ends = np.sort(random.integers(0, spacers, len(genes)))
    between = np.diff([0, *ends, spacers])
    parts = []
    for number, length in enumerate(between):
        parts.append(random.choice(_BASES, length).tobytes())
        if number < len(genes):
            parts.append(genes[number])
    return b"".join(parts)


def cut_pairs(sequence, pairs, length, random, insert=(300, 30), errors=0.005):
    """First and second mates of fragments from a circular sequence, as text."""
    circle = np.frombuffer(sequence + sequence[:2000], dtype=np.uint8)
    start = random.integers(0, len(sequence), pairs)
    size = np.clip(random.normal(*insert, pairs).astype(int), length, 1900)
    turned = random.random(pairs) < 0.5
    mates = []
    for first in (True, False):
        begin = np.where(first, start, start + size - length)
        letters = circle[begin[:, None] + np.arange(length)].copy()
        wrong = random.random(letters.shape) < errors
        letters[wrong] = random.choice(_BASES, int(wrong.sum()))
        mates.append(letters)
    left, right = mates
    right = np.frombuffer(right.tobytes().translate(_COMPLEMENT), dtype=np.uint8)
    right = right.reshape(left.shape)[:, ::-1]
    one = np.where(turned[:, None], right, left)
    two = np.where(turned[:, None], left, right)
    return [[row.tobytes().decode() for row in mate] for mate in (one, two)]
