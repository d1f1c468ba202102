"""What is compared: each reads the same texts, and gives back nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import spacy
import torch
from spacy.language import Language

from spacy_falconer.metamodel.accelerate import accelerate, find_models, make_reader, read_exactly
from spacy_falconer.metamodel.encoder import find_encoder
from spacy_falconer.metamodel.layout import batch_windows
from spacy_falconer.metamodel.read import pad_windows, pieces_at_once
from spacy_falconer.plan import parse_plan

Read = Callable[[Sequence[str]], None]

LABELS = {"positive": "The reviewer is satisfied with the product overall.", "defect": "The product broke."}
SPANS = {"price": "Amounts of money, such as prices paid.", "praised": "Qualities of the product that are praised."}
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def make_nlp(pipeline: Path, *, n_instructions: int = 4) -> Language:
    """A trained pipeline as it is; else with half label and half span instructions, and a plan that keeps every text."""
    nlp, steps = spacy.load(pipeline), []
    if "falconer_plan" in nlp.pipe_names:
        return nlp
    for i in range(n_instructions):
        op, words = (("get_label", LABELS), ("get_span", SPANS))[i % 2]
        name, text = list(words.items())[i // 2 % 2]
        step = {"id": f"{name}_{i}", "op": op, "instruction": text if i < 4 else f"{text} ({i})"}
        nlp.get_pipe("falconer_label" if op == "get_label" else "falconer_span").add_instruction(step["id"], text)
        steps.append(step)
    output = [step["id"] for step in steps if step["op"] == "get_span"]
    nlp.add_pipe("falconer_plan").set_plan(
        parse_plan({"instruction": "Everything", "steps": steps, "keep": "true", "output": output})
    )
    return nlp


@contextmanager
def read_bare(nlp: Language, precision: str) -> Iterator[Read]:
    """The encoder's forward pass alone: whole texts (cut where they are too long), sorted by length, pieces made before."""
    model = find_models(nlp)[0]
    read = make_reader(model.transformer, precision) or read_exactly(model.transformer)
    device = model.transformer.device
    budget = pieces_at_once(device)

    def forward(batches: list) -> None:
        with torch.no_grad():
            for ids, mask in batches:
                read(ids.to(device), mask.to(device))

    def prepare(texts: Sequence[str]) -> list:
        found = model.tokenizer(list(texts), truncation=True, max_length=model.attrs["max_pieces"])["input_ids"]
        lengths = torch.tensor([len(ids) for ids in found]).numpy()
        batches = [pad_windows([found[i] for i in some], model.tokenizer) for some in batch_windows(lengths, budget)]
        return [(torch.from_numpy(one.input_ids), torch.from_numpy(one.attention_mask)) for one in batches]

    forward.prepare = prepare
    yield forward


@contextmanager
def read_ours(nlp: Language, precision: str) -> Iterator[Read]:
    def read(texts: Sequence[str]) -> None:
        for _ in nlp.pipe(texts):
            pass

    with accelerate(nlp, precision):
        yield read


@contextmanager
def read_spacys_own(encoder: str = MINILM) -> Iterator[Read]:
    """spaCy's transformer with its own windows, `textcat_multilabel` and `spancat`: the same encoder, two labels each."""
    listener = {"@architectures": "spacy-transformers.TransformerListener.v1", "pooling": {"@layers": "reduce_mean.v1"}}
    nlp = spacy.blank("en")
    getter = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96}
    nlp.add_pipe(
        "transformer",
        config={
            "model": {
                "@architectures": "spacy-transformers.TransformerModel.v3",
                "name": find_encoder(encoder),
                "get_spans": getter,
            }
        },
    )
    reduce = {"@architectures": "spacy.TextCatReduce.v1", "exclusive_classes": False, "use_reduce_mean": True}
    reduce |= {"use_reduce_first": False, "use_reduce_last": False, "use_reduce_max": True, "tok2vec": listener}
    textcat = nlp.add_pipe("textcat_multilabel", config={"model": reduce})
    spancat = nlp.add_pipe("spancat", config={"model": {"tok2vec": listener}, "threshold": 1.0})
    for pipe, keys in ((textcat, LABELS), (spancat, SPANS)):
        for key in keys:
            pipe.add_label(key)
    doc = nlp.make_doc("It broke, though I paid $25.")
    doc.cats = {key: 1.0 for key in LABELS}
    doc.spans["sc"] = [spacy.tokens.Span(doc, 0, 1, label=key) for key in SPANS]
    nlp.initialize(lambda: [spacy.training.Example(nlp.make_doc(doc.text), doc)])

    def read(texts: Sequence[str]) -> None:
        for _ in nlp.pipe(texts):
            pass

    yield read


@contextmanager
def read_gliner(python: Path, n_threads: int) -> Iterator[Read]:
    """GLiNER's class of model, in a process of an environment of its own, which says what it took."""
    script = Path(__file__).with_name("gliner_class.py")
    command = [str(python), str(script), find_encoder(MINILM), str(n_threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(texts: Sequence[str]) -> tuple[float, float]:
        process.stdin.write(json.dumps(list(texts)) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.startswith("took "):
                return tuple(json.loads(line[5:]))
        raise SystemExit("The process with gliner ended.")

    try:
        yield read
    finally:
        process.stdin.close()
        process.wait()
