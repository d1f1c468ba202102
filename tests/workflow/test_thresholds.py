"""Calibrations and thresholds of a pipeline, from answers. The tiny encoder has random weights: the answers are made so
that its scores tell something.
"""

from __future__ import annotations

from dataclasses import replace

import numpy
import pytest
import spacy
import srsly
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.corpus.docbin import write_docbin
from spacy_falconer.metamodel.reliability import measure_ece
from spacy_falconer.plan import parse_plan
from spacy_falconer.workflow.calibration import N_FOLDS, cross_fit, measure_changes
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.fitted import list_thresholds
from spacy_falconer.workflow.report import format_scores
from spacy_falconer.workflow.targets import parse_targets
from spacy_falconer.workflow.thresholds import calibrate_all, fit_thresholds, read_candidates

WORDS = "the a i paid for it and love loved this is good bad broke nice great price cost works dollars buy"
OPS = {"positive": "get_label", "defect": "get_label", "price": "get_span", "praised": "get_span"}
STEPS = [{"id": key, "op": op, "instruction": key} for key, op in OPS.items()]
PLAN = parse_plan({"instruction": "All", "steps": STEPS, "output": ["price"]})


@pytest.fixture
def eager(make_nlp):
    return make_nlp(threshold=0.06)


@pytest.fixture
def answers(eager, answered):
    """Answers that say yes to "positive" the more often, the higher a text scores among the others; and to nothing else."""
    random = numpy.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS.split(), size=8)) + f" {i}" for i in range(200)]
    scores = numpy.array([doc.cats["positive"] for doc in eager.pipe(texts)])
    yes = random.uniform(size=200) < (scores.argsort().argsort() / 200) ** 2
    cats = [{"positive": float(value), "defect": 0.0} for value in yes]
    return [
        answered(eager, text, one, [], asked=["price"], missed={}, unplaced={})
        for text, one in zip(texts, cats, strict=True)
    ]


def measure(nlp, docs, key):
    (pipe, candidates), *_ = read_candidates(nlp, docs)
    part = calibrate_all(pipe, candidates)[key]
    return measure_ece(part.scores, part.hits, n_resamples=2).value


def test_scores_come_to_mean_what_they_say(eager, answers):
    before = measure(eager, answers[100:], "positive")
    fit_thresholds(eager, answers[:100])
    assert measure(eager, answers[100:], "positive") < 0.5 * before
    assert numpy.mean([doc.cats["positive"] for doc in eager.pipe([doc.text for doc in answers])]) == pytest.approx(
        numpy.mean([doc.cats["positive"] for doc in answers]), abs=0.1
    )


def test_what_scores_were_before_is_measured_from_what_they_are_after(eager, answers):
    before = evaluate(eager, answers[100:])["reliability"]
    fit_thresholds(eager, answers[:100])
    after = evaluate(eager, answers[100:])["reliability"]
    assert before["labels"]["before"] is None and before["labels"]["per_instruction"]["positive"]["before"] is None
    assert after["labels"]["before"]["ece"] == pytest.approx(before["labels"]["ece"], abs=1e-4)
    assert after["labels"]["before"]["bins"][0] == pytest.approx(before["labels"]["bins"][0], abs=1e-4)
    one, same = (found["labels"]["per_instruction"]["positive"] for found in (after, before))
    assert one["before"]["ece"] == pytest.approx(same["ece"], abs=1e-4) and one["ece"] < 0.5 * same["ece"]
    assert one["n"] == 100 and after["labels"]["n"] == 200
    assert after["labels"]["per_instruction"]["defect"]["before"] is None  # It was not calibrated.
    assert after["spans"] is None or after["spans"]["before"] is None
    words = format_scores(evaluate(eager, answers[100:]))
    assert f"of 200 labels: {after['labels']['ece']:.3f} (" in words and ", before calibration " in words


def test_no_text_is_judged_by_a_calibration_that_it_was_in(eager, answers):
    (_, raw), *_ = read_candidates(eager, answers)
    part = raw["positive"]
    flipped = replace(part, hits=numpy.where(part.texts % N_FOLDS == 0, ~part.hits, part.hits))
    one, other = (cross_fit({"positive": some}, {"positive": some})["positive"].scores for some in (part, flipped))
    same = part.texts % N_FOLDS == 0
    assert (one[same] == other[same]).all() and (one[~same] != other[~same]).all()
    assert (one != part.scores).all()


def test_changes_are_those_of_the_pipeline_as_it_is(eager, answers):
    first = {one.name: one for one in measure_changes(read_candidates(eager, answers))}
    assert list(first)[:3] == ["all labels", "positive", "defect"]
    assert first["positive"].after.value < 0.5 * first["positive"].before.value
    assert first["defect"].after == first["defect"].before  # It was never right: nothing is known of its scores.
    fit_thresholds(eager, answers)
    again = {one.name: one for one in measure_changes(read_candidates(eager, answers))}
    assert again["positive"].after == first["positive"].after
    assert again["positive"].before.value < 0.5 * first["positive"].before.value


def test_what_was_never_right_and_what_was_not_asked_stay_as_they_were(eager, answers):
    text = answers[0].text
    before = eager(text)
    fitted = fit_thresholds(eager, answers)
    after = eager(text)
    assert after.cats["defect"] == before.cats["defect"] and after.cats["positive"] != before.cats["positive"]
    assert after.spans["sc"].attrs["scores"] == pytest.approx(before.spans["sc"].attrs["scores"])
    assert "praised" not in {one.key for one in fitted}
    assert {one.key for one in fitted if one.is_shared} == {"defect", "price"}
    assert eager.get_pipe("falconer_label").threshold_of("defect") == 0.06


