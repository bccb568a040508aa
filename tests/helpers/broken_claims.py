"""A claim whose measurement was tampered with: that must be noticed."""

import pytest

from rnnvanish.claim import ClaimBroken

FEW = 2  # seeds: enough to see that a verdict breaks


def broken(claim, seeds=FEW):
    """Assert that the claim is broken."""
    with pytest.raises(ClaimBroken):
        claim.check(seeds)
