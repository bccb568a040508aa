"""What a shared link shows, where it leads, and what an address leads to that is wrong."""

import http.server
import struct
import threading
from functools import partial
from xml.etree import ElementTree

import pytest

from tools.site import sharing

ATOM = "{http://www.w3.org/2005/Atom}"


def meta(text, name):
    return text.partition(f'<meta property="{name}" content="')[2].partition('"')[0]


def test_a_site_that_knows_its_address_says_it_and_has_a_picture_a_page(build, monkeypatch, tmp_path):
    (tmp_path / "words.md").write_text('---\ndescription: One & "all".\n---\n\n# Words\n\nNothing to execute.\n')
    monkeypatch.setenv("SITE_URL", "https://example.org/rnn/")
    (tmp_path / "project").mkdir()
    (tmp_path / "project/pyproject.toml").write_text('[tool.rnnvanish]\naddress = "https://github.com/some-one/rnn"\n')
    code, said = build(tmp_path / "words.md")
    assert code == 0, said
    site = tmp_path / "site"
    assert "<loc>https://example.org/rnn/page.html</loc>" in (site / "sitemap.xml").read_text(encoding="utf-8")
    page = (site / "page.html").read_text(encoding="utf-8")
    assert '<link rel="canonical" href="https://example.org/rnn/page.html">' in page
    assert meta(page, "og:url") == "https://example.org/rnn/page.html"
    assert meta(page, "og:title") == "Words"
    assert meta(page, "og:description") == "One &amp; &quot;all&quot;."
    picture = meta(page, "og:image").removeprefix("https://example.org/rnn/")
    assert struct.unpack(">II", (site / picture).read_bytes()[16:24]) == (1200, 630)
    assert "<title>Why recurrent networks forget, and what helps - rnnvanish</title>" in (
        site / "index.html"
    ).read_text(encoding="utf-8")
    assert 'href="https://example.org/rnn/page.html"' in (site / "404.html").read_text(encoding="utf-8")
    assert 'href="https://github.com/some-one/rnn/edit/main/docs/page.md"' in page
    assert 'href="https://github.com/some-one/rnn" title="Go to repository" class="md-source"' in page
    assert 'data-md-component="source"' not in page  # it would ask the repository's host for its stars


def test_a_site_that_does_not_know_its_address_claims_none(sample):
    page = (sample / "page.html").read_text(encoding="utf-8")
    assert meta(page, "og:title") == "How a gradient fades"
    assert "og:image" not in page
    assert "github.com" not in page
    assert not list(sample.glob("sitemap.xml*"))


def test_the_picture_of_a_page_shows_its_verdicts():
    bare, judged = (
        sharing.card("6. A < title", "About.", verdicts) for verdicts in ([], [("fails", "It `holds`.")] * 9)
    )
    assert bare != judged


def test_the_feed_has_an_entry_for_each_version():
    text = "# Changelog\n\n## Unreleased\n\n- New & <good>.\n\n## 0.2.0 (2026-01-02)\n\n- Old.\n"
    root = ElementTree.fromstring(sharing.feed(text, "https://example.org/", "2026-03-04"))
    entries = [
        [entry.find(ATOM + tag).text for tag in ("title", "updated", "summary")] for entry in root.iter(ATOM + "entry")
    ]
    assert entries == [
        ["Unreleased", "2026-03-04T00:00:00Z", "- New & <good>."],
        ["0.2.0 (2026-01-02)", "2026-01-02T00:00:00Z", "- Old."],
    ]


class BelowAPath(http.server.SimpleHTTPRequestHandler):
    """Serves a site below /some/path, and its 404.html for what is not there."""

    def translate_path(self, path):
        inside = path.removeprefix("/some/path")
        return super().translate_path(inside if inside != path else "/nowhere")

    def send_error(self, code, *_, **__):
        body = open(f"{self.directory}/404.html", "rb").read()  # noqa: SIM115
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_wrong_address_leads_on_below_any_path(browser, sample):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(BelowAPath, directory=str(sample)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/some/path/old/deep/page.html", wait_until="networkidle")
    assert page.inner_text("h1") == "This page is not here"
    assert page.inner_text("#like").startswith("Perhaps you meant: ")
    page.click("#like a")
    assert page.url.endswith("/some/path/page.html")
    assert page.inner_text("h1").startswith("How a gradient fades")
    page.close()
    server.shutdown()


@pytest.mark.parametrize("file", [False, True], ids=["served", "file"])
def test_a_link_to_what_a_figure_shows_leads_to_the_figure(visit, sample, file):
    page = visit(sample, "page.html", file=file, viewport={"width": 1280, "height": 500}).page
    page.goto(page.url + "#radius=0.9")
    page.reload(wait_until="networkidle")
    page.wait_for_timeout(300)
    top = page.evaluate("document.querySelector('#radius').getBoundingClientRect().top")
    assert 0 <= top < 500
    assert page.text_content("#radius output") == "0.9"


def test_the_link_to_what_a_figure_shows_can_be_copied(visit, sample):
    seen = visit(sample, "page.html", permissions=["clipboard-read", "clipboard-write"])
    page = seen.page
    page.click("#radius .rv-save summary")
    page.click("#radius >> text=Copy link")
    page.wait_for_selector("#radius [role=status]:has-text('copied')")
    assert page.evaluate("navigator.clipboard.readText()") == f"{seen.address}#radius=0.8"
    assert not seen.complaints
