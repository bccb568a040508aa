"""The table of all claims, and the corrections, as a reader uses them."""

import re

import pytest

from rnnvanish import experiments

pytestmark = pytest.mark.timeout(1800)


def column(page, number):
    return page.locator(f"rv-table tbody tr:visible > :nth-child({number})").all_inner_texts()


@pytest.mark.parametrize("file", [False, True], ids=["served", "file"])
def test_claims_are_sorted_by_keyboard(visit, sample, file):
    page = visit(sample, "page.html", file=file).page
    head = page.locator("rv-table th", has_text="Result")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 4) == ["-1 steps", "9 steps", "10 steps"]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 4) == ["10 steps", "9 steps", "-1 steps"]
    page.get_by_role("button", name="Section").click()
    assert column(page, 1) == ["1", "2", "10"]
    assert column(page, 2)[0].splitlines() == ["Claim 1 with code.", "Two <stones>."]
    assert page.locator("rv-table [aria-sort]").count() == 1


def test_claims_are_filtered(visit, sample):
    page = visit(sample, "page.html").page
    said = page.locator("rv-table [role=status]")
    assert said.inner_text() == "3 of 3 claims"
    page.get_by_role("combobox", name="Verdict", exact=True).select_option("holds with a caveat")
    assert column(page, 1) == ["10"]
    page.get_by_role("searchbox", name="Text", exact=True).fill("CLAIM 10")
    assert column(page, 1) == ["10"]
    assert said.inner_text() == "1 of 3 claims"
    page.get_by_role("searchbox", name="Text", exact=True).fill("")
    page.get_by_role("combobox", name="Verdict", exact=True).select_option("all")
    page.get_by_role("combobox", name="Section", exact=True).select_option("How a gradient fades")
    assert column(page, 1) == ["1", "2", "10"]


def test_a_stored_claim_says_so_and_whether_it_is_old(visit, sample):
    page = visit(sample, "page.html", java_script_enabled=False).page  # a plain table, too
    measured = column(page, 7)
    assert measured[0] == "1"
    assert measured[1] == "1 (stored) *"
    assert page.is_visible("text=*: the code has changed since.")
    assert page.is_visible("text=2026-01-02, commit abc: a <b>, one thread, torch 2, Python 3")
    assert page.locator("rv-table code").count() == 3


def test_each_row_has_a_needle_between_its_bounds(visit, sample):
    page = visit(sample, "page.html").page
    needles = page.locator("rv-table .rv-mini")
    assert needles.count() == 3
    places = needles.evaluate_all(
        "all => all.map(each => ['x', 'h0', 'h1'].map(name => +each.style.getPropertyValue('--' + name)))"
    )
    for place, low, high in places:
        assert 0 <= low <= place <= high <= 100


def test_a_row_leads_to_its_box(visit, sample):
    page = visit(sample, "page.html").page
    page.locator("rv-table a").nth(1).click()
    assert page.url.endswith("page.html#control.claim2")
    assert page.evaluate("document.querySelector(':target').textContent") == "A box."


def test_corrections_are_the_claims_that_somebody_says_and_that_do_not_simply_hold(visit, sample):
    page = visit(sample, "page.html").page
    boxes = page.locator(".rv-verdict:has(dt:text-is('Evidence'))")
    assert boxes.count() == 1
    assert "People say: A book" in boxes.inner_text()
    assert "Claim 2 with code. Of: Two <stones>." in " ".join(boxes.inner_text().split())
    links = [link.get_attribute("href") for link in boxes.locator("a").all()]
    assert links == ["https://example.org/book", "page.html#control.claim2"]
    assert page.is_visible("text=1 more sentences do not simply hold.")


def test_every_claim_is_shown_and_every_row_leads_to_its_box(site):
    text = (site / "claims.html").read_text(encoding="utf-8")
    found = re.findall(r'<td data-choice="[^"]+">\d+</td><td><a href="([^"#]+)#([^"]+)"', text)
    assert {name for _, name in found} == {claim.id for claim in experiments.claims()}
    for page, name in found:
        assert f'id="{name}"' in (site / page).read_text(encoding="utf-8"), f"{page} shows no box {name}"
