"""Who says a sentence: by name and address; the corrections show what somebody says, and nothing else."""

from rnnvanish import experiments
from rnnvanish.claim import Source
from rnnvanish.experiments import sources
from tools.site.collected import Shown, corrections

SAID = {name: value for name, value in vars(sources).items() if isinstance(value, Source)}
CLAIMS = experiments.claims()


def test_everybody_who_is_named_has_a_title_and_an_address_and_says_something():
    for name, source in SAID.items():
        assert len(source.title) >= 10, name
        assert source.url.startswith("https://"), name
    assert {claim.source for claim in CLAIMS if claim.source is not None} == set(SAID.values())
    assert len({source.url for source in SAID.values()}) == len(SAID)


def test_most_of_what_does_not_simply_hold_in_the_sections_is_said_by_somebody():
    """Sections whose corrections are of what one reads everywhere."""
    for section in (4, 5, 7, 8, 14, 15, 17, 18, 19):
        claims = [claim for claim in CLAIMS if claim.section == section and claim.stated != "holds"]
        assert any(claim.source is not None for claim in claims), section


def test_corrections_show_what_somebody_says_and_does_not_simply_hold():
    asked, said = (
        claim.to_json(claim.measure(seeds=1))
        for claim in CLAIMS
        if claim.id in {"linear.linear_does_not_forget", "nonnormal.eigenvalues_tell"}
    )
    if said["source"] is None:
        asked, said = said, asked
    assert asked["source"] is None
    records = [record | {"verdict": verdict} for record in (asked, said) for verdict in ("holds", "does not hold")]
    page = corrections([Shown(record, "page", "A page") for record in records], lambda page: f"{page}.html")
    assert page.count('class="rv-verdict') == 1
    assert f'href="{sources.LEARN_AI.url}"' in page
    assert "page.html#nonnormal.eigenvalues_tell" in page