def test_fitting_again_changes_nothing(eager, answers):
    fit_thresholds(eager, answers)
    first = [srsly.json_dumps(dict(pipe.cfg)) for _, pipe in eager.pipeline[1:]]
    fit_thresholds(eager, answers)
    assert [srsly.json_dumps(dict(pipe.cfg)) for _, pipe in eager.pipeline[1:]] == first


def test_a_higher_precision_takes_a_higher_threshold_and_a_warning(eager, answers):
    low, high = (
        fit_thresholds(eager, answers, parse_targets([text], plan=PLAN))[0]
        for text in ("positive:precision=0.5", "positive:precision=0.95")
    )
    assert low.choice.threshold < high.choice.threshold == eager.get_pipe("falconer_label").threshold_of("positive")
    assert low.explain() is None
    assert "positive: precision=0.95" in high.explain()


def test_too_few_answers_for_a_target_are_told(eager, answers):
    fitted = {one.key: one for one in fit_thresholds(eager, answers[:30], parse_targets(["recall=0.9"], plan=PLAN))}
    n = fitted["positive"].choice.n
    assert n < 29 and f"was chosen on {n} held-out answers; it takes 29 to show it" in fitted["positive"].explain()
    assert fitted["defect"].explain().startswith("defect: no held-out answer supports recall=0.9; its threshold stays")


def test_calibrate_writes_a_pipeline_with_new_thresholds(eager, answers, tmp_path):
    eager.add_pipe("falconer_plan").set_plan(PLAN)
    eager.to_disk(tmp_path / "old")
    write_docbin(answers, tmp_path / "answers.spacy")
    arguments = ["calibrate", tmp_path / "old", tmp_path / "answers.spacy", "--output", tmp_path / "new"]
    found = CliRunner().invoke(app, [*map(str, arguments), "--target", "positive:recall=0.95"])
    assert found.exit_code == 0 and "recall=0.95" in found.output
    (line,) = [line.split() for line in found.output.splitlines() if line.startswith("positive  ") and " to " in line]
    assert float(line[2]) > float(line[6]) and line[1] == "200"  # The errors before and after.
    new, old = spacy.load(tmp_path / "new"), spacy.load(tmp_path / "old")
    docs = list(new.pipe([doc.text for doc in answers]))
    threshold = new.get_pipe("falconer_label").threshold_of("positive")
    reached = [
        doc.cats["positive"] >= threshold for doc, one in zip(docs, answers, strict=True) if one.cats["positive"]
    ]
    assert numpy.mean(reached) > 0.9
    assert list_thresholds(new)["positive"]["target"] == "recall=0.95" and set(list_thresholds(old)["positive"]) == {
        "threshold"
    }
    assert old.get_pipe("falconer_label").cfg["calibrations"] == {} and docs[0]._.mined is not None
    wrong = CliRunner().invoke(app, [*map(str, arguments), "--target", "recall"])
    assert wrong.exit_code == 1 and "The target 'recall' cannot be read" in wrong.output


def test_what_thresholds_are_for_is_kept_with_the_pipeline(eager, answers, tmp_path):
    eager.add_pipe("falconer_plan").set_plan(PLAN)
    fitted = fit_thresholds(eager, answers[:30], parse_targets(["positive:recall=0.9"], plan=PLAN))
    eager.to_disk(tmp_path / "first")
    nlp = spacy.load(tmp_path / "first")
    kept = list_thresholds(nlp)
    assert kept == list_thresholds(eager) == evaluate(nlp, answers)["thresholds"]
    positive = kept["positive"]
    assert positive["target"] == "recall=0.9" and positive["threshold"] == fitted[0].choice.threshold
    assert (positive["n"], positive["n_needed"]) == (fitted[0].choice.n, 29) and positive["n"] < 29
    assert "positive: recall=0.9 was chosen on" in positive["doubt"]
    assert kept["defect"]["is_shared"] and "defect: too few positive answers" in kept["defect"]["doubt"]
    assert kept["defect"]["threshold"] == 0.06 and kept["praised"] == {"threshold": 0.06}  # It was not asked.
    nlp.get_pipe("falconer_label").cfg["thresholds"]["positive"] = 0.123
    assert list_thresholds(nlp)["positive"] == {"threshold": 0.123}  # Someone else's, for who knows what.


def test_the_terminal_says_which_thresholds_are_by_wish(eager, answers):
    targets = parse_targets(["positive:precision=0.5"], plan=PLAN)
    fit_thresholds(eager, answers, targets)
    words = format_scores(evaluate(eager, answers))
    threshold = eager.get_pipe("falconer_label").threshold_of("positive")
    assert f"Thresholds by wish: positive {threshold:.2f} for precision=0.5\n" in words
    assert "defect: too few positive answers for a threshold of its own." in words


def test_a_package_knows_what_its_thresholds_are_for(eager, answers, tmp_path):
    from spacy.cli.package import package

    fit_thresholds(eager, answers, parse_targets(["positive:recall=0.9"], plan=PLAN))
    eager.to_disk(tmp_path / "pipeline")
    (tmp_path / "out").mkdir()
    package(tmp_path / "pipeline", tmp_path / "out", create_sdist=False, silent=True)
    (folder,) = (path.parent for path in (tmp_path / "out").rglob("config.cfg"))
    assert list_thresholds(spacy.load(folder))["positive"]["target"] == "recall=0.9"
