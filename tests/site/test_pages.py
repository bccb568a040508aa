"""Every page, on a desktop and a phone, light and dark."""

from pathlib import PurePath

import pytest

pytestmark = pytest.mark.timeout(1800)  # the first test waits until the whole site is built
SCREENS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
#: Whether to look at colours alone: nothing else is new in the dark, and a colour is as dark on a narrow screen.
LOOK = {("desktop", "default"): None, ("desktop", "slate"): True, ("phone", "default"): False}
HEAVIEST = {".md": 400_000, ".py": 800_000}  # bytes, uncompressed, all resources
SCRIPTS = 70_000  # bytes, uncompressed, of our own
#: What moves in the text while a page loads; the theme puts its own sidebars in their places by a script, and a table grows
#: wider as its rows come.
SHIFT = """() => new Promise((done) => {
  let sum = 0;
  const inText = ({ node }) => {
    const element = node?.closest ? node : node?.parentElement;
    return element?.closest(".md-content") && !element.parentElement.closest("table");
  };
  const add = (shift) => (sum += shift.hadRecentInput || !shift.sources.some(inText) ? 0 : shift.value);
  new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 50);
})"""


def examine(visit, folder, source, screen, heaviest):
    name = PurePath(source).with_suffix(".html").as_posix()
    seen = visit(folder, name, viewport=SCREENS[screen], color_scheme="light", reduced_motion="reduce")
    problems = []
    weight = seen.bytes(lambda asked: "assets/live/" not in asked)  # what figures compute with has a bound of its own
    assert weight <= heaviest, f"{name} weighs {weight:,} bytes, {heaviest:,} are allowed: {seen.asked}"
    scripts = seen.bytes(lambda asked: asked.endswith(".js") and "/javascripts/" not in asked)
    assert scripts <= SCRIPTS, (
        f"{name} loads {scripts:,} bytes of our own scripts, {SCRIPTS:,} are allowed: {seen.asked}"
    )
    shift = seen.page.evaluate(SHIFT)
    if shift and not seen.page.query_selector(".rv-live, rv-slider, .rv-predict"):
        seen.page.reload()  # where nothing is in motion by itself, a busy machine may paint before a style has come
        shift = seen.page.evaluate(SHIFT)
    assert shift == 0, f"{name} moves by itself while it loads: layout shift {shift}"
    seen.page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    for scheme in (scheme for at, scheme in LOOK if at == screen):
        if scheme == "slate":
            seen.page.emulate_media(color_scheme="dark")
        seen.page.wait_for_selector(f"body[data-md-color-scheme={scheme}]")
        seen.page.wait_for_timeout(200)
        problems += [f"{scheme}: {violation}" for violation in seen.axe(LOOK[screen, scheme])]
        over = seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        problems += [f"{scheme}: scrolls sideways by {over} px"] if over > 0 else []
    problems += [f"asks another origin: {url}" for url in sorted(seen.elsewhere)]
    problems += [f"on the console: {text}" for text in seen.complaints]
    assert not problems, f"{name}:\n" + "\n".join(problems)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_is_accessible_light_and_quiet(visit, site, source, screen):
    examine(visit, site, source, screen, HEAVIEST[PurePath(source).suffix])


@pytest.mark.parametrize("name", ["page.py", "404.md"])
@pytest.mark.parametrize("screen", SCREENS)
def test_so_is_a_page_that_uses_everything_and_the_one_for_wrong_addresses(visit, sample, screen, name):
    examine(visit, sample, name, screen, HEAVIEST[PurePath(name).suffix])


def test_every_page_was_built_and_every_example_executed(site, source):
    built = (site / source).with_suffix(".html").read_text(encoding="utf-8")
    if source.endswith(".py"):
        assert "Measured when this page was built" in built
    assert "</math>" in built or "arithmatex" not in built


@pytest.mark.parametrize(("colours", "found"), [(None, {"pale", "mute"}), (True, {"pale"}), (False, {"mute"})])
def test_what_is_wrong_is_found_by_who_looks_for_it(visit, tmp_path, colours, found):
    wrong = '<p id="pale" style="color: #ccc">Pale.</p><p><img id="mute" src="data:,"></p>'
    page = f'<html lang="en"><title>A page</title><main><h1>A page</h1>{wrong}</main></html>'
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    problems = visit(tmp_path, "page.html").axe(colours)
    assert {name for name in ("pale", "mute") for problem in problems if f'id="{name}"' in problem} == found
    assert len(problems) == len(found)
