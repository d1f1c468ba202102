"""Keep a promise about a corpus: who answers which text, what that will cost, and what is certain in the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy
from spacy.language import Language
from spacy.util import minibatch

from spacy_falconer.corpus.read import read_units
from spacy_falconer.errors import BudgetError
from spacy_falconer.llm import estimate as llm
from spacy_falconer.llm.annotate import is_full
from spacy_falconer.llm.batch import batch_prices
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer, Record
from spacy_falconer.workflow.ask import Asker
from spacy_falconer.workflow.files import digest
from spacy_falconer.workflow.guarantee.cascade import Cascade, Outcome, OverBudget
from spacy_falconer.workflow.guarantee.promise import Promise, find_steps
from spacy_falconer.workflow.guarantee.questions import Known
from spacy_falconer.workflow.guarantee.reading import Sayings, make_reading, read_sayings
from spacy_falconer.workflow.memory import Memory
from spacy_falconer.workflow.mine import BATCH_SIZE, PART_SIZE, read_input
from spacy_falconer.workflow.mining.mined import find_plan
from spacy_falconer.workflow.mining.part import make_key, record_key
from spacy_falconer.workflow.mining.reading import EXACT, Reading
from spacy_falconer.workflow.mining.state import Seen

LESS = (0.99, 0.975, 0.95, 0.925, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)  # Tried if the promised targets cannot be reached.

LLM, METAMODEL = "llm", "metamodel"  # Who answered, in the rows.

Forecast = Callable[[int, int, llm.Estimate | None], Any]


@dataclass(frozen=True)
class Guaranteed:
    """What is certain, and the answers that it rests on.

    rates: By step, a lower bound for each target; all hold together with a probability of at least 1 - delta.
    readings: What is mined from each text, by its key: from the language model's answers if there are any, else the pipeline's.
    n_texts: Different texts of the corpus. `n_recorded` were answered before, `n_asked` are new, `n_failed` have no answer.
    precision (str): What the pipeline read in. Reading took `seconds`.
    annotator (str): Who was asked in the language model's place.
    """

    promise: Promise
    rates: Mapping[str, Mapping[str, float]]
    readings: Mapping[bytes, Reading]
    n_texts: int
    n_recorded: int
    n_asked: int
    n_failed: int
    precision: str
    seconds: float
    annotator: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return the content of the file beside the rows."""
        counts = {name: getattr(self, name) for name in ("n_texts", "n_recorded", "n_asked", "n_failed")}
        asked = {"annotator": self.annotator} if self.annotator else {}
        at_least = {key: dict(one) for key, one in self.rates.items()}
        return {"promise": str(self.promise), "at_least": at_least, **counts, **asked}


