"""asv's dashboard, made to stand for itself."""

import json
import shutil
from importlib import resources

import pytest

from bench.commands import dashboard


@pytest.fixture
def published(tmp_path):
    """What `asv publish` would have written: its page, and some data."""
    html = tmp_path / "html"
    shutil.copytree(str(resources.files("asv") / "www"), html)
    (html / "graphs/summary").mkdir(parents=True)
    for name in ("index.json", "info.json", "regressions.json", "graphs/summary/a.b.json"):
        (html / name).write_text(json.dumps({"is": name, "with": "</script>"}))
    return html


def test_no_tag_asks_another_place_and_every_file_that_is_asked_for_is_there(published):
    dashboard.mend(published)
    page = (published / "index.html").read_text()
    tags = [tag for tag in dashboard.re.findall(r"<(?:script|link|img)\b[^>]*>", page)]
    names = [found[1] for tag in tags if (found := dashboard.re.search(r'(?:src|href)="([^"]+)"', tag))]
    assert sum(name.startswith("vendor/") for name in names) == 10
    assert not [
        name for name in names if "//" in name or not ((published / name).exists() or name == "regressions.xml")
    ]
    assert page.index("vendor/jquery.min.js") < page.index("data.js") < page.index('src="asv.js"')


def test_the_data_stand_in_a_script(published):
    dashboard.mend(published)
    assert not list(published.rglob("*.json"))
    script = (published / "data.js").read_text()
    data = json.loads(script.partition("var data = ")[2].partition(";\n")[0])
    assert json.loads(data["graphs/summary/a.b.json"])["is"] == "graphs/summary/a.b.json"


def test_a_phone_shows_one_thing_below_the_other(published):
    dashboard.mend(published)
    page = (published / "index.html").read_text()
    assert 'name="viewport"' in page
    body, styles = page.split("<body>")[1], dashboard.NARROW.read_text(encoding="utf-8")
    named = set(dashboard.re.findall(r"#([a-z-]+)", styles))
    assert len(named) > 5
    assert {name for name in named if f'id="{name}"' not in body} == set()  # what asv has renamed we no longer reach


def test_another_page_of_asvs_is_refused(published):
    page = published / "index.html"
    page.write_text(page.read_text().replace("jquery-3.3.1", "jquery-9.9.9"))
    with pytest.raises(SystemExit, match=r"jquery-9\.9\.9\.min\.js: bench/commands/vendor lacks it"):
        dashboard.mend(published)


def test_every_script_of_others_has_its_licence_beside_it():
    kept = {path.name for path in dashboard.VENDOR.iterdir()}
    wanted = json.loads((dashboard.VENDOR / "package.json").read_text())["dependencies"]
    without = {name for name in wanted if f"{name}.LICENSE.txt" not in kept}
    assert without == {"flot-orderbars"}  # states it at the head of its only file
    assert "MIT license" in (dashboard.VENDOR / "jquery.flot.orderBars.js").read_text(encoding="utf-8")
    locked = json.loads((dashboard.VENDOR / "package-lock.json").read_text())["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_a_shallow_copy_has_no_history(tmp_path):
    assert not dashboard.whole(tmp_path)
