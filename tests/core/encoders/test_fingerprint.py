"""A fingerprint changes with the content and with nothing else."""

import numpy as np
import pytest
import torch

from mirbench import fingerprint


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Linear(3, 2)


def test_equal_content_has_an_equal_fingerprint():
    assert fingerprint("a", 1, 0.5, network()) == fingerprint("a", 1, 0.5, network())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        ((1,), (1.0,)),
        ((np.zeros(2),), (np.zeros(3),)),
        ((np.zeros(2),), (np.zeros(2, np.float32),)),
        ((network(),), (network(1),)),
    ],
)
def test_other_content_has_another_fingerprint(one, other):
    assert fingerprint(*one) != fingerprint(*other)


def test_what_cannot_be_hashed_is_refused():
    with pytest.raises(Exception, match="(?s)fingerprint"):
        fingerprint({"a": 1})