@dataclass
class Guarantor:
    """Keeps one promise about one corpus.

    texts: The corpus's texts, each once.
    """

    nlp: Language
    plan: Plan
    promise: Promise
    texts: Sequence[str]
    asker: Asker
    batch_size: int
    precision: str
    memory: Path | None = None

    def run(self, *, tick: Callable[[int], Any], show: Forecast) -> Guaranteed:
        """Read all texts, show what it will take, ask the language model, and return what is certain."""
        start = time.perf_counter()
        sayings = self._read(tick)
        seconds = time.perf_counter() - start
        recorded = self._recall_recorded(sayings)
        known = Known.none(len(sayings.steps), len(self.texts))
        self._take(known, sayings, recorded)
        seed = int(digest(self._question(sayings), *map(str, recorded))[:16], 16)
        rng = numpy.random.default_rng(seed)
        cascade = Cascade(sayings.questions, self.promise, lambda some: self._ask(sayings, some), known, rng)
        n_forecast = cascade.forecast()
        show(n_forecast, len(self.texts), self._estimate(known, n_forecast))
        outcome = self._run_cascade(cascade)
        return self._sum_up(sayings, outcome, known, n_recorded=len(recorded), seconds=seconds)

    def _read(self, tick: Callable[[int], Any]) -> Sayings:
        steps = [self.plan.steps_by_id[name] for name in find_steps(self.promise, self.plan)]
        options = {"batch_size": self.batch_size, "precision": self.precision}
        return read_sayings(self.nlp, self.texts, steps, **options, tick=tick)

    def _question(self, sayings: Sayings) -> str:
        """Return a digest of the promise, the plan, the texts, and what the pipeline says of them."""
        risks = [array for one in sayings.questions for array in (one.n_said, one.risk_false, one.risk_missed)]
        plan = json.dumps(self.plan.model_dump(mode="json"))
        return digest(str(self.promise), plan, *self.texts, *(sha256(array.tobytes()).hexdigest() for array in risks))

    def _recall_recorded(self, sayings: Sayings) -> list[int]:
        """Return the texts that had answers when the run began. A run that goes on after a stop uses the same ones."""
        memory = Memory(self.memory, self._question(sayings))
        numbers = {text: number for number, text in enumerate(self.texts)}
        return memory.recall("recorded", lambda: [numbers[one.text] for one in self._recall(self.texts)])

    def _recall(self, texts: Sequence[str]) -> list[Answer]:
        """Return the answers that exist and are complete: from others, no row could be made."""
        return [one for one in self.asker.read(texts) if is_full(one, self.plan)]

    def _take(self, known: Known, sayings: Sayings, numbers: Sequence[int]) -> None:
        answers = {one.text: one for one in self._recall([self.texts[number] for number in numbers])}
        found = [number for number in numbers if self.texts[number] in answers]
        if found:
            judged = sayings.judge(found, [answers[self.texts[number]] for number in found])
            known.update(numpy.array(found, dtype="int64"), judged)

    def _ask(self, sayings: Sayings, numbers: Any) -> Known:
        """Return the language model's judgement. RAISES (ServerError): It cannot be asked further. Its answers are kept."""
        texts = [self.texts[number] for number in numbers]
        answers: dict[str, Answer] = {one.text: one for one in self.asker.ask(texts) if is_full(one, self.plan)}
        if self.asker.stopped is not None:
            raise self.asker.stopped
        return sayings.judge(numbers, [answers.get(text) for text in texts])

    def _estimate(self, known: Known, n_texts: int) -> llm.Estimate | None:
        """Estimate what asking about this many texts takes; None if a user's own annotator is asked."""
        if self.asker.annotator is not None:
            return None
        unread = [text for text, is_read in zip(self.texts, known.is_read, strict=True) if not is_read]
        endpoint = self.asker.endpoint
        prices = endpoint.ledger.prices
        return llm.estimate(
            unread[:: max(1, len(unread) // max(1, n_texts))][:n_texts], self.plan, model=endpoint.model_name,
            store=self.asker.store, accept=endpoint.model, redact=self.asker.redact,
            prices=batch_prices(prices) if endpoint.is_batch else prices,
        )  # fmt: skip

    def _run_cascade(self, cascade: Cascade) -> Outcome:
        try:
            return cascade.run()
        except OverBudget as short:
            raise BudgetError(self._explain(cascade, short.n_needed)) from None

    def _explain(self, cascade: Cascade, n_needed: int) -> str:
        """Say what would be needed, and what can be reached within the budget."""
        budget = self.promise.label_budget
        less = find_reachable(cascade)
        reachable = (
            f"With {budget} answers about {less} can be reached for each target."
            if less
            else "No lower target can be reached with so few."
        )
        return (
            f"{self.promise} cannot be met: about {n_needed} of the {len(self.texts)} texts have to be answered, and the "
            f"label_budget is {budget}. {reachable} Raise the budget or lower the target; the {cascade.n_asked} answers "
            "that were bought are kept, and are not paid for again."
        )

    def _sum_up(
        self, sayings: Sayings, outcome: Outcome, known: Known, *, n_recorded: int, seconds: float
    ) -> Guaranteed:
        read = [self.texts[number] for number in numpy.flatnonzero(outcome.read)]
        both = zip(self.texts, sayings.readings, strict=True)
        readings = {make_key(text): say_by(METAMODEL, reading) for text, reading in both}
        readings.update((make_key(one.text), say_by(LLM, make_reading(one, self.plan))) for one in self._recall(read))
        rates = {step.id: rates for step, rates in zip(sayings.steps, outcome.certified, strict=True)}
        return Guaranteed(
            self.promise, rates, readings, len(self.texts), n_recorded, outcome.n_asked, int(known.is_failed.sum()),
            self.precision, seconds, annotator.name if (annotator := self.asker.annotator) else None,
        )  # fmt: skip


def say_by(name: str, reading: Reading) -> Reading:
    """Return the reading with rows that say who answered."""
    return replace(reading, rows=tuple({**row, "by": name} for row in reading.rows))


def guarantee(
    nlp: Language,
    records: Iterable[Record],
    promise: Promise,
    asker: Callable[[Plan], Asker],
    *,
    batch_size: int = BATCH_SIZE,
    precision: str = EXACT,
    memory: Path | None = None,
    seen: Seen | None = None,
    tick: Callable[[int], Any] = lambda n_texts: None,
    show: Forecast = lambda n_forecast, n_texts, estimate: None,
) -> Guaranteed:
    """Ask the language model about as many of a corpus's texts as it takes to keep a promise.

    `mine` then writes the rows, from its answers and from the pipeline's readings of the other texts, which are not read again.

    records: `mine` must get the same ones again.
    asker: Makes what gets the answers, for the pipeline's plan.
    batch_size (int), precision (str): As in `mine`, except "auto".
    memory (Path): The file in which a run that may be stopped notes what it began with.
    seen: What an earlier run has read, which `mine` skips; the promise is about the other texts.
    tick: Called with the number of texts that were read since the last call.
    show: Called, before anything is asked, with how many texts will be asked about, of how many, and what that takes.
    RAISES (BudgetError): The promise cannot be kept within its label_budget. The message says what can be reached.
    RAISES (ServerError): The language model cannot be asked further. The same call goes on from there.
    """
    plan = find_plan(nlp)
    items = (item for _, item in read_input(records) if isinstance(item, Record) and len(item.text) <= nlp.max_length)
    new = items if seen is None else leave_out_seen(items, seen)
    texts = list(dict.fromkeys(unit.text for unit in read_units(new, plan.unit, nlp)))
    return Guarantor(nlp, plan, promise, texts, asker(plan), batch_size, precision, memory).run(tick=tick, show=show)


def leave_out_seen(records: Iterable[Record], seen: Seen) -> Iterator[Record]:
    """Yield the records that an earlier run has not read."""
    for some in minibatch(records, PART_SIZE):
        keys = [record_key(record) for record in some]
        found = seen.find(keys)
        yield from (record for record, key in zip(some, keys, strict=True) if key not in found)


def find_reachable(cascade: Cascade) -> float | None:
    """Return the highest value for all promised targets that is expected to fit the budget; None if there is none."""
    budget = cascade.promise.label_budget
    for target in (one for one in LESS if one < min(cascade.promise.targets.values())):
        promise = replace(cascade.promise, **dict.fromkeys(cascade.promise.targets, target))
        other = replace_promise(cascade, promise)
        if budget is not None and other.forecast() <= budget:
            return target
    return None


def replace_promise(cascade: Cascade, promise: Promise) -> Cascade:
    other = Cascade(cascade.questions, promise, cascade.ask, cascade.known, cascade.rng)
    other.n_asked = cascade.n_asked
    return other
