"""The figures of sections 1 to 6: what each does of its own."""

import pytest
import torch
from figure_page import settle


def test_the_foot_itself_is_dragged(figure):
    page = figure("hill").page
    left, top, width, _ = page.locator("#it svg").bounding_box().values()
    x, y = page.evaluate("it.foot")
    page.mouse.move(left + x, top + y)
    page.mouse.down()
    page.mouse.move(left + width / 2, top + y, steps=3)
    page.mouse.up()
    settle(page, "hill")
    assert page.evaluate("it.state.rate") == pytest.approx(1, abs=0.05)
    page.mouse.click(left + 4, top + 30)  # far from the foot
    settle(page, "hill")
    assert page.evaluate("it.state.rate") == pytest.approx(1, abs=0.05)


def test_a_tap_sends_everybody_up_to_there_home(figure):
    page = figure("note").page
    left, top, width, _ = page.locator("#it svg").bounding_box().values()
    page.mouse.click(left + 0.25 * width, top + 60)
    settle(page, "note")
    assert page.evaluate("it.state.at") == 3


def test_the_pot_is_the_sum_of_the_coins_and_is_shared_out(figure):
    page = figure("pot").page
    coins, pot, groups = page.evaluate("(({coins, pot, groups}) => [coins, pot, groups])(it)")
    assert coins == pytest.approx([0.9**lag for lag in range(59, -1, -1)], rel=1e-12)
    assert pot == pytest.approx(sum(coins), rel=1e-12)
    assert sum(groups) == pytest.approx(1)


def test_single_precision_is_zero_where_torch_is(figure):
    page = figure("strip").page
    page.evaluate("it.set({units: 16, length: 200})")
    settle(page, "strip")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer, states = torch.nn.RNN(1, 16), [torch.zeros(1, 16, 16, requires_grad=True)]
        for word in torch.randn(201, 16, 1):
            states.append(layer(word[None], states[-1])[1])
        sizes = [float(share.abs().max()) for share in torch.autograd.grad(states[-1].sum(), states[1:])]
    zero = sum(size == 0 for size in sizes)
    assert zero > 10
    assert page.evaluate("it.strips[0].zero") == pytest.approx(zero, abs=1)
