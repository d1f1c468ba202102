"""spaCy's own `textcat_multilabel` and `spancat` on the same transformer, trained for as many steps as ours."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
from spacy.language import Language
from spacy.tokens import Doc, SpanGroup
from thinc.api import Config

from spacy_falconer.corpus.docbin import split_docs
from spacy_falconer.metamodel.threshold import Candidates, Target, choose_threshold
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.thresholds import label_candidates, span_candidates
from spacy_falconer.workflow.train import DEV_SHARE, fill_config, run_training, write_inputs

COMPONENTS = """
[components]

[components.textcat_multilabel]
factory = "textcat_multilabel"

[components.textcat_multilabel.model]
@architectures = "spacy.TextCatReduce.v1"
exclusive_classes = false
use_reduce_first = false
use_reduce_last = false
use_reduce_max = true
use_reduce_mean = true
nO = null

[components.textcat_multilabel.model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0
pooling = {"@layers": "reduce_mean.v1"}

[components.spancat]
factory = "spancat"
spans_key = "sc"
threshold = 0.0

[components.spancat.suggester]
@misc = "spacy.ngram_range_suggester.v1"
min_size = 1
max_size = 8

[components.spancat.model]
@architectures = "spacy.SpanCategorizer.v1"
scorer = {"@layers": "spacy.LinearLogistic.v1"}
reducer = {"@layers": "spacy.mean_max_reducer.v1", "hidden_size": 128}

[components.spancat.model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0
pooling = {"@layers": "reduce_mean.v1"}
"""


def score_spacys_own(plan: Plan, docs: Sequence[Doc], tests: Sequence[Doc], *, seed: int) -> dict[str, Any]:
    """Train on four fifths, fit every instruction's threshold on the last one, score on the tests."""
    train_docs, dev_docs = split_docs(docs, dev_share=DEV_SHARE, seed=seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_inputs(plan, train_docs, dev_docs, folder)
        config = swap_components(fill_config(None, train_docs, {**paths, "system.seed": seed}, source=None))
        nlp = run_training(config, folder, quiet=True)
    dev_pairs, test_pairs = (list(zip(predict(nlp, part), part, strict=True)) for part in (dev_docs, tests))
    label_keys, span_keys = ([step.id for step in plan.text_steps(op)] for op in ("get_label", "get_span"))
    labels = {key: score_key(label_candidates(key, dev_pairs), label_candidates(key, test_pairs)) for key in label_keys}
    spans = {
        key: score_key(*(span_candidates(key, pairs, spans_key="sc") for pairs in (dev_pairs, test_pairs)))
        for key in span_keys
    }
    return {kind: summarize(rows, len(tests)) for kind, rows in (("labels", labels), ("spans", spans))}


def swap_components(config: Config) -> Config:
    """Our training config with spaCy's components in place of ours."""
    own = Config().from_str(COMPONENTS)["components"]
    components = {"transformer": config["components"]["transformer"], **own}
    config = Config({**config, "components": components})
    config["nlp"]["pipeline"] = list(components)
    config["training"]["score_weights"] = {"cats_macro_f": 0.5, "spans_sc_f": 0.5}
    config["initialize"]["after_init"] = None
    return config


def predict(nlp: Language, docs: Sequence[Doc]) -> list[Doc]:
    """Every span that is more likely than a twentieth, as ours; overlapping ones of a label go to the likelier."""
    found = list(nlp.pipe([nlp.make_doc(doc.text) for doc in docs], batch_size=16))
    for doc in found:
        group = doc.spans["sc"]
        ranked = sorted(zip(group.attrs["scores"], group, strict=True), key=lambda pair: -pair[0])
        taken: dict[str, set[int]] = {}
        kept = []
        for score, span in ranked:
            tokens = set(range(span.start, span.end))
            if score >= 0.05 and not tokens & taken.setdefault(span.label_, set()):
                taken[span.label_] |= tokens
                kept.append((span, score))
        doc.spans["sc"] = SpanGroup(doc, name="sc", spans=[span for span, _ in kept])
        doc.spans["sc"].attrs["scores"] = numpy.array([score for _, score in kept])
    return found


def score_key(dev: Candidates, test: Candidates) -> dict[str, float]:
    """Precision, recall and F1 on the test at the dev's best threshold."""
    choice = choose_threshold(dev, Target())
    threshold = choice.threshold if choice else 0.5
    found = test.scores >= threshold
    hits = int((found & test.hits).sum())
    p, r = hits / max(1, int(found.sum())), hits / max(1, test.n_wanted)
    return {"p": p, "r": r, "f": 2 * p * r / (p + r) if hits else 0.0}


def summarize(rows: dict[str, dict[str, float]], n_texts: int) -> dict[str, Any]:
    macro = sum(row["f"] for row in rows.values()) / len(rows) if rows else None
    return {"macro_f": macro, "per_instruction": {key: {**row, "n": n_texts} for key, row in rows.items()}}
