"""The texts that are trained on, and how often each set is drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from spacy_falconer.errors import CorpusError
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain import instructions as wording
from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.metamodel.pretrain.own import read_corpora, read_types
from spacy_falconer.metamodel.pretrain.recur import find_recurring

OPEN, TYPES = "open_instructions", "open_types"
LEFT_OUT = ("dmaste", "policyqa", "xquad_en")  # Sources of open instructions: not to be shipped, or a test set.
RECURRING = "recurring"
CORPORA = "corpora"  # Stands for all of the project's own small corpora.
# Groups of sets and how often each group is drawn; within a group, a set counts by the root of its size.
GROUPS: tuple[tuple[tuple[str, ...], float], ...] = (
    (sets.SPANS, 0.27),
    (sets.QUESTIONS, 0.08),
    ((*sets.LABELS, "nlupp_instructions"), 0.12),
    ((OPEN, TYPES), 0.18),
    ((CORPORA,), 0.35),
)
UNSAID = ("oos",)  # Labels that cannot be put as a statement.


@dataclass(frozen=True)
class Mix:
    """The rows of every set, how often each is drawn, and what their labels mean.

    inventory: All labels of a set, sorted; empty for sets of worded instructions.
    wordings: For small corpora, the ways to word each of their instructions.
    """

    rows: Mapping[str, Sequence[Row]]
    weights: Mapping[str, float]
    inventory: Mapping[str, Sequence[str]]
    meanings: wording.Meanings
    wordings: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


def read_mix(
    data: Path,
    corpora: Path | None,
    own: Path | None = None,
    *,
    cap: int,
    seed: int,
    max_characters: int = 2000,
    leave_out: Collection[str] = (),
    recurring: float = 0.0,
) -> Mix:
    """Read all sets that are trained on, without texts that are held out or in the corpora.

    own (Path): A folder with sets in the project's own formats, `types.jsonl.gz` and `corpora.jsonl.gz`.
    cap (int): The most rows of one set. leave_out: Names of sets that are not trained on, "corpora" for the small corpora.
    recurring (float): How often words that recur in a passage are asked for, relative to 1 for all else.
    """
    sets.check_sets(data, sets.TRAINED_ON)
    check_known(leave_out)
    is_forbidden = sets.remember_texts(sets.read_forbidden(data, corpora))
    found = {name: sets.read_rows(data, name) for name in sets.TRAINED_ON}
    wordings: dict[str, dict[str, tuple[str, ...]]] = {}
    if own is not None:
        found[TYPES] = read_types(own / "types.jsonl.gz")
        small, wordings = read_corpora(own / "corpora.jsonl.gz")
        found.update(small)
    if recurring:
        found[RECURRING] = find_recurring((row for known in found.values() for row in known), Random(seed))
    found = {name: known for name, known in found.items() if name not in leave_out}
    if CORPORA in leave_out:
        found = {name: known for name, known in found.items() if name not in wordings}
    rows = {}
    for name, known in found.items():
        wanted = [row for row in known if _is_wanted(row, max_characters, is_forbidden)]
        rows[name] = choose_rows(wanted, cap, Random(f"{seed} {name}"))
    return make_mix(rows, wording.read_meanings(data), wordings, recurring=recurring)


def check_known(names: Collection[str]) -> None:
    """RAISES (CorpusError): A name is not that of a set that is trained on."""
    if unknown := set(names) - {*sets.TRAINED_ON, TYPES, CORPORA}:
        raise CorpusError(
            f"Cannot leave out {sorted(unknown)}: no such set is trained on. Choose from {sorted(sets.TRAINED_ON)}, "
            f"{TYPES!r} and {CORPORA!r}."
        )


def make_mix(
    rows: Mapping[str, Sequence[Row]],
    meanings: wording.Meanings,
    wordings: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    *,
    recurring: float = 0.0,
) -> Mix:
    if not any(rows.values()):
        raise CorpusError("No text is left to train on. Check the data folder, and that it is not the corpora's.")
    inventory = {name: _list_labels(found) for name, found in rows.items()}
    return Mix(rows, _weigh_sets(rows, wordings or {}, recurring), inventory, meanings, wordings or {})


def choose_rows(rows: Sequence[Row], cap: int, rng: Random) -> list[Row]:
    """Choose at most `cap` rows. Of span sets, at most a fifth are rows without any span."""
    shuffled = rng.sample(rows, len(rows))
    full = [row for row in shuffled if row.labels or any(row.spans.values())][:cap]
    empty = [row for row in shuffled if not (row.labels or any(row.spans.values()))]
    return full + empty[: min(len(full) // 4, cap - len(full))]


def _is_wanted(row: Row, max_characters: int, is_forbidden: Callable[[str], bool]) -> bool:
    """Return whether a row's text is not blank, not too long, not from a source that is left out, and not forbidden."""
    if not row.text.strip() or len(row.text) > max_characters:
        return False
    return row.source not in (*sets.HELD_OUT, *LEFT_OUT) and not is_forbidden(row.text)


def _weigh_sets(rows: Mapping[str, Sequence[Row]], small: Collection[str], recurring: float) -> dict[str, float]:
    """Return how often each set is drawn. The small corpora share one group's weight."""
    weights: dict[str, float] = {}
    for names, share in (*GROUPS, ((RECURRING,), recurring)):
        listed = list(small) if CORPORA in names else names
        roots = {name: len(rows[name]) ** 0.5 for name in listed if rows.get(name)}
        weights.update({name: share * root / sum(roots.values()) for name, root in roots.items()})
    return weights


def _list_labels(rows: Sequence[Row]) -> list[str]:
    named = (row for row in rows if not row.worded)
    return sorted({label for row in named for label in (*row.spans, *row.labels)} - set(UNSAID))
