"""The address stands in one field: with it nothing that is published on an index has a relative link, without it nothing names a place."""

import re
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

from tools import address
from tools.site import repository

ROOT = Path(__file__).resolve().parents[2]
HERE, THERE = "https://github.com/Some-one/rnn.vanish", "https://github.com/another/name"
SAYING = ("README.md", "pyproject.toml", "CITATION.cff", "SECURITY.md", "asv.conf.json")


@pytest.fixture
def tree(tmp_path):
    for name in SAYING:
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    given(tmp_path, "")
    return tmp_path


def given(tree, known):
    file = tree / "pyproject.toml"
    file.write_text(re.sub(r'^address = ".*?"', f'address = "{known}"', file.read_text(), flags=re.MULTILINE))
    changed = address.apply(tree)
    assert address.apply(tree) == []  # a second time there is nothing to do
    return changed


def texts(tree):
    return {path.relative_to(tree): path.read_text() for path in sorted(tree.rglob("*")) if path.is_file()}


def published(tree):
    """Every link of the README, in Markdown and in HTML."""
    html = MarkdownIt("commonmark").enable("table").render((tree / "README.md").read_text())
    return re.findall(r'(?:href|src|srcset)="([^"]*)"', html)


def test_this_tree_says_its_own_address():
    copied = {name: (ROOT / name).read_text(encoding="utf-8") for name in SAYING}
    known = repository.address()
    read = {"README.md": address.readme, "CITATION.cff": address.citation, "pyproject.toml": address.urls}
    assert {name: rule(copied[name], known, known) for name, rule in read.items()} == {
        name: copied[name] for name in read
    }


def test_without_an_address_no_place_is_named(tree):
    assert not [link for link in published(tree) if "://" in link]
    assert "urls" not in tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    assert "http" not in (tree / "CITATION.cff").read_text()
    assert "pip install .  #" in (tree / "README.md").read_text()
    assert not [
        path
        for path, text in texts(tree).items()
        if "github.com/" in text and path.name in SAYING and "OWNER" not in text
    ]


def test_with_one_no_link_is_relative_and_everything_has_it(tree):
    before = texts(tree)
    given(tree, HERE)
    links = published(tree)
    assert len(links) > len(re.findall(r"\]\(", before[Path("README.md")]))  # the badges, too
    raw = "https://raw.githubusercontent.com/Some-one/rnn.vanish/main/docs/assets/readme/curve-light.svg"
    assert raw in links
    assert [link for link in links if not link.startswith("https://")] == []
    for link in links:
        path = re.sub(rf"{HERE}/blob/main/|https://raw.githubusercontent.com/Some-one/rnn.vanish/main/", "", link)
        assert "://" in path or (ROOT / path).is_file(), link
    assert "pip install rnnvanish " in (tree / "README.md").read_text()
    assert 'pip install "rnnvanish[train]"' in (tree / "README.md").read_text()
    urls = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Repository"] == HERE
    assert urls["Homepage"] == "https://some-one.github.io/rnn.vanish/"
    assert f"repository-code: {HERE}\n" in (tree / "CITATION.cff").read_text()
    assert f"({HERE}/security/advisories/new)" in (tree / "SECURITY.md").read_text()
    publishing = [
        path for path in (tree / ".github/workflows").glob("*.yml") if "github.repository == " in path.read_text()
    ]
    assert len(publishing) >= 3
    assert all("github.repository == 'Some-one/rnn.vanish'" in path.read_text() for path in publishing)


def test_it_can_be_changed_and_taken_away(tree):
    without = texts(tree)
    given(tree, HERE)
    given(tree, THERE)
    moved = texts(tree)
    assert not [path for path, text in moved.items() if "Some-one" in text or "some-one" in text]
    given(tree, "")
    assert texts(tree) == without
    given(tree, THERE)
    assert texts(tree) == moved


@pytest.mark.parametrize("wrong", ["github.com/a/b", "https://example.org/a/b", "https://github.com/a", f"{HERE}/"])
def test_another_is_refused(tree, wrong):
    with pytest.raises(ValueError, match=r"https://github.com/OWNER/NAME"):
        given(tree, wrong)


def settings(site_url=""):
    return SimpleNamespace(
        repo_url=None, repo_name=None, edit_uri=None, site_url=site_url, extra={}, theme={"features": []}
    )


def test_the_site_has_it(monkeypatch):
    monkeypatch.delenv("MIKE_DOCS_VERSION", raising=False)
    with_one, without = settings(), settings()
    repository.link(with_one, HERE)
    repository.link(without, "")
    assert vars(without) == vars(settings())
    assert with_one.repo_url == HERE
    assert with_one.site_url == "https://some-one.github.io/rnn.vanish/"
    assert (with_one.edit_uri, with_one.theme["features"]) == ("edit/main/docs/", ["content.action.edit"])
    elsewhere = settings("https://example.org/1.0/")
    repository.link(elsewhere, HERE)
    assert elsewhere.site_url == "https://example.org/1.0/"


def test_one_version_of_several_lets_the_reader_choose(monkeypatch):
    monkeypatch.setenv("MIKE_DOCS_VERSION", '{"version": "0.1"}')
    config = settings()
    repository.link(config, "")
    assert config.extra == {"version": {"provider": "mike"}}
