"""Find similar texts by their vectors: order them so that similar ones are neighbours, or group them."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

Floats = NDArray[numpy.floating]
Ints = NDArray[numpy.integer]

LEAF_SIZE = 4
N_POWER_STEPS = 5
N_MEANS_STEPS = 10
SHARE_UNIFORM = 0.5
BLOCK_SIZE = 4096


def order_by_likeness(vectors: Floats, rng: numpy.random.Generator) -> Ints:
    """Return all texts in an order in which similar ones are close together.

    The texts are halved along the direction in which they differ most, and each half again. Source: Boley 1998.
    """

    def halve(places: Ints) -> list[Ints]:
        if len(places) <= LEAF_SIZE:
            return [rng.permutation(places)]
        ranked = places[numpy.argsort(project(vectors[places], rng), kind="stable")]
        half = len(ranked) // 2
        return halve(ranked[:half]) + halve(ranked[half:])

    return numpy.concatenate(halve(numpy.arange(len(vectors))))


def project(vectors: Floats, rng: numpy.random.Generator) -> Floats:
    """Return each vector's position along the first principal direction, by a few power iterations; shape (n_texts,)."""
    centred = vectors - vectors.mean(axis=0)
    direction = rng.standard_normal(vectors.shape[1])
    for _ in range(N_POWER_STEPS):
        direction = centred.T @ (centred @ direction)
        direction = direction / max(numpy.linalg.norm(direction), numpy.finfo(float).tiny)
    return centred @ direction


def find_medoids(vectors: Floats, n: int, rng: numpy.random.Generator) -> Ints:
    """Return the middle text of each of `n` k-means groups, or of fewer if fewer vectors differ. Source: Lloyd 1982."""
    centres = vectors[seed_centres(vectors, n, rng)]
    for _ in range(N_MEANS_STEPS):
        groups, _ = find_nearest(vectors, centres)
        sizes = numpy.bincount(groups, minlength=len(centres))
        sums = numpy.zeros_like(centres)
        numpy.add.at(sums, groups, vectors)
        centres = numpy.where(sizes[:, None] > 0, sums / numpy.maximum(sizes, 1)[:, None], centres)
    groups, distances = find_nearest(vectors, centres)
    nearest_first = numpy.lexsort((distances, groups))
    _, firsts = numpy.unique(groups[nearest_first], return_index=True)
    return nearest_first[firsts]


def seed_centres(vectors: Floats, n: int, rng: numpy.random.Generator) -> Ints:
    """Draw texts far from each other: each next one by its squared distance to the nearest, or uniformly.

    The uniform half keeps outliers from being most of the seeds.
    Source: Deshpande, Kacham & Pratap 2020, after k-means++ (Arthur & Vassilvitskii 2007).
    """
    places = [int(rng.integers(len(vectors)))]
    distances = squared_distances(vectors, vectors[places[0]])
    while len(places) < n and distances.any():
        far = distances / distances.sum()
        new = (distances > 0) / numpy.count_nonzero(distances)
        places.append(int(rng.choice(len(vectors), p=SHARE_UNIFORM * new + (1 - SHARE_UNIFORM) * far)))
        distances = numpy.minimum(distances, squared_distances(vectors, vectors[places[-1]]))
    return numpy.array(places)


def squared_distances(vectors: Floats, centre: Floats) -> Floats:
    return numpy.square(vectors - centre).sum(axis=1, dtype=numpy.float64)


def find_nearest(vectors: Floats, centres: Floats) -> tuple[Ints, Floats]:
    """Return each text's nearest centre and its squared distance, computed in blocks to save memory."""
    lengths = numpy.square(centres).sum(axis=1)
    nearest, distances = [], []
    for start in range(0, len(vectors), BLOCK_SIZE):
        block = vectors[start : start + BLOCK_SIZE]
        gaps = lengths - 2 * block @ centres.T  # (n_block, n_centres), without the vector's own length
        nearest.append(gaps.argmin(axis=1))
        distances.append(gaps.min(axis=1) + numpy.square(block).sum(axis=1))
    return numpy.concatenate(nearest), numpy.concatenate(distances)
