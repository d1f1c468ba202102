"""How well a pipeline follows instructions of sets that it never saw, without any answers.

    python -m benchmarks.metamodel.zeroshot --data DATA --pipeline assets/en_falconer_sm

DATA is the folder of data sets. Instructions are the sets' label meanings. Spans: strict micro F1 of the best spans that
do not overlap, threshold 0.5. Labels: how often the label with the highest score is a right one, beside the cosine of
MiniLM's sentence vectors; and micro F1 at threshold 0.5. --untouched takes the sets that nothing was chosen by.
"""

from __future__ import annotations

from pathlib import Path

import spacy
import torch
import typer
from wasabi import table

from spacy_falconer.metamodel.encoder import find_encoder
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.checkpoint import read_model
from spacy_falconer.metamodel.pretrain.collate import TextReader
from spacy_falconer.metamodel.pretrain.model import Metamodel
from spacy_falconer.metamodel.pretrain.score import BATCH_SIZE, HeldOut, read_held_out, score_model
from spacy_falconer.pipeline.callbacks import find_components
from spacy_falconer.pipeline.source import find_base

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def main(
    # fmt: off
    data: Path = typer.Option(..., help="Folder of data sets", exists=True),
    pipeline: Path = typer.Option(None, help="The pipeline; by default the shipped one"),
    split: str = typer.Option("test", help="Which part of the sets: dev or test"),
    n_texts: int = typer.Option(1000, help="Most texts of each set"),
    untouched: bool = typer.Option(False, help="The sets that were kept aside"),
    # fmt: on
):
    names = sets.UNTOUCHED if untouched else (*sets.HELD_OUT_SPANS, *sets.HELD_OUT_LABELS)
    held_out = read_held_out(data, names, split=split, n_texts=n_texts, seed=0)
    model, reader = read_pipeline(pipeline or find_base())
    scores = score_model(model, reader, held_out)
    cosine, _ = read_model(find_encoder(MINILM), hidden_width=8, dropout=0.0)
    rows = []
    for held in held_out:
        base = f"{score_cosine(cosine.eval(), reader, held):.3f}" if f"{held.name}_acc" in scores else ""
        accuracy = f"{scores[f'{held.name}_acc']:.3f}" if base else ""
        rows.append(
            (held.name, len(held.rows), len(held.instructions), f"{scores[f'{held.name}_f']:.3f}", accuracy, base)
        )
    print(table(rows, header=["set", "texts", "labels", "F1 at 0.5", "accuracy", "cosine"], divider=True))
    for place, name in ((3, "F1 of span sets"), (4, "accuracy of label sets"), (5, "cosine")):
        values = [float(row[place]) for row in rows if row[place] and bool(row[4]) == (place > 3)]
        if values:
            print(f"mean {name}: {sum(values) / len(values):.3f}")


def read_pipeline(path: Path) -> tuple[Metamodel, TextReader]:
    """A pipeline's encoder and heads as the plain torch model that is scored."""
    nlp = spacy.load(path)
    (label,), (span,) = (find_components(nlp, name) for name in ("falconer_label", "falconer_span"))
    encoder = next(proc.model for _, proc in nlp.components if label.name in getattr(proc, "listening_components", ()))
    model = Metamodel(
        encoder.transformer, hidden_width=label.model.get_ref("head").shims[0].cfg["hidden_width"], dropout=0.0
    )
    for pipe, head in ((label, model.label), (span, model.span)):
        head.load_state_dict(pipe.model.get_ref("head").shims[0]._model.head.state_dict())
    return model.eval(), TextReader(spacy.blank("en"), encoder.tokenizer)


@torch.inference_mode()
def score_cosine(model: Metamodel, reader: TextReader, held: HeldOut) -> float:
    """How often the label whose instruction is most like the text is a right one."""
    labels = list(held.instructions)
    wanted = torch.nn.functional.normalize(read_means(model, reader, list(held.instructions.values())), dim=-1)
    n_right = 0
    for start in range(0, len(held.rows), BATCH_SIZE):
        rows = held.rows[start : start + BATCH_SIZE]
        best = (read_means(model, reader, [row.text for row in rows]) @ wanted.T).argmax(dim=-1)
        n_right += sum(labels[place] in row.labels for place, row in zip(best.tolist(), rows, strict=True))
    return n_right / len(held.rows)


def read_means(model: Metamodel, reader: TextReader, texts: list[str]) -> torch.Tensor:
    return model.read_instructions(reader.read(texts)[0])


if __name__ == "__main__":
    typer.run(main)
