"""Templates escape whatever is put into them, and miss nothing in silence."""

import jinja2
import pytest

from rnnvanish.templates import render

HOSTILE = """"'><script>alert(1)</script>&amp;"""


SAID = ("sentence", "finding", "verdict", "kind", "id", "scope", "agreement")


def claim_box(fact="x", source=None, **said):
    return render(
        "claim.html", facts={"Result": fact}, source=source, needle="", outside=True, **dict.fromkeys(SAID, "x") | said
    )


@pytest.mark.parametrize("name", [*SAID, "fact"])
def test_a_claim_cannot_bring_a_tag(name):
    box = claim_box(**{name: HOSTILE})
    assert "<script" not in box
    assert "\"'>" not in box
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in box


def test_what_stands_in_back_ticks_is_code_and_escaped_too():
    assert "</span> Say <code>a &lt; b</code> &amp; go. <small" in claim_box(sentence="Say `a < b` & go.")


def test_people_say_only_what_somebody_says():
    assert "<span>Is it true that …?</span>" in claim_box()
    said = claim_box(source={"title": "A <book>", "url": "https://example.org/?a&b"})
    assert '<span>People say: <a href="https://example.org/?a&amp;b">A &lt;book&gt;</a></span>' in said


@pytest.mark.parametrize("still", ["", HOSTILE])
def test_data_cannot_leave_its_template(still):
    options = {"id": "a", "label": HOSTILE, "unit": HOSTILE, "start": 0, "still": still}
    box = render("slider.html", **options, says=[(1, HOSTILE)], data={"says": ["</template><script>"]})
    assert "<script" not in box
    assert box.count("</template>") == 1
    assert "\"'>" not in box


def test_what_a_template_needs_and_does_not_get_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'facts' is undefined"):
        render("claim.html", source=None, needle="", outside=True, **dict.fromkeys(SAID, "x"))
