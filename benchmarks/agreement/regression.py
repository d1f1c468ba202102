"""Logistic regression on MiniLM embeddings, the recipe of database proxies (arXiv 2603.15970). Labels only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from spacy.tokens import Doc

from spacy_falconer.metamodel.encoder import find_encoder
from spacy_falconer.plan import Plan

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


def score_regression(plan: Plan, docs: Sequence[Doc], tests: Sequence[Doc], *, seed: int) -> dict[str, Any]:
    """One classifier a label, with balanced class weights, its strength and its threshold by cross-validation."""
    train_vectors, test_vectors = (embed([doc.text for doc in part]) for part in (docs, tests))
    rows = {}
    for step in plan.text_steps("get_label"):
        wanted = numpy.array([doc.cats[step.id] == 1.0 for doc in docs])
        gold = numpy.array([doc.cats[step.id] == 1.0 for doc in tests])
        found = fit_predict(train_vectors, wanted, test_vectors, seed=seed)
        rows[step.id] = {**prf(found, gold), "n": len(tests)}
    macro = sum(row["f"] for row in rows.values()) / len(rows)
    return {"labels": {"macro_f": macro, "per_instruction": rows}, "spans": {"macro_f": None, "per_instruction": {}}}


def fit_predict(vectors: numpy.ndarray, wanted: numpy.ndarray, tests: numpy.ndarray, *, seed: int) -> numpy.ndarray:
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    options = {"l1_ratios": (0,), "use_legacy_attributes": False}  # Both are to become scikit-learn's defaults.
    model = LogisticRegressionCV(cv=folds, class_weight="balanced", scoring="f1", max_iter=2000, **options)
    chances = cross_val_predict(model, vectors, wanted, cv=folds, method="predict_proba")[:, 1]
    thresholds = numpy.unique(chances)
    best = max(thresholds, key=lambda threshold: prf(chances >= threshold, wanted)["f"])
    return model.fit(vectors, wanted).predict_proba(tests)[:, 1] >= best


def prf(found: numpy.ndarray, wanted: numpy.ndarray) -> dict[str, float]:
    hits = int((found & wanted).sum())
    p, r = hits / max(1, int(found.sum())), hits / max(1, int(wanted.sum()))
    return {"p": p, "r": r, "f": 2 * p * r / (p + r) if hits else 0.0}


def embed(texts: Sequence[str]) -> numpy.ndarray:
    """Mean-pooled, normalised sentence embeddings, shape (n_texts, 384)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = (kind.from_pretrained(find_encoder(ENCODER)) for kind in (AutoTokenizer, AutoModel))
    rows = []
    for start in range(0, len(texts), 32):
        batch = tokenizer(texts[start : start + 32], padding=True, truncation=True, max_length=512, return_tensors="pt")
        with torch.no_grad():
            hidden = model.eval()(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        rows.append((hidden * mask).sum(dim=1) / mask.sum(dim=1))
    return torch.nn.functional.normalize(torch.cat(rows)).numpy()
