"""The parts of the build, each by itself."""

from pathlib import Path

import pytest

from tools import browser
from tools.site import cited, execute, extras, mathematics


def test_a_page_runs_again_when_the_package_changed(tmp_path):
    module = tmp_path / "src/package/module.py"
    module.parent.mkdir(parents=True)
    module.write_text("a = 1\n")
    before = execute.digest(tmp_path)
    (module.parent / "__pycache__").mkdir()
    (module.parent / "__pycache__/module.pyc").write_text("not what the page depends on")
    assert execute.digest(tmp_path) == before
    module.write_text("a = 2\n")
    assert execute.digest(tmp_path) != before


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{\partial L}{\partial h_0}",
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        r"\mathbf{W} \in \mathbb{R}^n",
    ],
)
def test_latex_becomes_mathml(latex):
    assert "<math" in mathematics.formula(latex, display=True)


@pytest.mark.parametrize("latex", [r"\unknown{x}", "x^{", r"a \\ b", "a & b", r"\begin{unknown}x\end{unknown}", "x}"])
def test_what_cannot_be_shown_is_refused(latex):
    with pytest.raises(mathematics.MathError, match="the formula"):
        mathematics.formula(latex, display=False)


def test_what_pages_cite_is_collected_by_name_once():
    fold = """# A title

??? info "For engineers"
    Some words (1999).

    - B. C. Beta (2001). *Of two lines*,
      the second. [a link](https://example.org/b)
    - A. Alpha, D. Zeta (1990). Another.

- Not. In the fold (2000). No."""
    page = {"cells": [{"cell_type": "markdown", "source": fold}, {"cell_type": "code", "source": "    - X (1990). No"}]}
    found = cited.put(cited.PLACE, {"one.py": page, "two.py": page}, lambda source: (f"{source}#", "A & B"))
    assert found == (
        '<ul><li>A. Alpha, D. Zeta (1990). Another. In: <a href="one.py#">A &amp; B</a>, '
        '<a href="two.py#">A &amp; B</a>.</li>'
        '<li>B. C. Beta (2001). <em>Of two lines</em>, the second. <a href="https://example.org/b">a link</a>. In: '
        '<a href="one.py#">A &amp; B</a>, <a href="two.py#">A &amp; B</a>.</li></ul>'
    )


def test_a_page_loads_what_it_needs_of_our_scripts_alone():
    loads = '<script src="../assets/guess.js" defer></script><script src="../assets/site.js" defer></script>'
    style = '<link rel="stylesheet" href="assets/_mkdocstrings.css">'
    assert extras.without_idle_assets(f"{style}<p>A page</p>{loads}") == (
        '<p>A page</p><script src="../assets/site.js" defer></script>'
    )
    for needs in (f'<ol data-right="2">{loads}', f'{style}<div class="doc doc-object">'):
        assert extras.without_idle_assets(needs) == needs


def test_comments_stay_at_home_and_code_does_not():
    script = "// What it does.\n(() => {\n\n  const address = 'https://a.b'; // where\n  /* a note */\n})();\n"
    assert extras.without_comments(script) == "(() => {\nconst address = 'https://a.b'; // where\n})();\n"


def test_space_in_what_a_script_says_stays():
    script = "const say = (n) => `It has ${n ? `, and  ${n} more` : \"\"} units,  ${ {a: n}.a }.`;  // a note\nf( / a, [/] b/g, 'c , d' );\n"
    assert extras.without_idle_space(script) == (
        "const say=(n)=>`It has ${n ? `, and  ${n} more` : \"\"} units,  ${ {a: n}.a }.`;f(/ a, [/] b/g,'c , d');\n"
    )


def test_no_script_of_ours_loses_a_template_when_it_is_sent_shorter():
    files = sorted((Path(__file__).resolve().parents[2] / "docs/assets").rglob("*.js"))
    assert files
    for file in files:
        short, whole = extras.shortened(file), file.read_text(encoding="utf-8")
        assert len(short) < len(whole)
        assert set(extras.TEMPLATE.findall(short)) <= set(extras.TEMPLATE.findall(extras.without_comments(whole))), file
        assert "`" not in extras.TEMPLATE.sub("", short).replace('"`"', ""), file


def test_only_space_that_means_nothing_is_left_out():
    page = "<p>\n\n    a\n  <code>b  c</code>\n</p>\n  <pre>d\n\n    e</pre>\n <script>`f\n  g`</script>\n\n<p>h  i</p>"
    assert extras.without_indentation(page) == (
        "<p>\na\n<code>b  c</code>\n</p>\n<pre>d\n\n    e</pre>\n<script>`f\n  g`</script>\n<p>h  i</p>"
    )


def test_without_a_browser_one_line_says_what_is_skipped(monkeypatch, capsys):
    monkeypatch.setattr(browser, "find", lambda: None)
    monkeypatch.setattr(browser, "install", lambda: "`apt-get update` failed with exit code 100")
    browser.main()
    said = capsys.readouterr().out
    assert said.startswith("The browser checks are skipped: `apt-get update` failed")
    assert said.count("\n") == 1
