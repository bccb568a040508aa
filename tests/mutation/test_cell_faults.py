"""What plants faults in cells: each kind of its own, and what is left alone."""

import textwrap

import pytest
from cell_faults import cell_faults

STEP = """
class Leaky(Cell):
    helpers = ("t", "s")

    def __init__(self, width):
        super().__init__(width)
        self.gate_names = {"from_x": ("f", "i")}
        if width < 2:
            raise ValueError(width - 2)

    def forward(self, x, state):
        h, t = state
        f, i = self.from_x(x).chunk(2, dim=-1)
        h = torch.sigmoid(f) * h + i
        return h.to(i.dtype), t
"""


def planted(source):
    source = textwrap.dedent(source)
    return {(fault.kind, fault.planted(source)) for fault in cell_faults("leaky.py", source)}


@pytest.mark.parametrize(
    ("kind", "sound", "faulty"),
    [
        ("order", "f, i = self", "i, f = self"),
        ("order", "h, t = state", "t, h = state"),
        ("function", "torch.sigmoid(f)", "(torch.tanh)(f)"),
        ("term", "torch.sigmoid(f) * h + i", "(torch.sigmoid(f) * h)"),
        ("term", "torch.sigmoid(f) * h + i", "(i)"),
        ("term", "torch.sigmoid(f) * h", "(h)"),
        ("state", "return h.to", "return (state[0]).to"),
        ("state", "return h.to", "return (t).to"),
        ("sign", "* h + i", "* h - i"),
    ],
)
def test_each_kind_is_planted(kind, sound, faulty):
    found = [text for each, text in planted(STEP) if each == kind]
    bare = {text.replace("(", "").replace(")", "").replace(" ", "") for text in found}
    assert STEP.replace(sound, faulty).replace("(", "").replace(")", "").replace(" ", "") in bare


def test_what_is_read_after_a_step_is_taken_for_what_was_before_it():
    source = "def output(self, x, before, after):\n    return after[0] + before[1]\n"
    changed = {text for kind, text in planted(source) if kind == "state"}
    assert changed == {source.replace("after[0]", "(before)[0]"), source.replace("before[1]", "(after)[1]")}


def test_declarations_refusals_and_axes_are_left_alone():
    for _, text in planted(STEP):
        assert 'helpers = ("t", "s")' in text
        assert '("f", "i")' in text
        assert "super().__init__(width)" in text
        assert "if width < 2:\n            raise ValueError(width - 2)" in text
        assert "dim=1" not in text
        assert "(f).dtype" not in text
