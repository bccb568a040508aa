"""Stored results to explore: real data, half-lives and what was learnt, networks of today; by keyboard and by touch."""

import json

import pytest

from rnnvanish.experiments import beyond, real
from rnnvanish.experiments.claim_study import fresh
from rnnvanish.studies.reader import memories

REAL = [
    {"data": data, "network": network, "default": {"half": [1.0, 2.0, 3.0], "right": right, "cost": [0.5, 0.4, 0.6]}}
    | {"better": {"half": [10.0, 20.0, 30.0], "right": [0.8, 0.9, 0.7], "cost": cost}}
    for data, network, right, cost in (
        ("digits", "RNN", [0.5, 0.4, 0.6], [0.1, 0.2, 0.3]),
        ("digits", "LSTM", [0.5, 0.85, 0.6], [0.7, 0.8, 0.9]),
        ("text", "RNN", [0.95, 0.95, 0.95], [0.5, 0.5, 0.5]),
        ("text", "LSTM", [0.7, 0.8, 0.9], [0.5, 0.5, 0.5]),
    )
]
BEYOND = {
    "budget": 400,
    "networks": [
        {"name": name, "half": {"20": half, "40": half}, "learnt": {"20": [20, 20, 20], "40": learnt}}
        for name, half, learnt in (
            ("RNN, default", [1, 1.5, 2], [None, None, 20]),
            ("LSTM, default", [3, 4, 5], [None, None, None]),
            ("GRU, chrono", [None, None, None], [20, 40, None]),
        )
    ],
}
FIELD = {
    "names": ["LSTM", "unitary network"],
    "left": {"1": [1, 1], "50": [1e-9, 1.01]},
    "work": {"1": [700, 4096], "50": [4000, 4096]},
}


@pytest.fixture
def figure(page_with):
    def start(name, data, **context):
        content = f'<rv-{name} id="{name}"><template class="rv-numbers">x</template><template>{json.dumps(data)}</template></rv-{name}>'
        return page_with(content, [f"figures/{name}"], **context)

    return start


def said(seen):
    return seen.page.text_content(".rv-says").replace("\u00a0", " ")


def until(seen, words):
    seen.page.wait_for_function(
        "words => document.querySelector('.rv-says').textContent.replaceAll('\u00a0', ' ').includes(words)", arg=words
    )


def test_a_better_start_helps_hurts_or_neither(figure):
    seen = figure("real", REAL)
    page = seen.page
    assert "lasts 20 steps instead of 2; right answers 80 % instead of 50 %. In every draw it did better" in said(seen)
    assert "something better: 1 of 4; to something worse: 1." in said(seen)
    page.check("input[value=LSTM]")
    until(seen, "The draws overlap: nothing is clear.")
    page.check("input[value=cost]")
    until(seen, "In every draw it did worse: it hurts.")
    page.check("input[value=text]")
    page.check("input[value=RNN]")
    page.check("input[value=right]")
    until(seen, "In every draw it did worse: it hurts.")
    assert said(seen).startswith("Text, plain network: with the better start")
    page.wait_for_function("location.hash === '#real.data=text'")
    assert page.locator("svg .rv-way").count() == 4
    assert seen.complaints == []


def test_networks_by_half_life_and_what_they_learn(figure):
    seen = figure("beyond", BEYOND, viewport={"width": 390, "height": 844})
    page = seen.page
    assert "LSTM, default: a half-life of 4 steps, to remember for 40 steps. No draw learnt it in 400 steps." in said(
        seen
    )
    assert "of the 1 with a shorter half-life 0 did; of the 1 with a longer half-life 1 did" in said(seen)
    page.focus("#beyond-lag")
    page.keyboard.press("ArrowLeft")
    until(seen, "3 of 3 draws learnt it")
    box = page.locator("svg .rv-point").first.bounding_box()  # what is looked at lies on top: the first is another
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("input[value='LSTM, default']:not(:checked)")
    page.check("input[value='GRU, chrono']")
    until(seen, "half-life of no end")
    assert seen.complaints == []


def test_networks_of_today_and_their_price(figure):
    seen = figure("field", FIELD)
    assert (
        "50 steps back, least is left in the LSTM (1 in a billion) and most in the unitary network (all of it)."
        in said(seen)
    )
    assert "attention 4,000 operations, and an LSTM 4,096, always" in said(seen)
    seen.page.focus("#field-back")
    seen.page.keyboard.press("Home")
    until(seen, "1 step back")
    assert seen.complaints == []


def test_python_prints_the_number_of_the_sentence(figure, printed):
    network, trained = beyond.PAIRS["LSTM, default"], memories()
    kept = [trained[network.cell, network.mitigations, seed][1] for seed in fresh()]
    assert {row["lag"] for row in kept} == {40}
    data = {"name": "LSTM, default", "half": {"20": [1], "40": [1]}}
    learnt = {"20": [20], "40": [row["solved"] for row in kept]}
    seen = figure("beyond", {"budget": 400, "networks": [data | {"learnt": learnt}]})
    draws = printed(seen.page.evaluate("document.getElementById('beyond').python()"))
    assert draws.replace("0 of 3 draws", "No draw").removesuffix(" learnt it") in said(seen)
    usual, better = real.helps_where_clues_are_far.details()[0]
    pair = {"data": "digits", "network": "RNN"}
    columns = [list(zip(*each, strict=True)) for each in zip(*real.helps_where_clues_are_far.details(), strict=True)]
    pair |= {
        name: {"half": each[2], "right": each[3], "cost": each[4]}
        for name, each in zip(("default", "better"), columns, strict=True)
    }
    assert (usual[1], better[1]) == ("RNN", "RNN, orthogonal start")
    seen = figure("real", [pair])
    shown = printed(seen.page.evaluate("document.getElementById('real').python()"))
    assert f"right answers {shown} instead of" in said(seen)
