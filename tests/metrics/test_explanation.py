"""Shares, their harmonic mean and the bootstrap against hand counts and the binomial."""

from __future__ import annotations

import numpy as np
import pytest

from recx.metrics.explanation import bootstrap, by_user, f_ns, percentiles, share


def test_share_and_f_ns_by_hand() -> None:
    assert share(np.array([1.0, 2.0]), np.array([2.0, 4.0])) == 0.5
    assert np.isnan(share(np.zeros(2), np.zeros(2)))
    assert float(f_ns(np.array(0.6141), np.array(0.5556))) == pytest.approx(0.5834, abs=1e-4), "LCER Table 2, ML-100K"
    assert float(f_ns(np.array(0.0), np.array(0.0))) == 0.0


def test_by_user_adds_the_pairs_of_a_user() -> None:
    assert by_user(np.array([True, False, True]), np.array([7, 7, 3])).tolist() == [1.0, 1.0]


def test_bootstrap_interval_is_the_binomial_one() -> None:
    """One pair a user, share 0.3 of 400: the normal interval, to a point."""
    hit = np.arange(400) < 120
    value, low, high = bootstrap(share, [hit.astype(float), np.ones(400)])
    assert value == pytest.approx(0.3)
    half = 1.96 * (0.3 * 0.7 / 400) ** 0.5
    assert (low, high) == pytest.approx((0.3 - half, 0.3 + half), abs=0.01)


def test_bootstrap_of_one_user_has_no_interval() -> None:
    value, low, high = bootstrap(share, [np.array([1.0]), np.array([2.0])])
    assert value == 0.5
    assert np.isnan([low, high]).all()


def test_percentiles_by_hand_and_on_average() -> None:
    """Ties share the middle of their places; whatever the ties, an item has 50 on average."""
    assert percentiles(np.array([5, 0, 5, 9])).tolist() == [50.0, 12.5, 50.0, 87.5]
    assert percentiles(np.random.default_rng(0).integers(4, size=1001)).mean() == pytest.approx(50)
