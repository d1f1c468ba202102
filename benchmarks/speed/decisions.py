"""What a precision decides otherwise than float32: F1 of all its answers, float32's taken for right."""

from __future__ import annotations

from collections.abc import Sequence

from spacy.language import Language

from spacy_falconer.metamodel.accelerate import accelerate

Answers = set[tuple]


def decide(nlp: Language, texts: Sequence[str], precision: str) -> Answers:
    """Every label that is true of a text, and every span, by its characters."""
    label, found = nlp.get_pipe("falconer_label"), set()
    with accelerate(nlp, precision), nlp.memory_zone():
        for i, doc in enumerate(nlp.pipe(texts, batch_size=256)):
            found |= {(i, key) for key in label.labels if doc.cats[key] >= label.threshold_of(key)}
            found |= {(i, span.label_, span.start_char, span.end_char) for span in doc.spans["sc"]}
    return found


def f1(found: Answers, right: Answers) -> float:
    return 2 * len(found & right) / max(1, len(found) + len(right))


def print_decisions(nlp: Language, name: str, texts: Sequence[str], precisions: Sequence[str]) -> None:
    exact = decide(nlp, texts, "fp32")
    spans = {one for one in exact if len(one) == 4}
    for precision in precisions:
        found = decide(nlp, texts, precision)
        found_spans = {one for one in found if len(one) == 4}
        print(
            f"{name:>9} {len(texts):>6,} texts  {precision:>9}  F1 all {f1(found, exact):.4f}  labels "
            f"{f1(found - found_spans, exact - spans):.4f}  spans {f1(found_spans, spans):.4f}  of {len(exact):,} answers",
            flush=True,
        )
