"""Student's interval, against tables."""

import pytest
import torch

from rnnvanish.numerics.interval import confidence_interval, student_quantile


def test_students_quantiles():
    """From printed tables."""
    for freedom, quantile in {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 30: 2.042}.items():
        assert student_quantile(freedom) == pytest.approx(quantile, abs=5e-4)
    low, high = confidence_interval(torch.tensor([[1.0, torch.nan], [2.0, 5.0]]))
    assert low[1].isnan()
    assert high[0] > 2
