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
    assert found == '<p><a class="rv-term" href="g.html#state" title="A note.">States</a>, and a state.</p>'


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
    assert len(jupytext.reads(source, fmt="py:percent").cells) == len(notebook["cells"])


def test_folds_are_open_on_paper_and_closed_again(visit, sample):
    page = visit(sample, "page.html").page
    count = "document.querySelectorAll('details:not([open])').length"
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


def test_a_site_that_knows_its_address_has_a_sitemap(build, monkeypatch, tmp_path):
    (tmp_path / "words.md").write_text("# Words\n\nNothing to execute.\n")
    monkeypatch.setenv("SITE_URL", "https://example.org/rnn/")
    code, said = build(tmp_path / "words.md")
    assert code == 0, said
    assert "<loc>https://example.org/rnn/page.html</loc>" in (tmp_path / "site/sitemap.xml").read_text(encoding="utf-8")


def test_every_paper_is_in_the_references(site):
    text = (site / "references.html").read_text(encoding="utf-8")
    for group in (cells.ALL, mitigations.ALL, tasks.ALL):
        for kind in group.values():
            assert kind.paper.link.replace("&", "&amp;") in text
            assert f"<code>{kind.__name__}</code>" in text


def test_every_cell_is_in_the_reference_with_its_equations(site):
    text = (site / "reference/cells.html").read_text(encoding="utf-8")
    for name, cell in cells.ALL.items():
        assert f'id="{cell.__module__}.{name}"' in text
    assert "c ← f c + i g" in text
