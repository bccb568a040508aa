"""Every number that is measured of the one loop of a layer, by what it is: two networks that are the same can be compared."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import torch

from rnnvanish import probes
from rnnvanish.cell import Cell
from rnnvanish.diagnosis.cause.cause import causes

OF_LOOPS = ("bypass", "depth", "retention", "resolution", "sensitivity", "shares")


def all_measures(model, x, **options):
    """Of retention the curve, of the others what they give; those that a loss starts from take the `options`."""
    found = {name: getattr(probes, name)(model, x, **options) for name in OF_LOOPS}
    found["causes"] = causes(model, x, **options)
    plain = {key: value for key, value in options.items() if key == "cells"}
    found["jacobian"] = probes.jacobian(model, x, lag=3, **plain)
    found["cases"] = probes.cases(model, x, **plain)
    found["spectrum"] = probes.spectrum(model, x, **plain)
    if not any(part.is_complex() for part in _first_state(model, x)):
        found["saturation"] = probes.saturation(model, x, **plain)
    return found


def assert_same_measures(ours, theirs, rtol=1e-10, atol=1e-12):
    """That every number is the same."""
    mine, other = (dict(_numbers(found)) for found in (ours, theirs))
    assert mine.keys() == other.keys()
    assert len(mine) > 20
    for name, number in mine.items():
        torch.testing.assert_close(
            number, other[name], rtol=rtol, atol=atol, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}"
        )


def _first_state(model, x):
    (cell,) = (module for module in model.modules() if isinstance(module, Cell))
    return cell.initial_state(x[0])


def _numbers(found, path=""):
    if isinstance(found, torch.Tensor):
        yield path, found.double()
    elif isinstance(found, float):
        yield path, torch.tensor(found, dtype=torch.float64)
    elif is_dataclass(found):
        yield from _numbers({field.name: getattr(found, field.name) for field in fields(found)}, path)
    elif isinstance(found, Mapping):
        whole = len(found) == 1 and "/layer" in next(iter(found))
        for name, each in found.items():
            yield from _numbers(each, path if whole else f"{path}/{name}")
