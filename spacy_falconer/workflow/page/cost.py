"""What the run took of a language model, beside the language model reading everything."""

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
LATENCY_S = 1.5  # Of one request to a language model that nobody timed, the text's and its answers': an assumption.


@dataclass(frozen=True)
class Spending:
    """What asking about some texts takes. `cost_usd` is None where no price is known."""

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
    """Texts a second: the language model's, as its requests were answered in this run, and the metamodel's.

    None where that was not noted. n_texts: The whole corpus.
    is_assumed (bool): The language model was not asked in this run, and `LATENCY_S` stands for what it takes.
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
    """The sample that was answered, and the whole corpus, if that is known. `notes`: where the numbers come from."""

    sample: Spending
    corpus: Spending | None
    notes: list[str]
    pace: Pace | None = None

    @property
    def share(self) -> float | None:
        """Of the corpus's texts that the language model answered."""
        return self.sample.n_texts / self.corpus.n_texts if self.corpus and self.corpus.n_texts else None


def find_cost(run: Run) -> Cost | None:
    """None where nothing is known of the answers, or all are people's."""
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
    """Whether a language model has answered anything about a text, be it corrected since."""
    said = read_llm(doc)
    return bool(said.labels or said.spans)


def find_model(answers: Iterable[Doc], tally: Tally) -> str:
    """The language model that answered most of the texts. An answer is by people where they corrected its first step."""
    named = Counter(str(doc.user_data.get("model", "")) for doc in answers)
    models = [model for model, _ in [*named.most_common(), *Counter(tally.answered).most_common()] if model != HUMAN]
    return models[0] if models else ""


def find_pace(run: Run, n_texts: int | None, requests_per_text: float) -> Pace | None:
    """None where nothing was noted. Beside a metamodel's pace the language model's is assumed where it was not timed."""
    asked, mined = run.times.get("annotate"), run.times.get("mine")
    llm = asked.n_requests / asked.seconds / requests_per_text if asked and asked.n_requests and asked.seconds else None
    own = mined.n_texts / mined.seconds if mined and mined.n_texts and mined.seconds else None
    if not n_texts or not (llm or own):
        return None
    if llm is None and requests_per_text:
        return Pace(Endpoint.max_in_flight / LATENCY_S / requests_per_text, own, n_texts, is_assumed=True)
    return Pace(llm, own, n_texts)


def measure(tally: Tally, model: str) -> list[float]:
    """Requests and tokens a text, as they were counted when it was asked."""
    return [tally.usage[model].get(kind, 0) / tally.asked[model] for kind in KINDS]


def guess(run: Run, texts: list[str], model: str) -> list[float]:
    """Requests and tokens a text, where nothing was counted for this plan: as estimated from the requests themselves."""
    with tempfile.TemporaryDirectory() as folder, AnswerStore(Path(folder) / "empty.db") as empty:
        found = estimate(texts, run.plan, model=model, store=empty)
    return [one.expected / len(texts) for one in (found.n_requests, found.n_input_tokens, found.n_output_tokens)]


def note_source(model: str, n_texts: int, *, is_paid: bool, is_counted: bool) -> str:
    """Where the numbers come from."""
    if is_counted:
        return f"The sample: as counted when {model} was asked about {n_texts:,} texts. All texts: that, scaled up."
    if is_paid:
        return (
            f"{model} was asked about {n_texts:,} texts by this plan. The store also holds what it was asked by others, and "
            "counts all together: estimated from this plan's requests."
        )
    return f"The answers were recorded from {model or 'somebody'}: estimated from the requests that would be sent."


def note_price(model: str) -> str:
    """At which price dollars are counted; where it is unknown, they are not."""
    if find_price(model) is None:
        return f"Dollars: the price of {model or 'the model'} is unknown. {REMEDY}."
    return f"Dollars: at the prices of {model}, {prices_date() or 'from a file of your own'}."


def count_corpus(run: Run) -> int | None:
    """The different texts that were mined; not known where sentences are read each by itself."""
    if not run.totals or run.plan is None or run.plan.unit == "sentence":
        return None
    return max(0, run.totals.get("n_texts", 0) - run.totals.get("n_duplicates", 0)) or None


def spend(per_text: list[float], n_texts: int, model: str, *, is_estimated: bool) -> Spending:
    n_requests, n_input, n_output = (n * n_texts for n in per_text)
    price = find_price(model)
    return Spending(
        n_texts, n_requests, n_input, n_output, price.cost_usd(n_input, n_output) if price else None, is_estimated
    )
