"""Turn B/I/O scores of tokens into spans, each with the probability that exactly this span is meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

B, I, O = 0, 1, 2  # noqa: E741 (the field's own names)
MIN_BEGIN = 0.05  # A token that is less likely to begin a span is not worth a candidate.


@dataclass(frozen=True)
class FoundSpans:
    """Candidate spans, one row each, by instruction and place. `start` and `end` count tokens of the whole batch."""

    instruction: NDArray[numpy.int64]
    start: NDArray[numpy.int64]
    end: NDArray[numpy.int64]
    score: NDArray[numpy.float64]

    def take(self, rows: NDArray | slice) -> FoundSpans:
        return FoundSpans(self.instruction[rows], self.start[rows], self.end[rows], self.score[rows])

    def at_least(self, thresholds: NDArray) -> FoundSpans:
        """Return the spans whose score reaches their instruction's threshold. thresholds: Shape (K,)."""
        return self.take(self.score >= thresholds[self.instruction])

    def shift(self, n_tokens: int) -> FoundSpans:
        return FoundSpans(self.instruction, self.start + n_tokens, self.end + n_tokens, self.score)


def softmax(logits: NDArray) -> NDArray[numpy.float64]:
    """Return scores that sum to 1 over the last axis."""
    shifted = numpy.exp(logits.astype("float64") - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def sigmoid(logits: NDArray) -> NDArray[numpy.float64]:
    return 0.5 * (1.0 + numpy.tanh(0.5 * logits.astype("float64")))


def decode_spans(scores: NDArray, lengths: list[int]) -> FoundSpans:
    """Find the spans of every instruction; spans of one instruction do not overlap.

    A span goes on while the next token is more likely than not to continue it: P(I) of a token over P(B) + P(I) of the
    token before. The score is the probability of the exact span: that it begins here, goes on, and ends there.

    scores: B, I, O scores of all tokens, text after text, shape (n_tokens, K, 3).
    lengths (list[int]): Tokens of each text.
    """
    n_tokens, n_instructions, _ = scores.shape
    if not n_tokens or not n_instructions:
        empty = numpy.zeros(0, dtype="int64")
        return FoundSpans(empty, empty, empty, empty.astype("float64"))
    columns = scores.transpose(1, 0, 2).reshape(-1, 3)  # One long sequence: every instruction over all tokens.
    continues = _continue_scores(columns, lengths, n_instructions)
    begins = (columns[:, B] >= MIN_BEGIN) & (columns[:, B] > columns[:, I])
    goes_on = (continues > 0.5) & ~begins
    start = numpy.flatnonzero(begins)
    stops = numpy.append(numpy.flatnonzero(~goes_on), len(columns))
    end = stops[numpy.searchsorted(stops, start, side="right")]
    score = columns[start, B] * _span_products(continues, start, end)
    instruction, offset = start // n_tokens, start - start % n_tokens
    return FoundSpans(instruction, start - offset, end - offset, score)


def _continue_scores(columns: NDArray, lengths: list[int], n_repeats: int) -> NDArray:
    """Return how likely each token continues the span of the token before; 0 at the first token of a text."""
    inside = columns[:, B] + columns[:, I]
    continues = numpy.zeros(len(columns))
    continues[1:] = columns[1:, I] / numpy.maximum(inside[:-1], 1e-9)
    firsts = numpy.cumsum([0, *lengths[:-1]])
    n_tokens = sum(lengths)
    every_first = (numpy.arange(n_repeats)[:, None] * n_tokens + firsts[firsts < n_tokens]).ravel()
    continues[every_first] = 0.0
    return numpy.clip(continues, 0.0, 1.0)


def _span_products(continues: NDArray, start: NDArray, end: NDArray) -> NDArray:
    """Return, for each span, the product over its later tokens, times the chance that the token after does not go on."""
    sums = numpy.concatenate([[0.0], numpy.cumsum(numpy.log(numpy.maximum(continues, 1e-12)))])
    inner = numpy.exp(sums[end] - sums[start + 1])
    after = numpy.append(continues, 0.0)[end]
    return inner * (1.0 - after)
