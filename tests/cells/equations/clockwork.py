"""Koutník et al. (2014), section 3, unit by unit."""

import math

OPTIONS = {"ClockworkRNN": [{"periods": (1, 2, 4, 8, 16)}, {"periods": (3,)}]}


def period_of_each(units, periods):
    """The extra units go to the first modules."""
    whole, extra = divmod(units, len(periods))
    return [period for place, period in enumerate(periods) for _ in range(whole + (place < extra))]


def ClockworkRNN(w, x, state, periods):
    h, (t,) = state
    period = period_of_each(len(h), periods)
    new = []
    for unit in range(len(h)):
        a = w["from_x.bias"][unit] + sum(u * v for u, v in zip(w["from_x.weight"][unit], x, strict=True))
        for other in range(len(h)):
            if period[other] >= period[unit]:
                a += w["from_h"][unit][other] * h[other]
        new.append(math.tanh(a) if t % period[unit] == 0 else h[unit])
    return new, [new, [(t + 1) % math.lcm(*periods)]]
