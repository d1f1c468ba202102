"""What a pipeline knew before it learned something new, it still knows afterwards."""

from __future__ import annotations

import numpy
import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.pipeline.callbacks import add_instructions
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.score import places
from spacy_falconer.pipeline.span import example_targets
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, Quote
from spacy_falconer.workflow import train as module
from spacy_falconer.workflow.remember import add_findings, find_silent, remember
from spacy_falconer.workflow.train import teach_member

SATISFIED, GIFT = "The reviewer is satisfied.", "It was a gift."
MONEY, SHOP = "Amounts of money.", "Names of shops."
STEPS = {
    "positive": {"op": "get_label", "instruction": SATISFIED},
    "gift": {"op": "get_label", "instruction": GIFT},
    "price": {"op": "get_span", "instruction": MONEY},
    "shop": {"op": "get_span", "instruction": SHOP},
}
SILENT = ["gift", "shop"]


def plan_of(*keys):
    return parse_plan({"instruction": "Mine it", "steps": [{"id": key, **STEPS[key]} for key in keys]})


def answer(i):
    """Nothing was a gift, and no shop is named."""
    text = f"i paid {i} dollars and love it" if i % 2 else f"the bad price broke {i}"
    return Answer(
        text,
        "a model",
        {SATISFIED: bool(i % 2), GIFT: False},
        {MONEY: (Quote(f"{i} dollars"),) if i % 2 else (), SHOP: ()},
    )


def answers_to(plan, n=24):
    return make_docs([answer(i) for i in range(n)], plan, spacy.blank("en"))[0]


def raw_scores(nlp, key, texts):
    """What a component makes of texts by one instruction, before calibration and thresholds."""
    pipe = next(pipe for pipe in find_instructed(nlp) if key in pipe.labels)
    docs = [nlp.make_doc(text) for text in texts]
    for doc in docs:
        nlp.get_pipe("transformer")(doc)
    return pipe.predict(docs)[:, pipe.labels.index(key)]


