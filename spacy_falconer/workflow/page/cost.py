"""What the run's language model cost, compared with letting it read everything."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spacy.tokens import Doc

from spacy_falconer.llm.estimate import estimate
from spacy_falconer.llm.prices import REMEDY, find_price, prices_date
from spacy_falconer.llm.store import HUMAN, AnswerStore
from spacy_falconer.llm.tally import Tally
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.page.run import Run
from spacy_falconer.workflow.scoring.said import read_llm

KINDS = ("requests", "input", "output")
LATENCY_S = 1.5  # Assumed for one request to a language model that was not timed, with the text and its answers.


@dataclass(frozen=True)
class Spending:
    """What asking about some texts takes. `cost_usd` is None if no price is known."""

    n_texts: int
    n_requests: float
    n_input_tokens: float
    n_output_tokens: float
    cost_usd: float | None
    is_estimated: bool

    @property
    def n_tokens(self) -> float:
        return self.n_input_tokens + self.n_output_tokens


@dataclass(frozen=True)
class Pace:
    """Texts per second: the language model's, as its requests were answered in this run, and the metamodel's.

    They are None if they were not noted. n_texts: Texts in the whole corpus.
    is_assumed (bool): The language model was not asked in this run, and `LATENCY_S` is assumed for its requests.
    """

    llm: float | None
    metamodel: float | None
    n_texts: int
    is_assumed: bool = False

    @property
    def words(self) -> str:
        """Where the times come from."""
        measured = {"the metamodel": self.metamodel, "the language model": None if self.is_assumed else self.llm}
        paces = [f"{pace:.1f} by {who}" for who, pace in measured.items() if pace is not None]
        assumed = (
            f" The language model was not asked in this run: for it {LATENCY_S:g} s a request are assumed, "
            f"{Endpoint.max_in_flight} at a time. That is a statement, not a measurement."
        )
        told = " and ".join(paces).replace(" by", " texts a second by", 1)
        return f"Time: at the pace of this run, {told}.{assumed if self.is_assumed else ''}"


@dataclass(frozen=True)
class Cost:
    """The sample that was answered, and the whole corpus, if it is known. `notes`: Where the numbers come from."""

    sample: Spending
    corpus: Spending | None
    notes: list[str]
    pace: Pace | None = None

    @property
    def share(self) -> float | None:
        """The share of the corpus's texts that the language model answered."""
        return self.sample.n_texts / self.corpus.n_texts if self.corpus and self.corpus.n_texts else None


def find_cost(run: Run) -> Cost | None:
    """Return the cost; None if nothing is known about the answers, or all are people's."""
    answers = [doc for doc in run.answers if is_asked(doc)]
    if not answers or run.plan is None:
        return None
    texts, tally = list(dict.fromkeys(doc.text for doc in answers)), run.tally or Tally()
    model = find_model(answers, tally)
    is_paid = "requests" in tally.usage.get(model, {}) and tally.asked.get(model, 0) > 0
    is_counted = is_paid and model not in tally.mixed
    per_text = measure(tally, model) if is_counted else guess(run, texts, model)
    n_sample, n_corpus = tally.asked[model] if is_paid else len(texts), count_corpus(run)
    notes = [note_source(model, n_sample, is_paid=is_paid, is_counted=is_counted), note_price(model)]
    if n_corpus is None:
        notes.append("How many texts the language model would have to read is not known.")
    whole = None if n_corpus is None else spend(per_text, n_corpus, model, is_estimated=True)
    sample = spend(per_text, n_sample, model, is_estimated=not is_counted)
    return Cost(sample, whole, notes, find_pace(run, n_corpus, per_text[0]))


def is_asked(doc: Doc) -> bool:
    """Return whether a language model has answered anything about a text, even if that was corrected since."""
    said = read_llm(doc)
    return bool(said.labels or said.spans)


def find_model(answers: Iterable[Doc], tally: Tally) -> str:
    """Return the language model that answered most texts. An answer counts as people's if they corrected its first step."""
    named = Counter(str(doc.user_data.get("model", "")) for doc in answers)
    models = [model for model, _ in [*named.most_common(), *Counter(tally.answered).most_common()] if model != HUMAN]
    return models[0] if models else ""


def find_pace(run: Run, n_texts: int | None, requests_per_text: float) -> Pace | None:
    """Return the pace; None if nothing was noted. With the metamodel's known, the language model's is assumed if not timed."""
    asked, mined = run.times.get("annotate"), run.times.get("mine")
    llm = asked.n_requests / asked.seconds / requests_per_text if asked and asked.n_requests and asked.seconds else None
    own = mined.n_texts / mined.seconds if mined and mined.n_texts and mined.seconds else None
    if not n_texts or not (llm or own):
        return None
    if llm is None and requests_per_text:
        return Pace(Endpoint.max_in_flight / LATENCY_S / requests_per_text, own, n_texts, is_assumed=True)
    return Pace(llm, own, n_texts)


def measure(tally: Tally, model: str) -> list[float]:
    """Return requests and tokens per text, as they were counted when the model was asked."""
    return [tally.usage[model].get(kind, 0) / tally.asked[model] for kind in KINDS]


def guess(run: Run, texts: list[str], model: str) -> list[float]:
    """Estimate requests and tokens per text from the requests that would be sent, if nothing was counted for this plan."""
    with tempfile.TemporaryDirectory() as folder, AnswerStore(Path(folder) / "empty.db") as empty:
        found = estimate(texts, run.plan, model=model, store=empty)
    return [one.expected / len(texts) for one in (found.n_requests, found.n_input_tokens, found.n_output_tokens)]


def note_source(model: str, n_texts: int, *, is_paid: bool, is_counted: bool) -> str:
    """Return where the numbers come from, in words."""
    if is_counted:
        return f"The sample: as counted when {model} was asked about {n_texts:,} texts. All texts: that, scaled up."
    if is_paid:
        return (
            f"{model} was asked about {n_texts:,} texts by this plan. The store also holds what it was asked by other plans, "
            "and counts all together: estimated from this plan's requests."
        )
    return f"The answers were recorded from {model or 'somebody'}: estimated from the requests that would be sent."


def note_price(model: str) -> str:
    """Return at which price dollars are counted, or that it is unknown."""
    if find_price(model) is None:
        return f"Dollars: the price of {model or 'the model'} is unknown. {REMEDY}."
    return f"Dollars: at the prices of {model}, {prices_date() or 'from a file of your own'}."


def count_corpus(run: Run) -> int | None:
    """Return how many different texts were mined; None if that is not known, as when sentences are read one by one."""
    if not run.totals or run.plan is None or run.plan.unit == "sentence":
        return None
    return max(0, run.totals.get("n_texts", 0) - run.totals.get("n_duplicates", 0)) or None


def spend(per_text: list[float], n_texts: int, model: str, *, is_estimated: bool) -> Spending:
    n_requests, n_input, n_output = (n * n_texts for n in per_text)
    price = find_price(model)
    return Spending(
        n_texts, n_requests, n_input, n_output, price.cost_usd(n_input, n_output) if price else None, is_estimated
    )
