"""Draw the next texts, and what is asked of them. All randomness comes from the seed and the number of the draw.

Texts are drawn in groups from one set that are asked the same instructions, like the texts of a corpus. An instruction
is then read once for the whole group, and most of the work goes into texts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain import instructions as wording
from spacy_falconer.metamodel.pretrain.data import Characters, Row
from spacy_falconer.metamodel.pretrain.mix import TYPES, Mix
from spacy_falconer.metamodel.pretrain.wordings import GENRE_OF

GROUP = 6  # Texts of a group; half as many if each text has instructions of its own.
N_SPANS, N_LABELS = 6, 8  # The most labels of a set that a group is asked, including those of none of its texts.
N_CORPUS_LABELS = 10
N_WORDED = 6  # The most instructions of each primitive for a text with instructions of its own.
TOPIC = "The text is about"  # How statements about the topic of a text begin.
NARROW_GENRES = ("biomedicine", "laboratory", "programming", "security", "products")
CONFUSED = ({"domain:banking", "domain:credit_cards"}, {"domain:meta", "domain:small_talk"})


@dataclass(frozen=True)
class Example:
    """A text and what is asked of it, keyed by instruction."""

    text: str
    source: str
    spans: Mapping[str, tuple[Characters, ...]] = field(default_factory=dict)
    labels: Mapping[str, bool] = field(default_factory=dict)


def draw_groups(mix: Mix, *, seed: int, start: int, count: int) -> list[list[Example]]:
    """Return `count` draws from number `start` on, independent of those before, without texts of which nothing is asked."""
    drawn = (draw_group(mix, Random(f"{seed} {number}")) for number in range(start, start + count))
    asked = ([example for example in group if example.spans or example.labels] for group in drawn)
    return [group for group in asked if group]


def draw_group(mix: Mix, rng: Random) -> list[Example]:
    name = rng.choices(list(mix.weights), list(mix.weights.values()))[0]
    rows = _draw_rows(mix.rows[name], rng)
    if name in mix.wordings:
        return _ask_corpus(mix.wordings[name], rows, rng)
    if rows[0].worded:
        return _ask_worded(name, rows[: GROUP // 2], rng)
    return _ask_labels(mix, name, rows, rng) if name in sets.LABELS else _ask_spans(mix, name, rows, rng)


def _draw_rows(rows: Sequence[Row], rng: Random) -> list[Row]:
    """Draw rows of similar length, so that little padding is read; from a small set, any rows."""
    sample = sorted(rng.sample(rows, min(len(rows), 8 * GROUP)), key=lambda row: len(row.text))
    if len(rows) <= 3 * GROUP:
        return rng.sample(sample, min(len(sample), GROUP))
    start = rng.randrange(len(sample) - GROUP + 1)
    return rng.sample(sample[start : start + GROUP], GROUP)


def _ask_worded(name: str, rows: Sequence[Row], rng: Random) -> list[Example]:
    """Ask a text's own instructions as they are, and questions of the group's other texts, which have no answer here."""
    kept = [dict(_sample(row.spans.items(), N_WORDED, rng)) for row in rows]
    examples = []
    for row, own in zip(rows, kept, strict=True):
        others = [question for other, asked in zip(rows, kept, strict=True) for question in _sample(asked, 2, rng)
                  if name in sets.QUESTIONS and other.text[:100] != row.text[:100]]  # fmt: skip
        foreign = {question: () for question in others if question not in row.spans}
        labels = dict(_sample(row.labels.items(), N_WORDED, rng))
        if name == TYPES:
            labels = {**_state_kinds(row, rows, rng), **dict(_sample(labels.items(), N_WORDED // 2, rng))}
        examples.append(Example(row.text, row.source, {**foreign, **own}, labels))
    return examples


def _state_kinds(row: Row, rows: Sequence[Row], rng: Random) -> dict[str, bool]:
    """Make statements that a kind is there, or is not, and that the text is about another text's topic, which is false."""
    said = [wording.word_mention(kind, bool(row.spans[kind]), rng) for kind in _sample(row.spans, 2, rng)]
    topics = [words for other in rows if other is not row for words, holds in other.labels.items()
              if holds and words.startswith(TOPIC) and words not in row.labels]  # fmt: skip
    return dict(said) | dict.fromkeys(_sample(topics, 1, rng), False)


