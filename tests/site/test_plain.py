"""The site as plain Markdown: another renderer shows all that a page has, and what gets lost on the way is named."""

import inspect
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from rnnvanish.mitigations import SpectralNorm
from tools.site.plain import dialect, pages, reference
from tools.site.plain.sphinx_site import Page, missing

ROOT = Path(__file__).resolve().parents[2]
RENDER = MarkdownIt("commonmark").enable("table").render


def shown(text, root=ROOT):
    return RENDER(dialect.elements(dialect.plain(text, root)))


LISTED = "<p><strong>Bold</strong>, and</p>\n<ul>\n<li>a list</li>\n</ul>"
CODE = '<pre><code class="language-python">a = &quot;??? [b](c.py)&quot;\n</code></pre>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            '??? info "For <all>"\n    **Bold**, and\n\n    - a list\n\nAfter.\n',
            f'<details class="info">\n<summary>For &lt;all&gt;</summary>\n{LISTED}\n</details>\n<p>After.</p>\n',
        ),
        (
            '??? rv-code "Code"\n\n    ``` { .python .x }\n    a = "??? [b](c.py)"\n    ```\n',
            f'<details class="rv-code">\n<summary>Code</summary>\n{CODE}\n</details>\n',
        ),
        ("!!! note\n    Mind.\n", '<div class="note">\n<p><strong>Note</strong></p>\n<p>Mind.</p>\n</div>\n'),
        ("[a](x/b.py#c) `[a](b.py)`\n", '<p><a href="x/b.md#c">a</a> <code>[a](b.py)</code></p>\n'),
        ("[*a*](b.py#fig.way=1&fig.n=2)\n", '<p><a href="b.html#fig.way=1&amp;fig.n=2"><em>a</em></a></p>\n'),
        ("## A { #b.c }\n", '<p><a id="b.c"></a></p>\n<h2>A</h2>\n'),
        ("[A]\n\n[A]: x/b.md\n\n[A]: b.md\n", '<p><a href="b.md">A</a></p>\n'),
        (
            'Before\n<rv-x id="x" markdown>\n**in**\n</rv-x>\n',
            '<p>Before</p>\n<div>\n<rv-x id="x">\n<p><strong>in</strong></p>\n</rv-x>\n</div>\n',
        ),
        (
            '<rv-x id="x">\n<p>a *b*</p>\n\n    <template>\n\n    {"c": 1}\n</template>\n</rv-x>\nAfter\n',
            '<div>\n<rv-x id="x">\n<p>a *b*</p>\n<template>\n{"c": 1}\n</template>\n</rv-x>\n</div>\n<p>After</p>\n',
        ),
        ("<p>a</p>\n\n<pre>b\n\n   c</pre>", "<p>a</p>\n<pre>b\n\n   c</pre>\n"),
    ],
)
def test_another_renderer_shows_what_mkdocs_does(text, html):
    assert shown(text) == html


def test_a_file_stands_where_its_name_does(tmp_path):
    (tmp_path / "A.md").write_text("# A\n\n[b](c.py)\n")
    assert shown('--8<-- "A.md"\n', tmp_path) == '<h1>A</h1>\n<p><a href="c.md">b</a></p>\n'


def test_html_ends_where_it_ends():
    """An empty line would end it, and four spaces would be code: both are gone, but for <pre>, where they are seen."""
    raw = "<figure>\n\n      <svg>\n\n</svg>\n</figure><pre>a\n\n    b</pre>"
    made = RENDER(f"Before{dialect.block(raw)}*After*")
    expected = "<div>\n<figure>\n<svg>\n</svg>\n</figure><pre>a\n&#10;    b</pre>\n</div>"
    assert made == f"<p>Before</p>\n{expected}\n<p><em>After</em></p>\n"


