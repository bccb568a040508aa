"""MkDocs hooks: mkdocs-jupyter finds and caches the executed pages, MkDocs renders them like any Markdown page.

Left alone, mkdocs-jupyter renders notebooks itself: half a megabyte of style a page, links and anchors that nobody
checks, a cache that does not notice a changed package. So every page is executed before it is asked for
(`execute.py`), put in the plugin's cache as a notebook, and turned into Markdown here (`notebook.py`).
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import benchmarks
import cited
import collected
import downloads
import drawings
import extras
import glossary
import import_map
import licences
import live
import mathematics
import mkdocs_jupyter.plugin as jupyter
import notebook
import question
import repository
import sharing
import slides
import tried
from catalogue import measured
from catalogue import pages as catalogue
from execute import digest, execute, set_up
from markdown import Extension
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

from rnnvanish import templates
from rnnvanish.records.provenance import provenance
from rnnvanish.templates import REPORT_FIGURES
from rnnvanish.templates.words import words

log = logging.getLogger("mkdocs.rnnvanish")
KERNELS = 2
_executed: set[str] = set()
_outputs: dict[str, list[str]] = {}
_claims: list[collected.Shown] = []
_notebooks: dict[str, dict] = {}
_shown: dict[str, str] = {}
WORDS, CURES = "glossary.md", "cures.py"
FOLDED = ("problem/", "impacts/", "techniques/")  # the explanation, which is read without code
UNEXPLAINED = re.compile(r"(glossary|changelog|contributing|architecture|maintaining)\.md|reference/.*")


class Components(Extension):
    """Let our elements be written in Markdown; what stands within those that say `markdown` is Markdown, too."""

    def __init__(self, live):
        """Know the figures that compute in the browser, besides the slider and the table."""
        super().__init__()
        self.live = live

    def extendMarkdown(self, md):
        """Treat our elements as Markdown treats a <div>."""
        md.block_level_elements += ["rv-slider", "rv-table", "template", *self.live]


def on_config(config):
    """Keep executed pages under a digest of everything that they depend on besides their own text."""
    benchmarks.begin()
    # The offline plugin would fetch the frame of the search from elsewhere: late-search.js brings ours.
    config.extra["polyfills"] = [script for script in config.extra["polyfills"] if "//" not in script]
    root = Path(config.config_file_path).parent
    cache = root / ".cache/pages" / digest(root)
    for old in cache.parent.glob("*"):
        if old != cache:
            shutil.rmtree(old, ignore_errors=True)
    repository.link(config, repository.address(root))
    config.plugins["mkdocs-jupyter"].config["cache_dir"] = str(cache)
    config.markdown_extensions.append(Components(live.elements(Path(config.docs_dir, "assets"))))
    _executed.clear()
    _outputs.clear()
    _claims.clear()
    _notebooks.clear()
    _shown.clear()
    return config


def on_files(files, config):
    """Add the pages of the catalogues; execute the pages that are not in the cache, a few kernels at once."""
    for made in catalogue.pages(files, config):
        files.append(made)
    said = f"window.rvWords = {json.dumps(words()['script'], ensure_ascii=False)};\n"
    files.append(File.generated(config, "assets/words.js", content=said))
    for name in (*REPORT_FIGURES, "report/figures.css"):  # what a report's own page is drawn with
        drawn = extras.shortened(Path(templates.__file__).parent / name)
        files.append(File.generated(config, f"assets/{name}", content=drawn))
    plugin = config.plugins["mkdocs-jupyter"]
    started = time.perf_counter()
    todo = [
        (file, path) for file in files if plugin.should_include(file) if not (path := _cache(plugin, file)).exists()
    ]
    benchmarks.note(cached=sum(map(plugin.should_include, files)) - len(todo))
    set_up()
    with ThreadPoolExecutor(KERNELS) as pool:  # each page has a process of its own; a thread only waits for it
        runs = [(file, path, pool.submit(execute, Path(file.abs_src_path))) for file, path in todo]
    for _, path, run in runs:
        if not run.exception():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")  # another build may be reading
            part.write_text(json.dumps({"content": run.result(), "toc_tokens": [], "title": None}), encoding="utf-8")
            part.replace(path)
    if failed := [f"{file.src_uri}: {run.exception()}" for file, _, run in runs if run.exception()]:
        raise PluginError("\n\n".join(failed))
    for file in filter(plugin.should_include, files):
        executed = json.loads(json.loads(_cache(plugin, file).read_text(encoding="utf-8"))["content"])
        _claims.extend(collected.shown(executed, file.url))
        _notebooks[file.src_uri] = executed
    if todo:
        log.info("Executed %d pages in %.0f s", len(todo), time.perf_counter() - started)
    return files


def on_page_read_source(page, config):
    """Give MkDocs the executed page as Markdown."""
    render = page.__dict__.pop("render", None)  # what mkdocs-jupyter put in the place of MkDocs's own
    if render is None:
        return None
    render(config, None)
    try:
        text, outputs = notebook.to_markdown(json.loads(page.content), page.file.src_uri.startswith(FOLDED))
    except (notebook.PageError, ValueError) as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    page.content, page.toc = None, []
    _executed.add(page.file.src_uri)
    _outputs[page.file.src_uri] = outputs
    return text


def on_page_markdown(markdown, page, config, files):
    """List what a catalogue holds where a page asks for all of it."""
    return catalogue.put(markdown, page.file.src_uri)


def on_page_content(html, page, config, files):
    """Put the outputs of the cells and the drawings in their places, LaTeX into MathML; explain words, offer the page itself."""
    try:
        live.settle((page.links_to_anchors or {}).get(page.file, {}), page.present_anchor_ids or set())
        html = question.mark(mathematics.to_mathml(html))
        html = drawings.put(html, Path(config.docs_dir, "assets/drawings"))
    except (mathematics.MathError, drawings.DrawingError, question.QuestionError, live.LiveError) as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    html = benchmarks.put(html, Path(config.config_file_path).parent)
    html = import_map.put(html, Path(config.config_file_path).parent / "src/rnnvanish")
    html = licences.put(html, Path(config.config_file_path).parent)
    html = tried.put(html, Path(config.config_file_path).parent)
    html = measured.put(html, _notebooks.get(CURES, {}), get_relative_url(CURES.replace(".py", ".html"), page.url))
    html = re.sub(r"<th([^>]*)></th>", r"<td\1></td>", html)  # Markdown knows no corner of a table
    if (words := files.get_file_from_path(WORDS)) and not UNEXPLAINED.fullmatch(page.file.src_uri):
        known = glossary.read(Path(words.abs_src_path))
        html = glossary.explain(html, known, get_relative_url(words.url, page.url))
    elif page.file.src_uri == WORDS:
        html = glossary.mark(html)
    if page.file.src_uri in _executed:
        version = os.environ.get("MIKE_DOCS_VERSION", "")  # mike builds the site in versions
        html = html.replace("</h1>", "</h1>" + downloads.offer(page.file.src_uri, config.repo_url or "", version), 1)
    html = notebook.put_outputs(html, _outputs.get(page.file.src_uri, []))
    html = benchmarks.trends(html, Path(config.config_file_path).parent, _claims)
    return html.replace("<template>", "<template data-search-exclude>")  # the numbers of a figure to drag


def _score(page) -> str:
    """What was guessed in a part of the site, on the last of its pages that ask something."""
    part = page.parent.children if page.parent else ()
    asking = [each for each in part if each.is_page and question.asks(_notebooks.get(each.file.src_uri, {"cells": []}))]
    if not asking or page is not asking[-1]:
        return ""
    return question.score([(get_relative_url(each.url, page.url), each.title) for each in asking])


def on_page_context(context, page, **_):
    """Put all claims where a page asks for them: now every page has its address, and the search has read its fill."""
    page.content = collected.put(page.content, _claims, lambda address: get_relative_url(address, page.url))
    page.content = page.content.replace('<p class="rv-measured"', _score(page) + '<p class="rv-measured"', 1)
    pages = {each.file.src_uri: each for each in context["config"]["extra"]["ordered"]}
    page.content = cited.put(
        page.content,
        {source: _notebooks[source] for source in pages if source in _notebooks},
        lambda source: (get_relative_url(pages[source].url, page.url), pages[source].title),
    )
    _shown[page.file.src_uri] = page.content
    return context


def on_env(env, files, **_):
    """Fail when a page that ought to run was handed on as a mere file: the plugin would skip it in silence."""
    pages = {file.src_uri for file in files if Path(file.src_uri).suffix in {".py", ".ipynb"}}
    if skipped := sorted(pages - _executed):
        raise PluginError(
            f"{', '.join(skipped)}: not executed. Every .py under docs/ is a page, in jupytext's percent format, "
            "and mkdocs.yml must include it; .ipynb pages are not supported."
        )
    return env


def on_nav(nav, config, files):
    """Keep the pages in their order, for llms.txt; those of catalogues, which stand in no navigation, come last."""
    made = [file.page for file in files.documentation_pages() if file.page not in nav.pages]
    config["extra"]["ordered"] = nav.pages + made


def on_post_build(config):
    """Write what stands beside the pages."""
    site, ordered = Path(config.site_dir), config["extra"].pop("ordered")
    for name, executed in _notebooks.items():
        addresses = config.site_url or "", config.repo_url or ""
        downloads.write(Path(config.docs_dir, name), executed, site / name, name, *addresses)
    benchmarks.write(Path(config.config_file_path).parent, site)
    for asset in Path(config.docs_dir, "assets").rglob("*.[cj]s*"):
        copy = site / asset.relative_to(config.docs_dir)
        copy.write_text(extras.shortened(copy), encoding="utf-8")
    slides.write(_shown, Path(config.docs_dir, "assets/site.css"), site / "slides")
    (site / "llms.txt").write_text(extras.llms(config, ordered), encoding="utf-8")
    (site / "404.html").write_text(extras.lost(config.site_url or "", ordered), encoding="utf-8")
    if config.site_url:
        _share(config, ordered, site)
    else:
        for empty in site.glob("sitemap.xml*"):  # without addresses there is nothing in it
            empty.unlink()


def _share(config, pages, site):
    """Write the pictures of pages and the feed, which say whole addresses."""
    (site / sharing.FOLDER).mkdir(parents=True, exist_ok=True)
    for page in pages:
        title = words()["sharing"]["home"] if page.is_homepage else page.title
        about = page.meta.get("description", config.site_description)
        verdicts = [(collected.kind(each), each.record["sentence"]) for each in _claims if each.page == page.url]
        (site / sharing.FOLDER / sharing.name(page.file.src_uri)).write_bytes(sharing.card(title, about, verdicts))
    changes = Path(config.config_file_path).parent / "CHANGELOG.md"
    if changes.exists():
        text = sharing.feed(changes.read_text(encoding="utf-8"), config.site_url, provenance()["date"])
        (site / sharing.FEED).write_text(text, encoding="utf-8")


def on_post_page(output, page, config):
    """Mend what the theme leaves wrong for screen readers, leave out what only its authors read, say what a link shows."""
    dialogue = 'data-md-component="search" role="dialog"'
    output = output.replace(dialogue, f'{dialogue} aria-label="Search"', 1)
    output = re.sub(r'<nav class="md-nav" aria-label="[^"]*">', '<nav class="md-nav" role="none">', output)
    output = output.replace(' data-md-component="source"', "")  # would ask the repository's host for its stars
    try:
        output = live.put(output, Path(config.docs_dir, "assets"))
    except live.LiveError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    output = extras.without_idle_assets(output)
    if page.is_homepage:
        output = output.replace("<title>", f"<title>{words()['sharing']['home']} - ", 1)
    head = f"{sharing.head(page, config)}\n{extras.EARLY}</head>"
    return extras.without_indentation(output.replace("</head>", head, 1))


def _cache(plugin, file) -> Path:
    key = jupyter._compute_cache_key(file.abs_src_path, plugin.config, True)
    return jupyter._get_cache_path(plugin.config["cache_dir"], key)
