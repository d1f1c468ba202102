"""Texts whose answers are known, read by MiniLM sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy

from benchmarks.agreement.regression import embed
from spacy_falconer.corpus.read import split_sentences
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.types import Answer, Record


@dataclass(frozen=True)
class Known:
    """`vectors`: the mean of each text's sentences, (n_texts, width). `cosines`: of its best sentence with each
    instruction, (n_texts, K). `truth`: what was answered, for passages whether there is one, (n_texts, K).
    """

    vectors: numpy.ndarray
    cosines: numpy.ndarray
    truth: numpy.ndarray


def read_known(paths: Sequence[Path], instructions: Sequence[str]) -> list[Known]:
    """One for each file of answers."""
    wanted = embed(instructions)
    return [make_known(list(read_exchange(path)), instructions, wanted) for path in paths]


def make_known(answers: Sequence[Answer], instructions: Sequence[str], wanted: numpy.ndarray) -> Known:
    records = [Record(str(i), answer.text) for i, answer in enumerate(answers)]
    sentences = sorted(split_sentences(records), key=lambda sentence: len(sentence.text))  # So little is padded.
    owners = numpy.array([int(sentence.id) for sentence in sentences])
    found = embed([sentence.text for sentence in sentences])
    sums = numpy.zeros((len(answers), found.shape[1]))
    numpy.add.at(sums, owners, found)
    cosines = numpy.full((len(answers), len(instructions)), -1.0)
    numpy.maximum.at(cosines, owners, found @ wanted.T)
    truth = numpy.array([[is_true(answer, instruction) for instruction in instructions] for answer in answers])
    return Known(sums / numpy.linalg.norm(sums, axis=1, keepdims=True), cosines, truth)


def is_true(answer: Answer, instruction: str) -> bool:
    return answer.labels[instruction] if instruction in answer.labels else bool(answer.spans[instruction])
