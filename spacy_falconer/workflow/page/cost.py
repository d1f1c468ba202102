"""What the run took of a language model, beside the language model reading everything."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from spacy_falconer.llm.estimate import estimate
from spacy_falconer.llm.prices import default_model, find_price, prices_date
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.llm.tally import Tally
from spacy_falconer.workflow.page.run import Run

KINDS = ("requests", "input", "output")


@dataclass(frozen=True)
class Spending:
    """What asking about some texts takes. `cost_usd` is None where no price is known."""

    n_texts: int
    n_requests: float
    n_input_tokens: float
    n_output_tokens: float
    cost_usd: float | None
    is_estimated: bool


@dataclass(frozen=True)
class Pace:
    """Texts a second: the language model's, as its requests were answered in this run, and the metamodel's.

    None where that was not noted. n_texts: The whole corpus.
    """

    llm: float | None
    metamodel: float | None
    n_texts: int


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
    """None where nothing is known of the answers."""
    texts = list(dict.fromkeys(doc.text for doc in run.answers))
    if not texts or run.plan is None:
        return None
    model = Counter(str(doc.user_data.get("model", "")) for doc in run.answers).most_common(1)[0][0]
    priced = model if find_price(model) else default_model()
    tally = run.tally or Tally()
    is_paid = "requests" in tally.usage.get(model, {}) and tally.asked.get(model, 0) > 0
    per_text, source = measure(tally, model) if is_paid else guess(run, texts, priced, model)
    n_sample, n_corpus = tally.asked[model] if is_paid else len(texts), count_corpus(run)
    notes = [source, *note_price(model, priced)]
    if n_corpus is None:
        notes.append("How many texts the language model would have to read is not known.")
    whole = None if n_corpus is None else spend(per_text, n_corpus, priced, is_estimated=True)
    sample = spend(per_text, n_sample, priced, is_estimated=not is_paid)
    return Cost(sample, whole, notes, find_pace(run, n_corpus, per_text[0]))


def find_pace(run: Run, n_texts: int | None, requests_per_text: float) -> Pace | None:
    """None where nothing was noted."""
    asked, mined = run.times.get("annotate"), run.times.get("mine")
    llm = asked.n_requests / asked.seconds / requests_per_text if asked and asked.n_requests and asked.seconds else None
    own = mined.n_texts / mined.seconds if mined and mined.n_texts and mined.seconds else None
    return Pace(llm, own, n_texts) if n_texts and (llm or own) else None


def measure(tally: Tally, model: str) -> tuple[list[float], str]:
    """Requests and tokens a text, as they were counted when it was asked."""
    n_texts, taken = tally.asked[model], tally.usage[model]
    source = f"The sample: as counted when {model} was asked about {n_texts:,} texts. All texts: that, scaled up."
    return [taken.get(kind, 0) / n_texts for kind in KINDS], source


def guess(run: Run, texts: list[str], priced: str, model: str) -> tuple[list[float], str]:
    """Requests and tokens a text, where the answers were recorded before: as estimated from the requests themselves."""
    with tempfile.TemporaryDirectory() as folder, AnswerStore(Path(folder) / "empty.db") as empty:
        found = estimate(texts, run.plan, model=priced, store=empty)
    taken = (found.n_requests, found.n_input_tokens, found.n_output_tokens)
    source = f"The answers were recorded from {model or 'somebody'}: estimated from the requests that would be sent."
    return [one.expected / len(texts) for one in taken], source


def note_price(model: str, priced: str) -> list[str]:
    whose = f"of {priced}" if model == priced else f"of {priced} (that of {model or 'the model'} is not known)"
    return [f"Dollars: at the list prices {whose}, {prices_date()}."] if find_price(priced) else []


def count_corpus(run: Run) -> int | None:
    """The different texts that were mined; not known where sentences are read each by itself."""
    if not run.totals or run.plan is None or run.plan.unit == "sentence":
        return None
    return max(0, run.totals.get("n_texts", 0) - run.totals.get("n_duplicates", 0)) or None


def spend(per_text: list[float], n_texts: int, priced: str, *, is_estimated: bool) -> Spending:
    n_requests, n_input, n_output = (n * n_texts for n in per_text)
    price = find_price(priced)
    return Spending(
        n_texts, n_requests, n_input, n_output, price.cost_usd(n_input, n_output) if price else None, is_estimated
    )
