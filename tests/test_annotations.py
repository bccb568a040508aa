"""While tests run, annotations of the package are checked at every call: of functions, of methods, of dataclasses."""

import pytest
import torch
from beartype.roar import BeartypeCallHintParamViolation
from jaxtyping import TypeCheckError

from rnnvanish import Recurrent, cells
from rnnvanish.numerics.interval import student_quantile
from rnnvanish.numerics.norms import row_norms, spectral_radius
from rnnvanish.probes.saturation import Gate


def test_what_fits_passes():
    assert spectral_radius(torch.eye(2)) == pytest.approx(1)
    assert row_norms(torch.ones(3, 4)).shape == (3,)
    assert student_quantile(3) > 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: student_quantile("3"), BeartypeCallHintParamViolation),
        (lambda: spectral_radius(torch.ones(2, 3)), TypeCheckError),
        (lambda: row_norms(torch.ones(3, 4, dtype=torch.long)), TypeCheckError),
        (lambda: Recurrent(cells.GRU, 2, 3)(3.0), BeartypeCallHintParamViolation),
        (lambda: Gate(*[torch.ones(2, 2)] * 4), TypeCheckError),
    ],
    ids=["type", "shape", "dtype", "method", "dataclass"],
)
def test_what_does_not_fit_is_refused_where_it_is_given(call, error):
    with pytest.raises(error):
        call()
