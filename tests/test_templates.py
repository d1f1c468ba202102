"""The spaCy projects: the demo, and the templates that differ from it in their variables; cloned as a user clones them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import spacy
import spacy.cli  # noqa: F401 (its commands)
import srsly
from packaging.requirements import Requirement
from spacy.cli._util import app
from typer.testing import CliRunner
from weasel.cli.document import project_document
from weasel.util import get_checksum

import spacy_falconer
from spacy_falconer.corpus.docbin import make_docs, read_docbin
from spacy_falconer.corpus.read import read_corpus, read_units
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.plan import read_plan, write_plan

ROOT = Path(spacy_falconer.__file__).parents[1]
TEMPLATES = sorted(path.parent for path in ROOT.glob("templates/*/project.yml"))
DEMO = srsly.read_yaml(ROOT / "project.yml")
ANSWERS = "answers", "test_answers"

each_template = pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)


def read_vars(folder):
    return srsly.read_yaml(folder / "project.yml")["vars"]


def run(*arguments):
    result = CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_there_is_a_template_for_each_kind_of_text():
    assert [path.name for path in TEMPLATES] == ["biomedical", "news", "tweets"]


@each_template
def test_a_template_differs_from_the_demo_in_its_variables_alone(template):
    project = srsly.read_yaml(template / "project.yml")
    assert {**project, "vars": None} == {**DEMO, "vars": None}
    assert list(project["vars"]) == list(DEMO["vars"]) and project["vars"] != DEMO["vars"]


@each_template
def test_a_template_brings_the_files_that_it_names(template):
    settings = read_vars(template)
    for name in ("instruction", "corpus", "plan", "package", *ANSWERS):
        assert (template / settings[name]).is_file(), name
    assert Requirement((template / settings["package"]).read_text().strip()).specifier.contains(
        spacy_falconer.__version__
    )
    plan = read_plan(template / settings["plan"])
    assert plan.instruction == (template / settings["instruction"]).read_text().strip()


@each_template
def test_the_answers_of_a_template_are_about_its_texts_and_can_be_learned(template):
    """Every quote stands in its text, and every instruction has a yes to learn from and one to test on."""
    settings = read_vars(template)
    plan = read_plan(template / settings["plan"])
    units = [one.text for one in read_units(read_corpus(template / settings["corpus"]), plan.unit)]
    answers = [list(read_exchange(template / settings[name])) for name in ANSWERS]
    assert sorted(one.text for some in answers for one in some) == sorted(units)
    for some in answers:
        docs, report = make_docs(some, plan, spacy.blank("en"))
        assert len(docs) == len(some) and all(one.n_placed == one.n_quotes for one in report.placements.values())
        said = {key for doc in docs for key, value in doc.cats.items() if value}
        said |= {span.label_ for doc in docs for span in doc.spans["sc"]}
        assert said == {step.id for step in plan.steps}


@pytest.mark.parametrize("folder", [ROOT, *TEMPLATES], ids=lambda path: path.name)
def test_the_documents_of_a_project_are_those_that_spacy_writes(folder, tmp_path):
    page = "PROJECT.md" if folder == ROOT else "README.md"
    shutil.copy(folder / page, tmp_path / page)
    project_document(folder, tmp_path / page, no_emoji=True)
    where = folder.relative_to(ROOT)
    remedy = f"python -m spacy project document {where} --output {where / page} --no-emoji"
    assert (tmp_path / page).read_text() == (folder / page).read_text(), f"Write it anew: {remedy}"


def test_the_pre_trained_pipeline_is_the_one_that_the_project_names():
    """Else `spacy project assets` would fetch it, though it is there."""
    (asset,) = [one for one in DEMO["assets"] if "git" in one]
    assert asset["dest"] == DEMO["vars"]["source"] == asset["git"]["path"]
    found = get_checksum(ROOT / asset["dest"])
    assert asset["checksum"] == found, f"Write checksum {found} into project.yml and those of the templates."


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A clone of the project as far as the templates need it, with a stand-in for the pre-trained pipeline."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "templates", folder / "templates", ignore=shutil.ignore_patterns("output", "project.lock"))
    (folder / "assets" / "en_falconer_sm").mkdir(parents=True)
    (folder / "assets" / "en_falconer_sm" / "config.cfg").write_text("[nlp]\n")
    shutil.copy(ROOT / "project.yml", folder)
    who = ["-c", "user.name=a test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def test_the_whole_project_is_cloned(repository, tmp_path):
    run("project", "clone", ".", tmp_path / "mine", "--repo", repository)
    assert (tmp_path / "mine" / "project.yml").exists() and (tmp_path / "mine" / "templates" / "news").exists()


@pytest.mark.parametrize(("name", "n_train", "n_test"), [("biomedical", 32, 16), ("news", 28, 12), ("tweets", 28, 12)])
def test_a_cloned_template_runs_offline(name, n_train, n_test, repository, tmp_path, monkeypatch, capfd):
    """From a clone of its folder alone: the pipeline is fetched, and the sentence is planned and answered by nobody."""
    for variable in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "mine"
    run("project", "clone", f"templates/{name}", folder, "--repo", repository)
    assert not (folder / "assets" / "en_falconer_sm").exists()
    run("project", "assets", folder, "--vars.repo", repository)
    assert (folder / "assets" / "en_falconer_sm" / "config.cfg").exists()
    for command in ("plan", "annotate"):
        run("project", "run", command, folder)
    shown = " ".join(capfd.readouterr().out.split())
    assert "no language model was asked" in shown
    assert f"{n_train} answered texts to learn from, {n_test} to test on" in shown
    assert read_plan(folder / "output" / "plan.json") == read_plan(folder / "assets" / "plan.json")
    assert "nothing changed" in run("project", "run", "annotate", folder)


def test_a_corpus_may_have_columns_of_other_names(repository, tmp_path, capfd):
    folder = tmp_path / "mine"
    run("project", "clone", "templates/news", folder, "--repo", repository)
    rows = srsly.read_jsonl(folder / "assets" / "texts.jsonl")
    srsly.write_jsonl(folder / "my news.jsonl", [{"key": row["id"], "body": row["text"]} for row in rows])
    changed = {"corpus": "my news.jsonl", "text_field": "body", "id_field": "key", "source": "assets"}
    run("project", "run", "plan", folder, *(f"--vars.{key}={value}" for key, value in changed.items()))
    run("project", "run", "annotate", folder, *(f"--vars.{key}={value}" for key, value in changed.items()))
    assert "28 answered texts to learn from" in " ".join(capfd.readouterr().out.split())


@pytest.fixture
def clone(repository, tmp_path):
    """Clone a template; the command that runs one of its commands, with other variables where they are named."""

    def clone(name):
        folder = tmp_path / "mine"
        run("project", "clone", f"templates/{name}", folder, "--repo", repository)

        def run_command(command, **changed):
            return run("project", "run", command, folder, *(f"--vars.{key}={value}" for key, value in changed.items()))

        return folder, run_command

    return clone


def test_what_a_template_learned_is_mined(clone, tiny_config):
    """On through the steps that take long with the pre-trained pipeline. A tiny one learns too little to choose rows by."""
    folder, run_command = clone("biomedical")
    plan = read_plan(folder / "assets" / "plan.json").model_copy(update={"keep": "true"})
    write_plan(plan, folder / "all.json")
    for command in ("plan", "annotate", "train", "mine"):
        run_command(command, source=tiny_config, plan="all.json")
    nlp, rows = spacy.load(folder / "output" / "pipeline"), list(srsly.read_jsonl(folder / "output" / "rows.jsonl"))
    texts = {row["id"]: row["text"] for row in srsly.read_jsonl(folder / "assets" / "texts.jsonl")}
    assert len(rows) == 48 and {row["id"] for row in rows} == set(texts)  # A row for each sentence.
    for row in rows:
        mined = nlp(texts[row["id"]][row["sentence"]["start"] : row["sentence"]["end"]])._.mined[0]
        assert row["labels"] == pytest.approx(mined["labels"], abs=1e-4) and "result" in row["labels"]


def test_posts_are_asked_about_in_rounds(clone, make_nlp, llm_server):
    """As the template says: balanced, and then those of which the pipeline of the round before is least sure."""
    folder, run_command = clone("tweets")
    make_nlp(labels={}, spans={}).to_disk(folder / "base")
    posts = [f"i {'love it' if n % 3 else 'want it'}, paid {n % 10} dollars, number {n}" for n in range(80)]
    srsly.write_jsonl(folder / "posts.jsonl", [{"id": str(n), "text": post} for n, post in enumerate(posts)])
    (folder / "sentence.txt").write_text("Prices of loved things")
    changed = {"corpus": "posts.jsonl", "instruction": "sentence.txt", "source": "base", "sample": 60}
    for command in ("plan", "annotate"):
        run_command(command, **changed, max_cost="''", max_requests=100)
    docs, tests = (read_docbin(folder / "output" / f"{name}.spacy", spacy.blank("en")) for name in ("train", "test"))
    assert {doc.user_data["chosen"] for doc in docs} == {"random", "balanced", "uncertain"}
    assert {doc.user_data["chosen"] for doc in tests} == {"held-out"}
    assert len({doc.text for doc in [*docs, *tests]}) == len(docs) + len(tests) == len(llm_server.annotated) <= 60