@pytest.fixture
def base(make_nlp, tmp_path):
    """A pipeline without instructions; zero-shot, it finds something at its threshold."""
    make_nlp(labels={}, spans={}, threshold=0.06).to_disk(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def first(make_nlp, tmp_path):
    """The pipeline of an earlier task."""
    nlp = make_nlp(labels={"positive": SATISFIED, "gift": GIFT}, spans={"price": MONEY, "shop": SHOP}, threshold=0.06)
    nlp.to_disk(tmp_path / "first")
    return tmp_path / "first"


@pytest.fixture
def teach(base, training_overrides):
    overrides = {key: value for key, value in training_overrides.items() if key.startswith("training.")}
    overrides["training.eval_frequency"] = overrides["training.max_steps"] - 1  # The last state is the best of two.

    def run(plan, docs):
        settings = {"source": base, "replay": [], "config": None, "overrides": overrides, "seed": 0}
        return teach_member(plan, docs, docs, n_members=1, quiet=True, **settings)

    return run


def test_what_no_answer_says_yes_to_stays_as_it_was(teach, base, monkeypatch):
    plan = plan_of("positive", "gift", "price", "shop")
    docs, source = answers_to(plan), spacy.load(base)
    add_instructions(source, plan)
    assert find_silent(plan, docs) == SILENT
    kept = teach(plan, docs)
    monkeypatch.setattr(module, "remember", lambda source, plan, docs, *others, **settings: list(docs))
    moved = teach(plan, docs)
    texts = [doc.text for doc in docs]
    for key in SILENT:
        before = raw_scores(source, key, texts)
        drifts = [numpy.abs(raw_scores(nlp, key, texts) - before).mean() for nlp in (kept, moved)]
        assert drifts[0] < 0.5 * drifts[1], (key, drifts)
    for nlp in (kept, moved):
        assert nlp(texts[1]).cats["positive"] > 0.5 > nlp(texts[0]).cats["positive"]


def test_silent_instructions_are_said_again_as_the_source_says_them(base):
    plan = plan_of("positive", "gift", "price", "shop")
    docs, source = answers_to(plan_of("positive", "price")), spacy.load(base)
    add_instructions(source, plan)
    remembered = remember(base, plan, docs, [], silent=SILENT, seed=0)
    texts = [doc.text for doc in docs]
    assert [doc.cats["gift"] for doc in remembered] == pytest.approx(raw_scores(source, "gift", texts), abs=1e-5)
    assert [doc.cats["positive"] for doc in remembered] == [doc.cats["positive"] for doc in docs]
    shares = numpy.concatenate([doc.spans["sc"].attrs["shares"]["shop"] for doc in remembered])
    assert shares == pytest.approx(raw_scores(source, "shop", texts), abs=1e-5)
    assert {key for doc in remembered for key in doc.spans["sc"].attrs["asked"]} == {"price", "shop"}
    assert all(list(doc.spans["sc"].attrs["shares"]) == ["shop"] for doc in remembered)
    assert [places(doc.spans["sc"]).get("price") for doc in remembered] == [
        places(doc.spans["sc"]).get("price") for doc in docs
    ]


def test_nothing_is_asked_where_there_is_nothing_to_remember(base):
    plan = plan_of("positive", "price")
    docs = answers_to(plan)
    assert remember(base, plan, docs, [], seed=0) == docs


def test_earlier_instructions_without_answers_to_replay_are_kept_too(first):
    """A third task that has the answers to the second alone at hand."""
    plan = parse_plan({"instruction": "It", "steps": [{"id": "works", "op": "get_label", "instruction": "It works."}]})
    docs = [spacy.blank("en").make_doc(f"it works {i}") for i in range(24)]
    for i, doc in enumerate(docs):
        doc.cats = {"works": float(i % 2)}
        doc.spans["sc"] = []
        doc.spans["sc"].attrs["asked"] = []
    replay = answers_to(plan_of("positive", "price"))
    remembered = remember(first, plan, docs, replay, seed=0)
    assert len(remembered) == 48
    new, again = remembered[:24], remembered[24:]
    assert all(set(doc.cats) == {"works", "gift"} for doc in new)
    assert all(set(doc.cats) == {"positive", "gift"} for doc in again)
    assert {key for doc in new for key in doc.spans["sc"].attrs["asked"]} == {"shop"}
    assert {key for doc in again for key in doc.spans["sc"].attrs["asked"]} == {"price", "shop"}
    gift = raw_scores(spacy.load(first), "gift", [doc.text for doc in remembered])
    assert [doc.cats["gift"] for doc in remembered] == pytest.approx(gift, abs=1e-5)
    assert "gift" not in docs[0].cats


def test_replayed_answers_that_all_say_no_teach_nothing(first):
    plan = parse_plan({"instruction": "It", "steps": [{"id": "works", "op": "get_label", "instruction": "It works."}]})
    replay = answers_to(plan_of("positive", "gift", "price", "shop"))
    remembered = remember(first, plan, replay[:4], replay, seed=0)
    assert all(0.0 < doc.cats["gift"] < 1.0 for doc in remembered[4:])
    assert all(doc.cats["positive"] in (0.0, 1.0) for doc in remembered[4:])


def test_an_instruction_that_the_source_holds_and_that_is_answered_is_learned(first):
    plan = plan_of("positive", "price")
    docs = answers_to(plan)
    remembered = remember(first, plan, docs, [], seed=0)
    assert [doc.cats["positive"] for doc in remembered] == [doc.cats["positive"] for doc in docs]
    assert {key for doc in remembered for key in doc.spans["sc"].attrs["shares"]} == {"shop"}


def test_what_was_found_survives_the_docbin_and_is_what_is_learned(first):
    nlp = spacy.load(first)
    plan = plan_of("positive", "price")
    pipe = nlp.get_pipe("falconer_span")
    found = add_findings(answers_to(plan, 2), nlp, [(pipe, ["shop"])])
    read = list(DocBin(docs=found, store_user_data=True).get_docs(nlp.vocab))[1]
    example = Example(nlp.make_doc(read.text), read)
    targets = example_targets(example, pipe.labels, "sc")
    shop, price = (targets[:, pipe.labels.index(key)] for key in ("shop", "price"))
    assert shop == pytest.approx(raw_scores(nlp, "shop", [read.text]), abs=1e-5)
    assert price.argmax(axis=1).tolist() == [2, 2, 0, 1, 2, 2, 2] and set(price.ravel()) == {0.0, 1.0}
    other = Example(spacy.tokens.Doc(nlp.vocab, list(read.text)), read)
    assert set(numpy.unique(example_targets(other, pipe.labels, "sc"))) <= {0.0, 1.0}
