"""The guess before the answer: what is right is said beside it, the answer stands below it, the score at the end of a part."""

import re

import pytest

from tools.site import question

pytestmark = pytest.mark.timeout(1800)
PAGE = '<h2 id="predict-first">P</h2><p>How?</p><ol>{}</ol>\n<details class="question"><summary>S</summary><p>{}</p></details>'


def asked(answer, *choices):
    return PAGE.format("".join(f"<li>{each}</li>" for each in choices), answer)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("The second. It is <b>so</b>.", 2),
        ("It grows. Squashing is not what counts.", 1),
        ("Alike to <em>three</em> digits.", 2),
        ("As long as before. Nothing has changed.", 3),
    ],
)
def test_the_list_says_which_choice_is_right(answer, right):
    choices = ("It grows.", "Alike to three digits, which is all.", "As <em>long</em> as before.")
    assert f'<ol data-right="{right}"><li>' in question.mark(asked(answer, *choices))
    assert question.mark("<h2>Another</h2>") == "<h2>Another</h2>"


@pytest.mark.parametrize("answer", ["It shrinks.", "The third.", "It"])
def test_an_answer_that_is_none_of_the_choices_is_an_error(answer):
    with pytest.raises(question.QuestionError, match="should begin with the words of one choice"):
        question.mark(asked(answer, "It grows.", "It stays."))


def test_a_question_without_choices_is_an_error():
    with pytest.raises(question.QuestionError, match="numbered list"):
        question.mark('<h2 id="predict-first">P</h2><p>How?</p>')


@pytest.mark.parametrize("file", [False, True], ids=["served", "file"])
def test_a_guess_by_keyboard_is_judged_where_it_was_made_and_stays_on_this_device(visit, sample, file):
    seen = visit(sample, "page.html", file=file)
    page = seen.page
    form, fold = page.locator(".rv-predict"), page.locator("#predict-first ~ details.question")
    page.focus(".rv-predict input")
    page.keyboard.press("Space")
    assert fold.is_visible(), "choosing is not yet a guess"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert [" ".join(each.split()) for each in form.locator("li").all_inner_texts()] == [
        "All of it. ✗ not so",
        "A third. ✓ right",
    ]
    said = form.get_by_role("status")
    assert said.inner_text().startswith("Not so: it is answer 2.")
    assert "The second." in said.inner_text()
    assert not fold.is_visible()
    assert (said.bounding_box() or {})["y"] < 900, "the answer stands where one looks"
    asked_for = len(seen.asked)
    page.reload()
    assert page.is_checked(".rv-predict li:nth-child(1) input")
    assert said.inner_text().startswith("Not so: it is answer 2.")
    page.keyboard.press("Tab")
    page.check(".rv-predict li:nth-child(2) input")
    page.click(".rv-predict button")
    assert said.inner_text().startswith("Right!")
    assert [text.strip() for text in form.locator(".rv-judgement").all_inner_texts()] == ["✓ right"]
    assert said.inner_text().count("The second.") == 1
    assert (len(seen.asked), seen.elsewhere, seen.complaints) == (asked_for, set(), [])


def test_without_a_choice_there_is_no_guess(visit, sample):
    page = visit(sample, "page.html").page
    page.click(".rv-predict button")
    assert page.locator(".rv-judgement").count() == 0
    assert page.get_by_role("group", name="What do you think?").get_by_role("radio", name="All of it.").count() == 1


def test_without_javascript_the_question_is_a_list_and_a_fold(visit, sample):
    page = visit(sample, "page.html", java_script_enabled=False).page
    assert page.is_visible("#predict-first ~ ol >> text=A third.")
    page.click("#predict-first ~ details.question summary")
    assert page.is_visible("text=The second.")


def test_every_part_ends_with_a_score_of_its_guesses(visit, site):
    for last, pages in (("problem/vanishing", 6), ("impacts/depth", 6), ("techniques/attention", 7)):
        text = (site / f"{last}.html").read_text(encoding="utf-8")
        assert len(re.findall("<li>", text.partition('class="rv-score"')[2].partition("</section>")[0])) == pages
    page = visit(site, "problem/structure.html").page
    page.check(".rv-predict li:nth-child(1) input")
    page.click(".rv-predict button")
    page.goto(page.url.replace("structure", "vanishing"))
    score = page.locator(".rv-score")
    assert score.inner_text().startswith("So far you guessed 1 of the 6 questions of this part, and 1 of your guesses")
    page.check(".rv-predict li:nth-child(1) input")
    page.click(".rv-predict button")
    assert score.inner_text().startswith("So far you guessed 2 of the 6 questions of this part, and 1 of your guesses")
    assert " ".join(score.locator("li").first.inner_text().split()) == "1. A network that reads step by step ✓ right"
    assert score.locator("li").last.inner_text().endswith("✗ not so")


def test_code_is_folded_in_the_explanation_until_a_reader_chooses_to_see_it(visit, site):
    seen = visit(site, "problem/bptt.html")
    page = seen.page
    assert page.locator("details.rv-code").count() > 1
    assert (
        page.locator(".highlight code:visible").count()
        == page.locator(".rv-out code:visible, #reproduce-it ~ * code:visible").count()
    )
    page.click("text=Show all code")
    assert page.locator("details.rv-code:not([open])").count() == 0
    page.goto(page.url.replace("problem/bptt", "impacts/slow"))
    assert page.locator("details.rv-code").count() > 0
    assert page.locator("details.rv-code:not([open])").count() == 0
    page.click("text=Fold all code")
    page.reload()
    assert page.locator("details.rv-code[open]").count() == 0
    assert not seen.complaints


@pytest.mark.parametrize(
    "section",
    [
        f"{part}/{name}"
        for part, names in {
            "problem": "structure gradients bptt emerges multiplication vanishing",
            "impacts": "slow longterm plateau instability recent depth",
            "techniques": "initialisation clipping activations skips lstm gru attention",
        }.items()
        for name in names.split()
    ],
)
def test_the_first_figure_stands_on_the_first_or_second_screen(visit, site, section):
    for size in ({"width": 1280, "height": 900}, {"width": 390, "height": 844}):
        page = visit(site, f"{section}.html", viewport=size).page
        top = page.evaluate(
            "scrollY + document.querySelector('article :is(figure, rv-slider, rv-live, .rv-live)').getBoundingClientRect().top"
        )
        assert top < 2 * size["height"], f"{section} at {size['width']} px"