def test_words_and_what_they_mean_are_a_list():
    made = RENDER(
        dialect.glossary("half-life\n:   How *long*\n    it takes.\n\ncell\n:   A rule.\n", lambda word: word.upper())
    )
    items = [re.sub(r"\s*</?p>\s*", "", each) for each in re.findall(r"<li>(.*?)</li>", made, re.DOTALL)]
    assert items[0] == '<a id="HALF-LIFE"></a><strong>half-life</strong>: How <em>long</em> it takes.'
    assert len(items) == 2


def test_the_reference_is_what_python_itself_says():
    path = "rnnvanish.mitigations.spectral_norm.SpectralNorm"
    options = '    options:\n      show_root_heading: false\n      filters: ["!^_", "!^(release)$"]\n'
    made = reference.put(f"Before\n\n::: {path}\n{options}\nAfter\n\n::: rnnvanish.live.kind_of\n", str(ROOT / "src"))
    assert made.startswith("Before\n\n```python\nSpectralNorm()\n```\n\nKeep the largest singular value")
    assert f'<a id="{path}"></a>' not in made
    own = [name for name, each in vars(SpectralNorm).items() if inspect.isfunction(each) and name[0] != "_"]
    assert re.findall(r"^## (\w+)$", made, re.MULTILINE) == own
    assert "```pycon\n>>> layer = SpectralNorm()" in made
    assert (
        'After\n\n<a id="rnnvanish.live.kind_of"></a>\n\n## kind\\_of\n\n```python\nkind_of(cell: Cell) -> str\n```'
        in made
    )


def rendered(plain, out):
    """The plain pages, rendered by the renderer of these tests."""
    for path in plain.rglob("*"):
        target = out / path.relative_to(plain)
        if path.suffix == ".md":
            text = re.sub(r"^---\n.*?^---\n", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
            target = target.with_suffix(".html")
            target.parent.mkdir(parents=True, exist_ok=True)
            made = re.sub(r'href="([^":#]+)\.md', r'href="\1.html', RENDER(text))
            target.write_text(
                re.sub(r"<h2>(.*?)</h2>", lambda h: f'<h2 id="{h[1].lower().replace(" ", "-")}">{h[1]}</h2>', made)
            )
        elif path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return out


def test_a_page_with_everything_is_all_there(plain, sample, tmp_path):
    """Held against the page that MkDocs made: as many figures, boxes, tables and elements, the same numbers, its scripts."""
    out = rendered(plain, tmp_path / "out")
    assert missing(plain, out) == []
    made, published = Page(out / "page.html"), Page(sample / "page.html")
    for element in ("figure", "rv-slider", "template", "table", ".rv-verdict", "details"):
        assert made.elements[element] == published.elements[element] > 0, element
    for said in ("measured 3", "Text that was computed", "At 0.9 a third is left.", "What is left."):
        assert said in made.text
    assert "not for readers" not in made.text
    scripts = [link for link in made.links if link.endswith(".js")]
    assert "assets/slider.js" in scripts
    assert len(scripts) == len(set(scripts))
    assert {"page.ipynb", "page.py"} <= {path.name for path in out.iterdir()}
    assert list(pages(["index.md", {"A": [{"B": "b.md"}, "c.md"]}])) == ["index.md", "b.md", "c.md"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<figure", "<div", r"page\.html: 0 of 1 <figure>"),
        ('class="rv-verdict', 'class="rv', "4 of 5 verdicts"),
        ("measured 3", "measured 4", "not this output: 'measured 3'"),
        ('href="index.html#a-place"', 'href="index.html#a-plate"', "index.html#a-plate leads nowhere"),
        ('src="assets/slider.js"', 'src="assets/slide.js"', r"assets/slide\.js leads nowhere"),
    ],
)
def test_what_gets_lost_is_named(plain, tmp_path, old, new, said):
    out = rendered(plain, tmp_path / "out")
    page = out / "page.html"
    assert old in page.read_text()
    page.write_text(page.read_text().replace(old, new, 1))
    assert re.search(said, "\n".join(missing(plain, out)))
    page.unlink()
    assert any("there is no such page" in each for each in missing(plain, out))
