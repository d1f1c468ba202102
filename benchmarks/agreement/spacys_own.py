"""spaCy's own `textcat_multilabel` and `spancat` on the same transformer, trained for as many steps as ours."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from spacy.language import Language
from spacy.tokens import Doc, SpanGroup
from thinc.api import Config

from spacy_falconer.corpus.docbin import split_docs
from spacy_falconer.metamodel.threshold import Target, choose_threshold
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.evaluate import texts_of
from spacy_falconer.workflow.scoring.agreement import agree
from spacy_falconer.workflow.scoring.said import Said, decide, read_answers
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
    """Agreement with the tests' answers, as `evaluate` gives it."""
    nlp, thresholds = train_spacys_own(plan, docs, seed=seed)
    found = ask_spacys_own(nlp, thresholds, [doc.text for doc in tests])
    return agree(found, [read_answers(doc) for doc in tests], texts_of(tests), plan=None, seed=seed)


def train_spacys_own(plan: Plan, docs: Sequence[Doc], *, seed: int) -> tuple[Language, dict[str, float]]:
    """Train on four fifths, fit every instruction's threshold on the last one."""
    train_docs, dev_docs = split_docs(docs, dev_share=DEV_SHARE, seed=seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_inputs(plan, train_docs, dev_docs, folder)
        config = swap_components(fill_config(None, train_docs, {**paths, "system.seed": seed}, source=None))
        nlp = run_training(config, folder, quiet=True)
    pairs = list(zip(predict(nlp, [doc.text for doc in dev_docs]), dev_docs, strict=True))
    candidates = {step.id: label_candidates(step.id, pairs) for step in plan.text_steps("get_label")}
    candidates |= {step.id: span_candidates(step.id, pairs, spans_key="sc") for step in plan.text_steps("get_span")}
    choices = {key: choose_threshold(one, Target()) for key, one in candidates.items()}
    return nlp, {key: choice.threshold if choice else 0.5 for key, choice in choices.items()}


def ask_spacys_own(nlp: Language, thresholds: Mapping[str, float], texts: Sequence[str]) -> list[Said]:
    """What it says of texts, each instruction by its own threshold. Passages that it never saw in training it finds none of."""
    said = []
    for doc in predict(nlp, texts):
        scores = {key: score for key, score in doc.cats.items() if key in thresholds}
        candidates: dict[str, dict] = {key: {} for key in thresholds if key not in scores}
        group = doc.spans["sc"]
        for span, score in zip(group, group.attrs["scores"], strict=True):
            candidates[span.label_][span.start_char, span.end_char] = float(score)
        said.append(decide(Said({}, {}, scores, candidates), thresholds))
    return said


def swap_components(config: Config) -> Config:
    """Our training config with spaCy's components in place of ours."""
    own = Config().from_str(COMPONENTS)["components"]
    components = {"transformer": config["components"]["transformer"], **own}
    config = Config({**config, "components": components})
    config["nlp"]["pipeline"] = list(components)
    config["training"]["score_weights"] = {"cats_macro_f": 0.5, "spans_sc_f": 0.5}
    config["initialize"]["after_init"] = None
    return config


def predict(nlp: Language, texts: Sequence[str]) -> list[Doc]:
    """Every span that is more likely than a twentieth, as ours; overlapping ones of a label go to the likelier."""
    found = list(nlp.pipe([nlp.make_doc(text) for text in texts], batch_size=16))
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
