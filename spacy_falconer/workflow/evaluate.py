"""How well a pipeline agrees with the language model and, if they answered, with people, compared with simpler methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.errors import AnswerError, ModelError
from spacy_falconer.pipeline.score import weights_of
from spacy_falconer.pipeline.source import choose_source
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.answers import keep_answered
from spacy_falconer.workflow.calibration import Calibrations, find_reliability, read_calibrations
from spacy_falconer.workflow.fitted import list_thresholds
from spacy_falconer.workflow.mine import find_plan
from spacy_falconer.workflow.remember import plan_of
from spacy_falconer.workflow.report import LLM, PEOPLE
from spacy_falconer.workflow.scoring.agreement import Texts, agree, make_texts
from spacy_falconer.workflow.scoring.baselines import (
    MAX_KEPT_TEST,
    MAX_KEPT_TRAIN,
    Baselines,
    ask_baselines,
    read_second,
)
from spacy_falconer.workflow.scoring.curve import draw_curve, teach_all, teach_heads
from spacy_falconer.workflow.scoring.disagree import list_disagreements
from spacy_falconer.workflow.scoring.said import Said, ask_pipeline, drop_passage_steps, read_llm, read_people
from spacy_falconer.workflow.scoring.slices import slice_agreement
from spacy_falconer.workflow.scoring.weak import note_weak

CURVES = ("heads", "full")
Json = dict[str, Any]


def evaluate(
    nlp: Language,
    docs: Sequence[Doc],
    *,
    train_docs: Sequence[Doc] = (),
    second: Sequence[Doc] = (),
    curve: str | None = None,
    source: Path | None = None,
    config: Path | None = None,
    seed: int = 0,
    tick: Callable[[int], Any] = lambda n_texts: None,
) -> Json:
    """Score a pipeline on answers that it was not trained on. The answers are left as they are.

    The language model's answers and people's, from corrections or separate ones, are compared with separately. If people
    gave all answers, they take the language model's place.

    docs: Answers, as `corpus.docbin` makes them.
    train_docs: The answers that it was trained on; baselines learn from them, too. Without any, only those that need none
        are compared: keywords and the metamodel without training.
    second: Another reading of the same texts by the language model.
    curve (str): Learn from growing parts of `train_docs`: "full", as `train` does; or "heads", which are trained alone,
        in seconds.
    source, config (Path): What the pipeline was trained from.
    tick: Called with the number of texts read since the last call; in all, as many as `count_reads` says.
    RETURNS: `{"labels": {"macro_f", "macro_f_ci", "per_instruction": {key: {"p", "r", "f", "n", "n_found", "n_wanted",
        "p_ci", "r_ci", "f_ci"}}}, "spans": the same, "rows": {"kept", "values", "whole"}, "n_texts", "with"}`. `n` counts
        the texts that were asked, `_ci` are 95% intervals from resampled texts. Spans must match exactly; an answer that
        could not be placed is a miss. "with" says whose answers they are. Also: "baselines" (the same for each), "people"
        (the same against people), "reliability" (as from `find_reliability`), "thresholds" (as from `list_thresholds`),
        "slices", "disagreements", "curve", "notes".
    RAISES (AnswerError): There is no answer to compare with.
    """
    plan, origin = name_plan(nlp), {"source": source, "config": config, "seed": seed}
    llm, people = ([read(doc) for doc in docs] for read in (read_llm, read_people))
    whose, wanted = choose_side(plan, llm, people)
    found = ask_pipeline(nlp, [doc.text for doc in docs], tick)
    others = ask_baselines(plan, docs, train_docs, **origin, tick=tick)
    again = {"second_reading": read_second(docs, second)} if second else {}
    scores = compare(docs, {"": found, **again, **others.said}, wanted, plan, seed=seed)
    rows, calibrations = pick(list_said(wanted), docs, found, wanted), read_calibrations(nlp)
    scores.update(look_closer(*rows, calibrations=calibrations, seed=seed))
    notes = [*others.notes, *note_rows(plan), *note_weak(scores, wanted, texts_of(docs), behind=whose)]
    if curve is not None:
        scores["curve"], more = draw(nlp, plan, docs, wanted, train_docs, others, curve, **origin)
        notes += more
    if whose != PEOPLE and list_said(people):
        scores["people"] = compare(docs, {"": found, "llm": llm, **others.said}, people, plan, seed=seed)
    return {**scores, "with": whose, "thresholds": list_thresholds(nlp), "notes": notes, "seed": seed}


def count_reads(docs: Sequence[Doc], train_docs: Sequence[Doc], source: Path | None) -> int:
    """Return how many texts `evaluate` reads: those to test on and, with the pipeline that training began from, all again."""
    return len(docs) + (len(docs) + len(train_docs) if source is not None else 0)


def choose_side(plan: Plan, llm: Sequence[Said], people: Sequence[Said]) -> tuple[str, Sequence[Said]]:
    """Return whose answers the pipeline is mainly compared with: people's only if all answers are theirs.

    RAISES (AnswerError): There are no answers.
    """
    for whose, said in ((LLM, llm), (PEOPLE, people)):
        if list_said(said):
            return whose, said
    raise AnswerError(
        f"None of the {len(llm)} texts has an answer to the pipeline's plan. Give answers whose instructions are the plan's, word "
        f"for word: {'; '.join(repr(step.instruction) for step in plan.text_steps())}."
    )


def list_said(said: Sequence[Said]) -> list[int]:
    """Return the places of the texts of which anything was said."""
    return [row for row, one in enumerate(said) if one.labels or one.spans]


def pick(rows: Sequence[int], *columns: Sequence[Any]) -> list[list[Any]]:
    return [[column[row] for row in rows] for column in columns]


def find_origin(source: Path | None, config: Path | None) -> dict[str, Path | None]:
    """Return what a pipeline was trained from: as named, else what `train` would use; None for both if there is nothing."""
    try:
        return {"source": choose_source(source, config), "config": config}
    except ModelError:
        return {"source": None, "config": None}


def name_plan(nlp: Language) -> Plan:
    """Return the pipeline's plan; if it has none, a plan of its instructions alone."""
    try:
        return find_plan(nlp)
    except ModelError:
        plan = plan_of(nlp)
        if not plan.steps:
            raise ModelError(
                f"The pipeline ({', '.join(nlp.pipe_names) or 'empty'}) holds no instruction to evaluate. Expected one that "
                "`falconer train` wrote, or add instructions."
            ) from None
        return plan


