"""The paper's formulas as arithmetic that holds for numbers and arrays alike.

The array functions of this package and its compiled kernels share them, so that each formula is written once.
"""

from __future__ import annotations

from typing import Any

ROUNDING = 8 * 2.0**-52
"""Differences below this share of their terms count as zero."""


def net_value(value: Any, success: Any, waiting: Any) -> Any:
    """The user's net value of a pass, xi = V p - t (Mahmood 2026, section 3); exactly 0 within rounding."""
    gain = value * success
    net = gain - waiting
    return net * (abs(net) > ROUNDING * (gain + waiting))


def passes(p1: Any, p2: Any, from_standard: Any, s: Any, r: Any) -> Any:
    """The expected passes N1 and N2 of a task (Mahmood 2026, section 3).

    With q = 1 - r, 1 - a r (1 - s) is computed as q + r (s + p1 (1 - s)) and 1 - b r as q + r p2: sums of non-negative
    terms, in which nothing cancels.

    Args:
        p1: Success probability of model 1.
        p2: Success probability of model 2.
        from_standard: 1 when the first pass is on model 1, 0 when it is on model 2.
        s: Cascade probability.
        r: Patience.

    Returns:
        N1 and N2.
    """
    on_reasoning = 1.0 / ((1.0 - r) + r * p2)
    on_standard = 1.0 / ((1.0 - r) + r * (s + p1 * (1.0 - s)))
    n1 = from_standard * on_standard
    n2 = n1 * (1.0 - p1) * r * s * on_reasoning + (1.0 - from_standard) * on_reasoning
    return n1, n2


def cost(p1: Any, p2: Any, c1: Any, c2: Any, churn_penalty: Any, r: Any, n1: Any, n2: Any) -> Any:
    """The provider's expected cost of a task, J = C + P (1 - S) (Mahmood 2026, section 3).

    Computed as c1 N1 + c2 N2 + P (1 - r)(a N1 + b N2): each failed pass is abandoned with probability 1 - r.
    """
    failed = (1.0 - p1) * n1 + (1.0 - p2) * n2
    return c1 * n1 + c2 * n2 + churn_penalty * (1.0 - r) * failed


def gain_of_staying(p2: Any, from_standard: Any, s: Any, x1: Any, x2: Any) -> Any:
    """A positive multiple of (payoff at r = 1) - (payoff at r = 0), for a payoff x1 N1 + x2 N2."""
    return from_standard * (x1 * (1.0 - s) + x2 * s / p2) + (1.0 - from_standard) * x2
