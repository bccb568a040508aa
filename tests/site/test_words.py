"""The words of the glossary, downloads, print, and the list of pages for programs that read."""

import json
import re
from pathlib import Path

import jupytext
import pytest

from rnnvanish import cells, mitigations, tasks
from tools.site import glossary

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(1800)
WORDS = {"gradient": "A slope.", "vanishing gradient": "It <fades>.", "state": "A note."}


def test_the_first_use_is_explained_and_no_other():
    found = glossary.explain("<p>States, and a state.</p>", WORDS, "g.html")
    assert (
        found
        == '<p><a class="rv-term" href="g.html#state" title="A note." data-said="A note.">States</a>, and a state.</p>'
    )


def test_the_longer_word_comes_first_and_its_explanation_is_escaped():
    found = glossary.explain("<p>The vanishing gradient.</p>", WORDS, "g.html")
    assert 'href="g.html#vanishing-gradient" title="It &lt;fades&gt;."' in found
    assert found.count("<a") == 1


@pytest.mark.parametrize(
    "page",
    [
        "<h2>The state</h2>",
        "<p><code>state</code></p>",
        '<a href="x"><em>state</em></a>',
        "<p>A <strong>state</strong></p>",
        "<ol><li>state</li></ol>",
        '<p title="state">restate statement</p>',
    ],
)
def test_where_no_word_is_explained(page):
    assert glossary.explain(page, WORDS, "g.html") == page


def test_the_glossary_is_in_order_and_each_word_once():
    words = re.findall(r"^(\w.*)\n: ", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(words) > 20
    assert list(glossary.read(ROOT / "docs/glossary.md")) == words == sorted(set(words), key=str.lower)


def test_a_word_explains_itself_to_the_mouse_and_the_keyboard_and_leads_to_the_glossary(visit, site):
    seen = visit(site, "problem/vanishing.html")
    word = seen.page.locator("a.rv-term").first
    word.focus()
    seen.page.wait_for_selector("[role=tooltip]:visible")
    said = seen.page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent"
    )
    assert said in glossary.read(ROOT / "docs/glossary.md").values()
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url("**/glossary.html#*")
    assert seen.page.locator("dt:target").count() == 1
    assert not seen.complaints


def test_an_executed_page_can_be_downloaded(visit, site):
    page = visit(site, "problem/emerges.html").page
    with page.expect_download() as begun:
        page.click("text=this page as a notebook")
    notebook = json.loads(Path(begun.value.path()).read_text(encoding="utf-8"))
    assert any(cell.get("outputs") for cell in notebook["cells"])
    assert "vnd.rnnvanish" not in json.dumps(notebook)
    source = (site / "problem/emerges.py").read_text(encoding="utf-8")
    assert source == (ROOT / "docs/problem/emerges.py").read_text(encoding="utf-8")
    cells = [cell for cell in jupytext.reads(source, fmt="py:percent").cells if cell.cell_type != "raw"]
    assert len(cells) + 2 == len(notebook["cells"])  # what it needs, and the cell that installs it


def test_folds_are_open_on_paper_and_closed_again(visit, sample):
    page = visit(sample, "page.html").page
    count = "document.querySelectorAll('details:not([open], .rv-save)').length"
    closed = page.evaluate(count)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert closed > 0 == page.evaluate(count)
    page.emulate_media(media="print")
    assert not page.is_visible(".rv-predict button")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(count) == closed


def test_llms_txt_lists_every_page(site, source):
    listed = re.findall(r"^- \[.+\]\((.+?)\)", (site / "llms.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert source.rpartition(".")[0] + ".html" in listed
    assert all((site / page).exists() for page in listed)


def test_every_paper_is_in_the_references(site):
    text = (site / "references.html").read_text(encoding="utf-8")
    for group in (cells.ALL, mitigations.ALL, tasks.ALL):
        for kind in group.values():
            assert kind.paper.link.replace("&", "&amp;") in text
            assert f"<code>{kind.__name__}</code>" in text


def test_every_cell_has_a_page_with_its_equations_and_the_table_leads_there(visit, site):
    table = visit(site, "reference/cells.html", java_script_enabled=False).page
    links = table.eval_on_selector_all("td a", "links => Object.fromEntries(links.map(a => [a.textContent, a.href]))")
    assert set(links) == set(cells.ALL)
    for name, cell in cells.ALL.items():
        address, _, anchor = links[name].partition("/reference/")[2].partition("#")
        text = (site / "reference" / address).read_text(encoding="utf-8")
        assert f'id="{anchor}"' in text
        assert anchor == f"{cell.__module__}.{name}"
        assert f'href="{cell.paper.link}"'.replace("&", "&amp;") in text
        assert name in re.search(r"<h1[^>]*>(.*?)<", text)[1]
        assert "<pre>" in text
    assert "c ← f c + i g" in (site / "reference/cells/lstm.html").read_text(encoding="utf-8")


def test_a_page_that_stands_in_no_navigation_is_found(site):
    found = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    assert any(each["location"] == "reference/cells/janet.html" for each in found["docs"])
