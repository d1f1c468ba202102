"""What spaCy users do with any component, they do with ours: by spaCy's own commands and methods."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import spacy
import spacy.cli  # noqa: F401 (its commands)
import srsly
from spacy.cli._util import app
from spacy.tokens import Doc, DocBin
from spacy.util import load_config
from typer.testing import CliRunner

import spacy_falconer
from spacy_falconer.corpus.docbin import make_docs, write_docbin
from spacy_falconer.plan import write_plan

CONFIGS = sorted((Path(spacy_falconer.__file__).parent / "configs").glob("*.cfg"))
PARTS = ["transformer", "falconer_label", "falconer_span"]
TEXTS = ["i paid 7 dollars and love it", "the bad price broke", ""]
FEW_STEPS = {"training.max_steps": 3, "training.eval_frequency": 3}


def run(*arguments, **settings):
    """Run one of spaCy's commands; what is on the screen."""
    options = [word for key, value in settings.items() for word in (f"--{key}", value)]
    result = CliRunner().invoke(app, [str(word) for word in (*arguments, *options)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def answers_of(nlp, texts=TEXTS):
    """What both components say: scores of labels, and places of passages with their scores, rounded."""
    docs = list(nlp.pipe(texts))
    cats = [{key: round(score, 4) for key, score in doc.cats.items()} for doc in docs]
    groups = [doc.spans.get("sc", ()) for doc in docs]
    scores = [[round(float(one), 4) for one in group.attrs["scores"]] if group else [] for group in groups]
    spans = [[(span.start_char, span.end_char, span.label_) for span in group] for group in groups]
    return cats, list(zip(spans, scores, strict=True))


@pytest.fixture(scope="module")
def paths(tmp_path_factory, review_plan, review_answers):
    """Answers and a plan on disk, as a config names them."""
    folder = tmp_path_factory.mktemp("paths")
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    write_docbin(docs[:30], folder / "train.spacy")
    write_docbin(docs[30:], folder / "dev.spacy")
    write_plan(review_plan, folder / "plan.json")
    files = {"train": "train.spacy", "dev": "dev.spacy", "plan": "plan.json"}
    return {f"paths.{key}": str(folder / name) for key, name in files.items()}


@pytest.fixture
def write_config(tiny_config, tmp_path):
    """Change the package's training config: values by their dotted names, and components."""

    def write(components=None, **changed):
        config = load_config(tiny_config, overrides=changed)
        if components is not None:
            config["components"] = components
            config["nlp"]["pipeline"] = list(components)
        config.to_disk(tmp_path / "own.cfg")
        return tmp_path / "own.cfg"

    return write


def source_all(saved, **more):
    return {**{name: {"source": str(saved)} for name in PARTS}, **more}


# The commands.


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_quickstart_config_is_filled_and_found_valid(path, paths, tmp_path):
    """As spaCy's own quickstart, ours hold only what differs: `init fill-config` fills the rest."""
    run("init", "fill-config", path, tmp_path / "full.cfg")
    assert load_config(tmp_path / "full.cfg")["components"]["falconer_span"]["spans_key"] == "sc"
    shown = run("debug", "config", tmp_path / "full.cfg", "--show-functions", **paths)
    assert "spacy-falconer.add_instructions.v1" in shown and "✘" not in shown


def test_debug_data_knows_the_data(tiny_config, paths, tmp_path):
    """It counts the texts and knows nothing of our components; fewer than 100 texts are an error to it."""
    run("init", "fill-config", tiny_config, tmp_path / "full.cfg")
    docs = DocBin().from_disk(paths["paths.train"]).get_docs(spacy.blank("en").vocab)
    write_docbin(list(docs) * 4, tmp_path / "many.spacy")
    paths = {**paths, "paths.train": tmp_path / "many.spacy"}
    shown = " ".join(run("debug", "data", tmp_path / "full.cfg", "--no-format", **paths).split())
    assert "Training pipeline: transformer, falconer_label, falconer_span" in shown
    assert "Pipeline can be initialized with data" in shown and "Corpus is loadable" in shown
    assert "120 training docs" in shown and "10 evaluation docs" in shown


def test_a_model_is_described(tiny_config, paths, tmp_path):
    run("init", "fill-config", tiny_config, tmp_path / "full.cfg")
    assert "falconer-metamodel" in run("debug", "model", tmp_path / "full.cfg", "falconer_span", "-P0", **paths)


def test_spacy_train_learns_and_spacy_evaluate_agrees(tiny_config, paths, tmp_path):
    run("train", tiny_config, "--output", tmp_path, **paths)
    nlp = spacy.load(tmp_path / "model-best")
    assert nlp.meta["performance"]["cats_macro_f"] > 0.9 and nlp.meta["performance"]["spans_sc_macro_f"] > 0.9
    run("evaluate", tmp_path / "model-best", paths["paths.dev"], "--output", tmp_path / "scores.json")
    scores = srsly.read_json(tmp_path / "scores.json")
    assert scores["spans_sc_macro_f"] == pytest.approx(nlp.meta["performance"]["spans_sc_macro_f"])


def test_spacy_assemble_makes_a_pipeline_of_parts(saved, write_config, tmp_path):
    """The plan's component is sourced like the others, and finds the pipeline that it stands in."""
    components = source_all(saved, falconer_plan={"source": str(saved)}, sentencizer={"factory": "sentencizer"})
    config = write_config(components)
    run("assemble", config, tmp_path / "assembled")
    nlp, source = spacy.load(tmp_path / "assembled"), spacy.load(saved)
    assert nlp.pipe_names == [*PARTS, "falconer_plan", "sentencizer"]
    assert answers_of(nlp) == answers_of(source)
    assert nlp(TEXTS[0])._.mined == source(TEXTS[0])._.mined is not None


def test_spacy_assemble_replaces_listeners(saved, write_config, tmp_path):
    """One component without the transformer beside it."""
    part = {"source": str(saved), "replace_listeners": ["model.tok2vec"]}
    run("assemble", write_config({"falconer_span": part}), tmp_path / "assembled")
    nlp = spacy.load(tmp_path / "assembled")
    assert nlp.pipe_names == ["falconer_span"]
    assert answers_of(nlp)[1] == answers_of(spacy.load(saved))[1] != [([], [])] * 3


# Training beside other components.


@pytest.fixture
def train_on(saved, write_config, paths, tmp_path):
    """Train sourced components by `spacy train`, some of them frozen."""

    def train(frozen, annotating, **more):
        config = load_config(write_config(source_all(saved, **more), **FEW_STEPS))
        config["training"].update(frozen_components=frozen, annotating_components=annotating)
        config["training"]["score_weights"] = {"cats_macro_f": 1.0}
        config.to_disk(tmp_path / "frozen.cfg")
        run("train", tmp_path / "frozen.cfg", "--output", tmp_path / "out", **paths)
        return spacy.load(tmp_path / "out" / "model-last")

    return train


def weights_of(nlp, name):
    return nlp.get_pipe(name).model.to_bytes()


def test_frozen_components_stay_as_they_are_beside_one_that_learns(saved, train_on):
    bag = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": False, "ngram_size": 1}
    own = {"factory": "textcat_multilabel", "model": {**bag, "length": 64, "no_output_layer": False}}
    nlp, before = train_on(PARTS, PARTS, textcat_multilabel=own), spacy.load(saved)
    assert nlp.pipe_names == [*PARTS, "textcat_multilabel"]
    for name in PARTS:
        assert weights_of(nlp, name) == weights_of(before, name)
    with nlp.select_pipes(disable="textcat_multilabel"):
        assert answers_of(nlp) == answers_of(before)


def test_heads_learn_on_a_frozen_encoder(saved, train_on):
    nlp, before = train_on(["transformer"], ["transformer"]), spacy.load(saved)
    assert weights_of(nlp, "transformer") == weights_of(before, "transformer")
    assert weights_of(nlp, "falconer_label") != weights_of(before, "falconer_label")
    assert weights_of(nlp, "falconer_span") != weights_of(before, "falconer_span")


# The pipeline's methods.


@pytest.fixture
def eager(make_nlp):
    """A pipeline that finds something: thresholds at which even random weights speak."""
    return make_nlp(threshold=0.06)


def test_components_are_sourced_with_their_transformer(eager):
    nlp = spacy.blank("en")
    for name in PARTS:
        nlp.add_pipe(name, source=eager)
    assert answers_of(nlp) == answers_of(eager)
    assert set(nlp("I love it").cats) == {"positive", "defect"}


@pytest.mark.parametrize("name", ["falconer_label", "falconer_span"])
def test_one_component_is_sourced_alone_once_it_owns_its_encoder(eager, name):
    expected = answers_of(eager)[name == "falconer_span"]
    eager.replace_listeners("transformer", name, ["model.tok2vec"])
    nlp = spacy.blank("en")
    nlp.add_pipe(name, source=eager)
    assert answers_of(nlp)[name == "falconer_span"] == expected
    with nlp.select_pipes(disable=name):
        assert nlp("I love it").cats == {}


def test_what_stands_beside_ours_may_be_disabled_and_taken_away(eager):
    labels, spans = answers_of(eager)
    with eager.select_pipes(enable=["transformer", "falconer_span"]):
        assert answers_of(eager) == ([{}, {}, {}], spans)
    eager.remove_pipe("falconer_span")
    assert answers_of(eager)[0] == labels


def test_analyze_pipes_knows_what_is_written(eager):
    eager.add_pipe("falconer_plan")
    analysis = eager.analyze_pipes()
    assigned = {name: one["assigns"] for name, one in analysis["summary"].items()}
    assert assigned["falconer_label"] == ["doc.cats"] and assigned["falconer_span"] == ["doc.spans"]
    assert assigned["falconer_plan"] == ["doc._.mined"] and not any(analysis["problems"].values())


def test_the_saved_parts_are_equal_by_disk_and_by_bytes(saved):
    nlp = spacy.load(saved)
    fresh = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    expected = nlp(TEXTS[0])._.mined
    assert expected is not None and fresh(TEXTS[0])._.mined == expected


def test_mined_docs_may_be_pickled(trained):
    doc = trained[0](TEXTS[0])
    read = pickle.loads(pickle.dumps(doc))
    assert read._.mined == doc._.mined is not None
    assert (
        read.cats == doc.cats and read.spans["sc"].attrs["scores"].tolist() == doc.spans["sc"].attrs["scores"].tolist()
    )


def test_mined_docs_go_through_a_docbin(trained):
    doc = trained[0](TEXTS[0])
    data = DocBin(store_user_data=True, docs=[doc]).to_bytes()
    (read,) = DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab)
    assert read.cats == doc.cats and [span.text for span in read.spans["sc"]] == ["7 dollars"]
    assert read._.mined["labels"] == doc._.mined["labels"]


def test_docs_of_a_pipeline_go_into_another_one(trained, eager):
    """`nlp(doc)` takes a doc in place of a text."""
    doc = trained[0](TEXTS[0])
    assert isinstance(doc, Doc) and set(eager(doc).cats) >= {"positive", "gift", "defect"}
