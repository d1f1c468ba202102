"""The report's page in Chromium: at phone and at desk width, in light and dark; and nothing that it shows is run."""

from __future__ import annotations

import pytest
import srsly
from browser import NAME, Browser, find_browser
from reports import HOSTILE, TEXT, TOTALS, make_full_scores, make_hostile, make_span, write_mined, write_run

from spacy_falconer.workflow.page import make_page, read_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason=f"{NAME} is not installed: on Debian, apt install {NAME}"),
]
WIDTHS = 360, 1200
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichennadeln"  # As long as a name may be.
FIND_WIDE = """(() => {
  document.querySelectorAll("details").forEach((one) => { one.open = true });
  const scrolls = (one) => one && ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
  const isInside = (one) => one && (scrolls(one) || isInside(one.parentElement));
  const isWide = (one) => {
    const place = one.getBoundingClientRect();
    const frame = (one.ownerSVGElement || document.documentElement).getBoundingClientRect();
    if (place.width === 0 || one.closest("defs")) return false;
    const isOut = place.left < frame.left - 1 || place.right > frame.right + 1;
    return isOut || (one instanceof HTMLElement && one.clientWidth > 0 && one.scrollWidth > one.clientWidth && !scrolls(one));
  };
  const all = [document.documentElement, ...document.body.querySelectorAll("*")];
  const wide = all.filter((one) => !isInside(one.parentElement) && isWide(one));
  return wide.map((one) => `${one.tagName} ${one.getAttribute("class") || ""} ${one.textContent.trim().slice(0, 20)}`);
})()"""
BRIGHTNESS = """(() => {
  const style = getComputedStyle(document.body);
  return [style.backgroundColor, style.color].map((one) => one.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 765);
})()"""
TOUCH = "document.querySelectorAll('*').forEach((one) => one.dispatchEvent(new MouseEvent('mouseover')))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path, review_plan, review_answers):
    write_run(tmp_path, review_plan, review_answers)
    srsly.write_json(tmp_path / "scores.json", {**make_full_scores(), "people": make_full_scores()})
    return tmp_path


@pytest.fixture
def show(browser, tmp_path):
    """Show a page; the browser, for questions."""

    def show(html, **settings):
        (tmp_path / "page.html").write_bytes(html.encode("utf8"))
        browser.open(tmp_path / "page.html", **settings)
        return browser

    return show


@pytest.fixture
def keep_picture(browser, request):
    """Where --screenshots names a folder, keep a picture of what the browser shows."""
    kept = request.config.getoption("--screenshots")

    def keep(name):
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
            browser.shoot(kept / f"{name}.png")

    return keep


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(width, scheme, folder, show, keep_picture):
    page = show(make_page(read_run(folder), {f"r{n}": TEXT for n in range(3)}), width=width, scheme=scheme)
    keep_picture(f"report-{width}-{scheme}")
    assert "\n".join(page.run(FIND_WIDE)) == "" and page.run("innerWidth") == width
    back, ink = page.run(BRIGHTNESS)
    assert (back > 0.9 and ink < 0.2) if scheme == "light" else (back < 0.2 and ink > 0.8)
    keep_picture(f"report-{width}-{scheme}-unfolded")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("evil", [LONG, *HOSTILE], ids=["long", *map(str, range(len(HOSTILE)))])
def test_strange_words_make_nothing_wider(evil, width, tmp_path, show, keep_picture):
    page = show(make_hostile(tmp_path, evil), width=width)
    assert "\n".join(page.run(FIND_WIDE)) == "" and page.run("innerWidth") == width
    if evil is LONG:
        keep_picture(f"long-words-{width}")


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
def test_a_browser_shows_the_rows_and_runs_nothing_else(evil, tmp_path, show):
    page = show(make_hostile(tmp_path, evil.replace("alert(1)", "document.title=1")))
    page.run(TOUCH)
    assert page.run("document.title") != "1" and page.run("performance.getEntriesByType('resource').length") == 0
    assert "1 of 1 rows" in page.run("document.body.innerText")
    counts = page.run("['script', 'mark', 'img'].map((tag) => document.getElementsByTagName(tag).length)")
    assert counts == [2, 6, 0]  # One mark in the rows, the others in disagreements.


@pytest.mark.parametrize("foreign", ["<script>document.title = 1</script>", "<img src=x onerror='document.title = 1'>"])
def test_a_browser_runs_no_script_that_is_not_the_pages(foreign, folder, show):
    page = show(make_page(read_run(folder), {}).replace("</body>", foreign + "</body>"))
    assert "3 of 3 rows" in page.run("document.body.innerText") and page.run("document.title") != "1"


@pytest.mark.parametrize(
    ("control", "value", "expected"),
    [
        ("search", "LOVE 3 r1", ["r1"]),
        ("search", "nowhere", []),
        ("filter", "1", ["r2"]),
        ("order", "least", ["r1", "r2", "r0"]),
    ],
)
def test_rows_are_searched_filtered_and_ordered(control, value, expected, folder, show):
    span = make_span(TEXT, "3 dollars")
    rows = [
        {"id": f"r{n}", "labels": {"positive": score, **more}, "spans": {"price": [span]}}
        for n, (score, more) in enumerate([(0.8, {}), (0.2, {}), (0.9, {"gift": 0.5})])
    ]
    write_mined(folder, rows, TOTALS)
    page = show(make_page(read_run(folder), {"r1": TEXT}))
    page.run(f"""(() => {{
      const control = document.getElementById("{control}");
      control.value = "{value}";
      control.dispatchEvent(new Event("input"));
    }})()""")
    assert page.run("[...document.querySelectorAll('.id')].map((one) => one.textContent)") == expected