def _ask_spans(mix: Mix, name: str, rows: Sequence[Row], rng: Random) -> list[Example]:
    """Ask for labels that are in some of the texts, some that are in none, and one of another field; and ask statements."""
    labels = _choose_labels(mix.inventory[name], [row.spans for row in rows], N_SPANS, rng)
    asked = {label: wording.word_spans(wording.find_meaning(mix.meanings, name, label), rng) for label in labels}
    foreign = _draw_foreign(mix, name, rng) if rng.random() < 0.5 else None
    statements = _draw_statements(mix, name, labels, rng)
    genre = wording.word_genre(name, rng) if rng.random() < 0.3 else None
    examples = []
    for row in rows:
        known = [label for label in labels if name not in sets.INCOMPLETE or label in row.spans]
        spans = {asked[label]: row.spans.get(label, ()) for label in known}
        if foreign:
            spans.setdefault(foreign, ())
        stated = {said: (label in row.spans) == holds for label, (said, holds) in statements.items() if label in known}
        examples.append(Example(row.text, row.source, spans, {**stated, **dict([genre] if genre else [])}))
    return examples


def _ask_labels(mix: Mix, name: str, rows: Sequence[Row], rng: Random) -> list[Example]:
    """Ask statements that hold of some of the texts, and some that hold of none."""
    labels = _choose_labels(mix.inventory[name], [row.labels for row in rows], N_LABELS, rng)
    asked = {label: wording.word_label(mix.meanings, name, label, rng) for label in labels}
    genre = wording.word_genre(name, rng) if rng.random() < 0.2 else None
    examples = []
    for row in rows:
        close = {label for pair in CONFUSED if pair & set(row.labels) for label in pair} - set(row.labels)
        said = {asked[label]: label in row.labels for label in labels if label not in close}
        examples.append(Example(row.text, row.source, {}, {**said, **dict([genre] if genre else [])}))
    return examples


def _ask_corpus(wordings: Mapping[str, Sequence[str]], rows: Sequence[Row], rng: Random) -> list[Example]:
    """Ask a corpus's instructions, each in one wording; of many labels, only those that hold of some text and a few more."""
    said = {key: wording.vary(rng.choice(ways), rng) for key, ways in wordings.items()}
    held = [[key for key, holds in row.labels.items() if holds] for row in rows]
    labels = _choose_labels(sorted(rows[0].labels), held, N_CORPUS_LABELS, rng)
    return [
        Example(
            row.text,
            row.source,
            {said[key]: spans for key, spans in row.spans.items()},
            {said[key]: row.labels[key] for key in labels},
        )
        for row in rows
    ]


def _choose_labels(inventory: Sequence[str], found: Sequence[Collection[str]], most: int, rng: Random) -> list[str]:
    """Choose labels of the texts, and at least one more of the set if it has more."""
    there = sorted({label for labels in found for label in labels} & set(inventory))
    present = _sample(there, most - 1, rng)
    absent = _sample([label for label in inventory if label not in there], max(1, (most - len(present)) // 2), rng)
    return present + absent


def _draw_statements(mix: Mix, name: str, labels: Sequence[str], rng: Random) -> dict[str, tuple[str, bool]]:
    """Draw, by label, statements that its spans are there or are not, and which of the two they say."""
    chosen = _sample(labels, 2, rng) if rng.random() < 0.4 else []
    return {label: wording.word_mention(wording.find_meaning(mix.meanings, name, label), True, rng) for label in chosen}


def _draw_foreign(mix: Mix, name: str, rng: Random) -> str | None:
    """Draw an instruction for a label that cannot hold here, because it belongs to another narrow field."""
    own = GENRE_OF.get(name, "encyclopedia")
    other = rng.choice(sorted(set(mix.inventory) & set(GENRE_OF)) or [name])
    genre = GENRE_OF.get(other)
    is_foreign = genre in NARROW_GENRES and own != "encyclopedia" and not wording.are_related(own, genre)
    if not is_foreign or not mix.inventory[other]:
        return None
    return wording.word_spans(wording.find_meaning(mix.meanings, other, rng.choice(mix.inventory[other])), rng)


def _sample(items: Collection, most: int, rng: Random) -> list:
    listed = list(items)
    return rng.sample(listed, min(most, len(listed)))
