"""What tests ask of a page with a live figure, which is `it`, as functions of the browser."""

#: The sentence of the figure.
SAYS = "it.said.textContent"
#: How high each of its controls stands.
PLACES = "[...it.form.querySelectorAll('input, select')].map(each => each.getBoundingClientRect().top + scrollY)"
#: It is put on paper, and seen again.
PRINTED = "['beforeprint', 'afterprint'].forEach(each => dispatchEvent(new Event(each)))"
#: What is there once a figure is computed that fetches something, or computes for a moment.
READY = {
    "gate": "it.results",
    "volume": "it.gain",
    "switch": "it.path",
    "beam": "it.row",
    "plateau": "it.walk",
    "push": "it.runs.length",
    "race": "it.runs.length",
    "strip": "it.strips && Object.entries(it.shown).every(([key, value]) => it.state[key] === value)",
}


def settle(page, name):
    """Wait until the picture is that of the controls, or of the address."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_function(f"!it.waiting && ({READY.get(name, 'true')})", timeout=60_000)
