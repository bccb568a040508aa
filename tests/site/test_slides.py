"""Slides: what of a page is on them, and that a deck needs nothing else."""

from pathlib import Path

from tools.site import slides

ROOT = Path(__file__).resolve().parents[2]
PAGE = """<h1 id="t">4. Adding<a class="headerlink" href="#t">¶</a></h1><p class="rv-downloads">Get it.</p>
<p>A <a class="rv-term" href="g.html">row</a> of people.</p>
<figure class="rv-out rv-drawing"><svg><g id="a"/><use href="#a"/></svg></figure>
<h2 id="predict-first">Predict first</h2><p>How much?</p><ol><li>All.</li></ol>
<details class="question"><summary>Show the answer</summary><p>A third.</p></details>
<figure class="rv-out"><svg><path clip-path="url(#a)"/></svg></figure><figure class="rv-out"><svg>second</svg></figure>
<h2 id="what-this-means">What this means</h2><p><strong>It fades.</strong></p><p>More.</p>"""


def test_a_page_gives_a_picture_a_guess_an_answer_and_a_meaning():
    begin, guess, answer, means = slides.slides(PAGE)
    assert begin.startswith("<h2>4. Adding</h2><p>A row of people.</p><figure")
    assert guess == "<h2>4. Adding: your guess</h2><p>How much?</p><ol><li>All.</li></ol>"
    assert "<p>A third.</p><figure" in answer
    assert "second" not in answer
    assert means == "<h2>4. Adding: what it means</h2><p><strong>It fades.</strong></p>"


def test_a_page_without_a_guess_gives_less():
    assert len(slides.slides("<h1>Title</h1><p>Words.</p>")) == 1


def test_a_deck_holds_the_pages_of_its_part_and_needs_nothing_else(tmp_path):
    pages = {"problem/one.py": PAGE, "problem/two.py": PAGE, "beyond/three.py": PAGE}
    slides.write(pages, ROOT / "docs/assets/site.css", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["problem.html"]
    deck = (tmp_path / "problem.html").read_text(encoding="utf-8")
    assert deck.count("<section>") == 1 + 2 * 4
    assert "--rv-c0:" in deck
    assert 'id="s1-a"' in deck
    assert 'href="#s2-a"' in deck
    assert "url(#s1-a)" in deck
    for outside in ("<a ", "<script", "<link", "src="):
        assert outside not in deck
