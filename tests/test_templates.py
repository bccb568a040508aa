"""Templates escape whatever is put into them, and miss nothing in silence."""

import jinja2
import pytest

from rnnvanish.templates import render

HOSTILE = """"'><script>alert(1)</script>&amp;"""


@pytest.mark.parametrize("name", ["sentence", "finding", "verdict", "kind", "id", "fact"])
def test_a_claim_cannot_bring_a_tag(name):
    said = dict.fromkeys(("sentence", "finding", "verdict", "kind", "id", "fact"), "x") | {name: HOSTILE}
    box = render("claim.html", facts={"Result": said.pop("fact")}, **said)
    assert "<script" not in box
    assert "\"'>" not in box
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in box


def test_what_stands_in_back_ticks_is_code_and_escaped_too():
    said = dict.fromkeys(("finding", "verdict", "kind", "id"), "x")
    box = render("claim.html", sentence="Say `a < b` & go.", facts={}, **said)
    assert "<span>People say</span> Say <code>a &lt; b</code> &amp; go.</p>" in box


def test_data_cannot_leave_its_template():
    options = {"id": "a", "label": HOSTILE, "unit": HOSTILE, "start": 0}
    box = render("slider.html", **options, says=[(1, HOSTILE)], data={"says": ["</template><script>"]})
    assert "<script" not in box
    assert box.count("</template>") == 1
    assert "\"'>" not in box


def test_what_a_template_needs_and_does_not_get_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'facts' is undefined"):
        render("claim.html", **dict.fromkeys(("sentence", "finding", "verdict", "kind", "id"), "x"))
