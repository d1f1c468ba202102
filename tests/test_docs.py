"""The documents say what is: every command stands in README, every snippet runs and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from runpy import run_path

import pytest
import spacy
import srsly
from spacy.training import Example
from spacy.util import fix_random_seed
from typer.main import get_command

import spacy_falconer
from spacy_falconer.cli.app import app
from spacy_falconer.plan import parse_plan, read_plan

ROOT = Path(spacy_falconer.__file__).parents[1]
TEXTS = ["Paid $25 for this kettle. It boils quickly and looks great!", "Broke after a week."]
README = (ROOT / "README.md").read_text(encoding="utf8")


@pytest.mark.parametrize("command", sorted(get_command(app).commands))
def test_readme_names_every_command(command):
    assert re.search(rf"\| `{command} ", README)


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda path: path.name
)
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf8"), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
        if not target.startswith("http"):
            page = path.parent / target if target else path
            assert page.exists(), target
            assert not anchor or anchor in find_anchors(page), f"{target}#{anchor}"


def find_anchors(path):
    """The headings of a page as addresses name them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_site_has_every_page():
    config = srsly.read_yaml(ROOT / "mkdocs.yml")
    named = re.findall(r"[\w/]+\.md", str(config["nav"]))
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    included = [
        path for page in named for path in re.findall(r'--8<-- "(.*)"', (ROOT / "docs" / page).read_text("utf8"))
    ]
    assert included and all((ROOT / path).exists() for path in included)


def test_every_message_that_is_explained_is_one_of_ours():
    """Holes in a heading stand for anything; in the code, for values."""
    hooks = run_path(str(ROOT / "docs" / "hooks" / "pages.py"))
    messages = [words for *_, words in hooks["read_messages"]()]
    assert len(messages) > 100
    headings = re.findall(r"^### `(.*)`$", (ROOT / "docs" / "troubleshooting.md").read_text("utf8"), re.MULTILINE)
    assert len(headings) > 20
    for heading in headings:
        pattern = ".*".join(re.escape(part) for part in heading.split("..."))
        assert any(re.match(pattern, message, re.DOTALL) for message in messages), heading


def test_the_documents_know_the_version():
    assert f"## {spacy_falconer.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf8")
    assert f"version: {spacy_falconer.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf8")


def test_the_plan_of_the_documents_is_a_plan():
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf8")
    parse_plan(re.search(r"```json\n(\{\"instruction\".*?)```", text, re.DOTALL).group(1))


def test_readme_snippets_print_what_they_say(demo_like, monkeypatch):
    monkeypatch.setattr(spacy, "load", lambda name: demo_like)
    names: dict = {}
    snippets = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL)
    assert len(snippets) == 3
    for code, printed in snippets:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, names)  # noqa: S102
        assert out.getvalue() == printed


@pytest.fixture(scope="module")
def demo_like(transformer_settings, make_reference):
    """The tiny encoder, taught README's own texts: the snippets are run here, how well the demo reads is measured elsewhere."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config=transformer_settings)
    nlp.add_pipe("falconer_label", config={"instructions": {"positive": "The reviewer is satisfied."}})
    nlp.add_pipe("falconer_span", config={"instructions": {"price": "Money.", "praised": "Praise."}})
    nlp.initialize()
    spans = [("price", "$25"), ("praised", "boils quickly"), ("praised", "looks great")]
    good = make_reference(nlp, TEXTS[0], {"positive": 1.0}, spans)
    bad = make_reference(nlp, TEXTS[1], {"positive": 0.0}, [])
    optimizer = nlp.resume_training()
    for _ in range(100):
        nlp.update([Example(nlp.make_doc(doc.text), doc) for doc in (good, bad)], sgd=optimizer)
    nlp.add_pipe("falconer_plan").set_plan(read_plan(ROOT / "assets" / "plan-reviews.json"))
    return nlp
