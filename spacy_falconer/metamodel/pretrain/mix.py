"""Which text comes next, and what is asked of it. All chance comes from the seed and the number of the draw."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from spacy_falconer.errors import CorpusError
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain import instructions as wording
from spacy_falconer.metamodel.pretrain.data import Characters, Row
from spacy_falconer.metamodel.pretrain.wordings import GENRE_OF

OPEN = "open_instructions"
NOT_SHIPPED = ("dmaste", "policyqa")  # Sources of open instructions whose texts may not be shipped.
# Groups of sets and how often each group is drawn; within a group, a set counts by the root of its size.
GROUPS: tuple[tuple[tuple[str, ...], float], ...] = (
    (sets.SPANS, 0.40),
    (sets.QUESTIONS, 0.15),
    ((*sets.LABELS, "nlupp_instructions"), 0.17),
    ((OPEN,), 0.28),
)
NARROW_GENRES = ("biomedicine", "laboratory", "programming", "security", "products")
UNSAID = ("oos",)  # Labels that cannot be put as a statement.
CONFUSED = ({"domain:banking", "domain:credit_cards"}, {"domain:meta", "domain:small_talk"})


@dataclass(frozen=True)
class Example:
    """A text and what is asked of it, keyed by instruction."""

    text: str
    source: str
    spans: Mapping[str, tuple[Characters, ...]] = field(default_factory=dict)
    labels: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Mix:
    """The rows of every set, how often each is drawn, and what their labels mean.

    inventory: All labels of a set, sorted; empty for sets of worded instructions.
    """

    rows: Mapping[str, Sequence[Row]]
    weights: Mapping[str, float]
    inventory: Mapping[str, Sequence[str]]
    meanings: wording.Meanings


def read_mix(data: Path, corpora: Path | None, *, cap: int, seed: int, max_characters: int = 2000) -> Mix:
    """Read all sets that are trained on, without what is held out and what stands in the corpora.

    cap (int): Most rows of one set.
    """
    sets.check_sets(data, sets.TRAINED_ON)
    is_forbidden = sets.remember_texts(sets.read_forbidden(data, corpora))
    rows = {}
    for name in sets.TRAINED_ON:
        wanted = [row for row in sets.read_rows(data, name) if _is_wanted(row, max_characters, is_forbidden)]
        rows[name] = choose_rows(wanted, cap, Random(f"{seed} {name}"))
    return make_mix(rows, wording.read_meanings(data))


def make_mix(rows: Mapping[str, Sequence[Row]], meanings: wording.Meanings) -> Mix:
    if not any(rows.values()):
        raise CorpusError("No text is left to train on. Check the data folder, and that it is not the corpora's.")
    return Mix(rows, _weigh_sets(rows), {name: _list_labels(found) for name, found in rows.items()}, meanings)


def choose_rows(rows: Sequence[Row], cap: int, rng: Random) -> list[Row]:
    """At most `cap` rows; of span sets, those without any span are a fifth at most."""
    shuffled = rng.sample(rows, len(rows))
    full = [row for row in shuffled if row.labels or any(row.spans.values())][:cap]
    empty = [row for row in shuffled if not (row.labels or any(row.spans.values()))]
    return full + empty[: min(len(full) // 4, cap - len(full))]


def draw_examples(mix: Mix, *, seed: int, start: int, count: int) -> list[Example]:
    """The draws number `start` to `start + count`, whichever came before, less those of which nothing is asked."""
    drawn = (draw_example(mix, Random(f"{seed} {number}")) for number in range(start, start + count))
    return [example for example in drawn if example.spans or example.labels]


def draw_example(mix: Mix, rng: Random) -> Example:
    name = rng.choices(list(mix.weights), list(mix.weights.values()))[0]
    row = rng.choice(mix.rows[name])
    if row.worded:
        return _ask_worded(mix, name, row, rng)
    return _ask_labels(mix, name, row, rng) if name in sets.LABELS else _ask_spans(mix, name, row, rng)


def _ask_worded(mix: Mix, name: str, row: Row, rng: Random) -> Example:
    """Instructions as they stand, and a question of another text, which has no answer here."""
    spans = dict(_sample(row.spans.items(), 6, rng))
    labels = dict(_sample(row.labels.items(), 6, rng))
    if name in sets.QUESTIONS:
        other = rng.choice(mix.rows[name])
        if other.text[:100] != row.text[:100]:
            spans.update((question, ()) for question in _sample(other.spans, 2, rng) if question not in row.spans)
    return Example(row.text, row.source, spans, labels)


def _ask_spans(mix: Mix, name: str, row: Row, rng: Random) -> Example:
    """Labels that are there, some that are not, one of another field, and statements about them."""
    present = _sample(row.spans, 4, rng)
    absent = [] if name in sets.INCOMPLETE else [label for label in mix.inventory[name] if label not in row.spans]
    absent = _sample(absent, 2 if present else 3, rng)
    spans: dict[str, tuple[Characters, ...]] = {}
    for label in present + absent:
        meaning = wording.find_meaning(mix.meanings, name, label)
        spans.setdefault(wording.word_spans(meaning, rng), row.spans.get(label, ()))
    if rng.random() < 0.5 and (foreign := _draw_foreign(mix, name, rng)):
        spans.setdefault(wording.word_spans(foreign, rng), ())
    return Example(row.text, row.source, spans, _state(mix, name, present[:1], absent[:1], rng))


def _state(mix: Mix, name: str, present: list[str], absent: list[str], rng: Random) -> dict[str, bool]:
    """Statements that follow from the spans of a text and from its kind."""
    labels: dict[str, bool] = {}
    if rng.random() < 0.4:
        for label in present + absent:
            meaning = wording.find_meaning(mix.meanings, name, label)
            labels.update([wording.word_mention(meaning, label in present, rng)])
    if rng.random() < 0.3 and (genre := wording.word_genre(name, rng)):
        labels.update([genre])
    return labels


def _ask_labels(mix: Mix, name: str, row: Row, rng: Random) -> Example:
    """Statements that hold and as many, or more, that do not."""
    present = [label for label in row.labels if label not in UNSAID]
    close = {label for pair in CONFUSED if pair & set(present) for label in pair}
    others = [label for label in mix.inventory[name] if label not in row.labels and label not in close]
    present, absent = _sample(present, 3, rng), _sample(others, 3, rng)
    labels: dict[str, bool] = {}
    for label in present + absent:
        labels.setdefault(wording.word_label(mix.meanings, name, label, rng), label in present)
    if rng.random() < 0.2 and (genre := wording.word_genre(name, rng)):
        labels.update([genre])
    return Example(row.text, row.source, {}, labels)


def _draw_foreign(mix: Mix, name: str, rng: Random) -> str | None:
    """The meaning of a label that cannot hold here, for it belongs to another narrow field."""
    own = GENRE_OF.get(name, "encyclopedia")
    other = rng.choice(sorted(mix.inventory))
    genre = GENRE_OF.get(other)
    is_foreign = genre in NARROW_GENRES and own != "encyclopedia" and not wording.are_related(own, genre)
    if not is_foreign or not mix.inventory[other]:
        return None
    return wording.find_meaning(mix.meanings, other, rng.choice(mix.inventory[other]))


def _is_wanted(row: Row, max_characters: int, is_forbidden: Callable[[str], bool]) -> bool:
    """Whether a row's text is neither blank nor too long, of no source that is left out, and in none of the corpora."""
    if not row.text.strip() or len(row.text) > max_characters:
        return False
    return row.source not in (*sets.HELD_OUT, *NOT_SHIPPED) and not is_forbidden(row.text)


def _weigh_sets(rows: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    weights = {}
    for names, share in GROUPS:
        roots = {name: len(rows[name]) ** 0.5 for name in names if rows.get(name)}
        weights.update({name: share * root / sum(roots.values()) for name, root in roots.items()})
    return weights


def _list_labels(rows: Sequence[Row]) -> list[str]:
    named = (row for row in rows if not row.worded)
    return sorted({label for row in named for label in (*row.spans, *row.labels)} - set(UNSAID))


def _sample(items: Collection, most: int, rng: Random) -> list:
    listed = list(items)
    return rng.sample(listed, min(most, len(listed)))
