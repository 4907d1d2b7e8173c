"""Networks begin from the same random state in every test."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers in every run of a test."""
    torch.manual_seed(20240607)