def compare(
    docs: Sequence[Doc], sides: Mapping[str, Sequence[Said]], wanted: Sequence[Said], plan: Plan, *, seed: int
) -> Json:
    """Return the agreement of the metamodel (the side without a name) with the answers, on the texts that have any, and
    that of the other sides under "baselines".
    """
    docs, wanted, *columns = pick(list_said(wanted), docs, wanted, *sides.values())
    texts, rows_plan, sides = texts_of(docs), drop_passage_steps(plan), dict(zip(sides, columns, strict=True))
    scores = {name: agree(said, wanted, texts, plan=rows_plan, seed=seed) for name, said in sides.items()}
    own = scores.pop("")
    for name, one in scores.items():
        one["n_texts"] = len(list_said(sides[name]))
    return {**own, "baselines": scores} if scores else own


def texts_of(docs: Sequence[Doc]) -> Texts:
    return make_texts([doc.text for doc in docs], weights_of(docs))


def note_rows(plan: Plan) -> list[str]:
    if drop_passage_steps(plan) is None:
        return ["Rows of the plan are not compared: they depend on steps that run for each passage."]
    return []


def look_closer(
    docs: Sequence[Doc], found: Sequence[Said], wanted: Sequence[Said], *, calibrations: Calibrations, seed: int
) -> Json:
    """Return whether scores are reliable, the agreement in parts of the texts, and disagreements for people to read."""
    words = [doc.text for doc in docs]
    return {
        "reliability": find_reliability(docs, found, wanted, calibrations=calibrations, seed=seed),
        "slices": slice_agreement(words, found, wanted, texts_of(docs), seed=seed),
        "disagreements": list_disagreements(words, found, wanted),
    }


def draw(
    nlp: Language, plan: Plan, docs: Sequence[Doc], wanted: Sequence[Said], train_docs: Sequence[Doc], others: Baselines,
    curve: str, *, source: Path | None, config: Path | None, seed: int,
) -> tuple[Json | None, list[str]]:  # fmt: skip
    """Return the learning curve, or None and why there is none."""
    if curve not in CURVES:
        raise AnswerError(f"The curve is {curve!r}; expected one of {', '.join(CURVES)}.")
    train_docs = keep_answered(train_docs, plan)
    if not train_docs:
        return None, ["Without a learning curve: it takes the training answers, by --baselines."]
    if curve == "full":
        teach = teach_all(plan, train_docs, docs, nlp, source=source, config=config, seed=seed)
    elif others.base is None:
        return None, ["Without a learning curve of the heads: no pre-trained pipeline is named."]
    else:
        train_docs, docs, wanted = train_docs[:MAX_KEPT_TRAIN], docs[:MAX_KEPT_TEST], wanted[:MAX_KEPT_TEST]
        train, tests = others.train.take(range(len(train_docs))), others.tests.take(range(len(docs)))
        teach = teach_heads(others.base, train, tests, train_docs, seed=seed)
    found = draw_curve(train_docs, wanted, texts_of(docs), teach, kind=curve, seed=seed)
    return found, [] if found else [f"Without a learning curve: {len(train_docs)} training answers are too few."]
