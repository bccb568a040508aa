"""The built site, a server for it, and a browser: each made once for all tests."""

import functools
import http.server
import importlib.resources
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from made_once import made_once

from tools.site.catalogue import pages as catalogue

ROOT = Path(__file__).resolve().parents[2]
collect_ignore = ["poisoned"]  # pages, not tests
POISONED = Path(__file__).parent / "poisoned"
PAGES = sorted(
    path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*") if path.suffix in {".md", ".py"}
)
#: Of each catalogue the pages that are longest, widest and list most: all of them would take minutes.
MADE = sorted(
    {
        catalogue.name(page, max(entries, key=size))
        for page, entries in catalogue.asked(
            {page: (ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES}
        ).items()
        for size in (
            lambda entry: len(entry.text),
            lambda entry: max(map(len, entry.text.splitlines())),
            lambda entry: len(entry.kinds),
        )
    }
)
#: Rules of axe-core that look at colours. They take most of its time.
COLOURS = ("color-contrast", "link-in-text-block")


def pytest_generate_tests(metafunc):
    if "source" in metafunc.fixturenames:
        metafunc.parametrize("source", PAGES + MADE)


def run_mkdocs(folder, site):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=quiet, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def build(tmp_path):
    """Build a small site with the real configuration and one page more; return the exit code and what was said."""
    return lambda page: small_site(page, tmp_path / "project", tmp_path / "site")


def small_site(page, folder, site):
    for part in ("tools/site", "docs/assets"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src").mkdir()
    (folder / "docs/index.md").write_text("# Home\n\n## A place\n\n[The page](page" + page.suffix + ").\n")
    shutil.copy(page, folder / f"docs/page{page.suffix}")
    (folder / "mkdocs.yml").write_text(f"INHERIT: {ROOT}/mkdocs.yml\nnav: [index.md, page{page.suffix}]\n")
    return run_mkdocs(folder, site)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The real site: the one that SITE_DIR names, or built now."""

    def make(folder):
        code, said = run_mkdocs(ROOT, folder)
        assert code == 0, f"mkdocs build --strict failed:\n{said[-6000:]}"

    return Path(os.environ["SITE_DIR"]) if "SITE_DIR" in os.environ else made_once(tmp_path_factory, "site", make)


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A small site with a page that uses everything that a page can use."""

    def make(folder):
        code, said = small_site(POISONED / "control.py", folder / "project", folder / "site")
        assert code == 0, f"the page that should build does not:\n{said[-6000:]}"

    return made_once(tmp_path_factory, "sample", make) / "site"


@pytest.fixture(scope="session")
def plain(sample, tmp_path_factory):
    """The sample as plain Markdown, of what was executed for its site."""

    def make(folder):
        given = os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
        command = [sys.executable, "-m", "tools.site.plain.export", str(folder)]
        subprocess.run(command, cwd=sample.parent / "project", env=given, check=True, capture_output=True)

    return made_once(tmp_path_factory, "plain", make)


class Visit:
    """One page in a fresh browser window, and what it asked for and complained of."""

    def __init__(self, browser, folder, address, **context):
        self.folder, self.address, self.origin = folder, address, address[: address.index("/", 8)]
        self.context = browser.new_context(**context)
        self.elsewhere, self.complaints, self.asked = set(), [], set()
        self.context.route("**/*", self._route)
        self.page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address, wait_until="networkidle")

    def _route(self, route):
        url = route.request.url
        if url.startswith((self.origin, "data:", "blob:")):
            self.asked.add(url.partition("?")[0].partition("#")[0].removeprefix(self.origin).lstrip("/"))
            route.continue_()
        else:
            self.elsewhere.add(url)
            route.abort()

    def _hear(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def bytes(self, wanted=lambda asked: True):
        """Uncompressed bytes of what the page loaded, of those files that are wanted."""
        files = [self.folder / name for name in self.asked if wanted(name)]
        return sum(file.stat().st_size for file in files if file.is_file())

    def axe(self, colours=None):
        """Violations that axe-core finds, in words; words that are pale because that is what they say are read out in full.

        `colours`: whether to look at colours alone (True), or at all else (False).
        """
        self.page.evaluate((importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text())
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        only = {"type": "rule", "values": COLOURS} if colours else {"type": "tag", "values": tags}
        rules = {} if colours is None or colours else {name: {"enabled": False} for name in COLOURS}
        found = self.page.evaluate(
            "async options => (await axe.run({exclude: ['.rv-faded']}, options)).violations",
            {"runOnly": only, "rules": rules},
        )
        return [
            f"{rule['id']}: {node['html'][:150]}: {node['failureSummary']}" for rule in found for node in rule["nodes"]
        ]


@pytest.fixture
def visit(browser):
    """Open a page of a built site, served over HTTP or, with `file=True`, from the disk."""
    opened = []

    def start(folder, name, *, file=False, **context):
        folder = folder.resolve()
        address = (folder / name).as_uri() if file else f"{serve(folder)}/{name}"
        opened.append(Visit(browser, folder, address, **context))
        return opened[-1]

    yield start
    for one in opened:
        one.context.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@functools.cache
def serve(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
