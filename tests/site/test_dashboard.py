"""The dashboard of the benchmarks: it draws, asks no other place, and has nothing to complain of."""

import pytest

pytestmark = pytest.mark.timeout(1800)  # the first test waits until the whole site is built
VIEWS = ["#/", "#/summarylist", "#/regressions", "#retention.Retention.track_decades_lost"]


@pytest.mark.parametrize("file", [False, True], ids=["served", "from-the-disk"])
def test_the_dashboard_draws_without_asking_another_place(visit, site, file):
    seen = visit(site, "benchmarks/dashboard/index.html", file=file)
    for view in VIEWS:
        seen.page.evaluate("view => { location.hash = view }", view)
        seen.page.wait_for_timeout(600)
        assert seen.page.inner_text("body").strip()
    assert seen.page.locator("#main-graph canvas").count()
    assert seen.page.inner_text("#error-message").strip() == ""
    assert not seen.elsewhere
    assert not seen.complaints


@pytest.mark.parametrize("name", ["speed", "trends"])
def test_its_pages_are_filled(site, name):
    text = (site / f"benchmarks/{name}.html").read_text(encoding="utf-8")
    assert "data-rv-bench" not in text
    assert "<caption>" in text
    assert (site / "benchmarks/regressions.xml").exists()
