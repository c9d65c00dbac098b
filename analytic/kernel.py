"""Compiled kernels: the user's response and the provider's optimum of many games, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import formulas
from stackroute.analytic.compiling import compiled

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray, IntArray

UNIQUE, ANYTHING, ENDS = 0, 1, 2
"""Which patiences attain the maximum: one, all of [0, 1], or exactly 0 and 1."""

BOTH_WORTH, NEITHER_WORTH, ONLY_REASONING_WORTH, ONLY_STANDARD_WORTH = 0, 1, 2, 3

MAX_CANDIDATES = 5
TIE = 1e-12
"""Costs that differ by less than this share of themselves are equal."""

HAIR = 1e-9
"""How far beyond s0, and how many times the value beyond indifference, a commitment goes so that a user that is against
the provider has no choice."""

# Left to LLVM, the calls inside the loop over games stay calls and take half of the time.
_inlined = compiled(inline="always")

_ROUNDING = formulas.ROUNDING
_net_value = _inlined(formulas.net_value)
_passes = _inlined(formulas.passes)
_cost = _inlined(formulas.cost)
_gain_of_staying = _inlined(formulas.gain_of_staying)


@_inlined
def _interior(x1: float, x2: float, p1: float, p2: float, s: float) -> float:
    """The maximiser for x1 > 0 > x2, where the payoff has one peak (Mahmood 2026, Theorem 2).

    The derivative has the sign of f(r) = m (1 - b r)^2 - n (1 - al b r^2) with al = a (1 - s), m = al x1 and
    n = -a s x2; its root is taken in the form that does not cancel, 2C / (-B + sqrt(B^2 - 4 A C)).
    """
    a, b = 1.0 - p1, 1.0 - p2
    al = a * (1.0 - s)
    m, n = al * x1, -a * s * x2
    one_minus_al_b = p2 + b * (p1 + s * (1.0 - p1))
    # The tolerance has a in place of al: the rounding of s itself moves al by its share of a.
    if m * p2**2 - n * one_minus_al_b >= -_ROUNDING * (a * x1 * p2**2 + n * one_minus_al_b):
        return 1.0
    if m <= n:
        return 0.0
    root_of_discriminant = np.sqrt(max(n * b * (m * b - al * (m - n)), 0.0))
    return min((m - n) / (m * b + root_of_discriminant), 1.0)  # type: ignore[no-any-return]


@_inlined
def _maximiser(p1: float, p2: float, from_standard: float, s: float, x1: float, x2: float) -> tuple[float, int]:
    """The patience that maximises x1 N1 + x2 N2, and whether others do."""
    # What counts: a start on model 2 never sees model 1, and with s = 0 (s = 1) a re-prompt never (always) moves on.
    y1 = x1 * (1.0 - s) * from_standard
    y2 = x2 if from_standard == 0.0 else x2 * s
    if y1 == 0.0 and y2 == 0.0:
        return 1.0, ANYTHING
    if y1 >= 0.0 and y2 >= 0.0:
        return 1.0, UNIQUE
    if y1 <= 0.0 and y2 <= 0.0:
        return 0.0, UNIQUE
    if y1 > 0.0:
        return _interior(x1, x2, p1, p2, s), UNIQUE
    gain = _gain_of_staying(p2, from_standard, s, x1, x2)
    # Not |x1| (1 - s): the rounding of s itself moves the gain by its share of |x1|.
    if abs(gain) <= _ROUNDING * (abs(x1) + abs(x2) * s / p2):
        return 1.0, ENDS
    return (1.0 if gain > 0.0 else 0.0), UNIQUE


@_inlined
def respond(
    p1: float,
    p2: float,
    xi1: float,
    xi2: float,
    eta1: float,
    eta2: float,
    from_standard: float,
    s: float,
    sign: float,
) -> float:
    """The user's best response; an indifferent user maximises `sign` times the provider's cost."""
    patience, tie = _maximiser(p1, p2, from_standard, s, xi1, xi2)
    if tie == ENDS:
        return 1.0 if sign * _gain_of_staying(p2, from_standard, s, eta1, eta2) >= 0.0 else 0.0
    if tie == ANYTHING:
        return _maximiser(p1, p2, from_standard, s, sign * eta1, sign * eta2)[0]
    return patience


@compiled()
def respond_many(
    p1: FloatArray,
    p2: FloatArray,
    xi1: FloatArray,
    xi2: FloatArray,
    eta1: FloatArray,
    eta2: FloatArray,
    model: IntArray,
    s: FloatArray,
    sign: float,
    patience: FloatArray,
) -> None:
    """`respond` for each entry; writes `patience`."""
    for i in range(patience.shape[0]):
        from_standard = 1.0 if model[i] == 1 else 0.0
        patience[i] = respond(p1[i], p2[i], xi1[i], xi2[i], eta1[i], eta2[i], from_standard, s[i], sign)


@_inlined
def regime_of(xi1: float, xi2: float) -> int:
    """Which models are worth a pass."""
    if xi1 > 0.0:
        return BOTH_WORTH if xi2 > 0.0 else ONLY_STANDARD_WORTH
    return ONLY_REASONING_WORTH if xi2 > 0.0 else NEITHER_WORTH


@compiled()
def regimes_many(xi1: FloatArray, xi2: FloatArray, regime: IntArray) -> None:
    """`regime_of` for each entry; writes `regime`."""
    for i in range(regime.shape[0]):
        regime[i] = regime_of(xi1[i], xi2[i])


@_inlined
def low_threshold(p1: float, p2: float, xi1: float, xi2: float) -> float:
    """s0 for xi1 <= 0 < xi2 and sL for xi1 > 0 >= xi2; see `stackroute.analytic.cascade_thresholds`."""
    x1, x2 = abs(xi1), abs(xi2)
    if xi1 <= 0.0:
        return x1 * p2 / (x2 + x1 * p2)
    linear = x2 * (p1 + p2 * (1.0 - p1)) + x1 * p2**2
    square = (1.0 - p1) * (1.0 - p2) * x2
    return 2.0 * x1 * p2**2 / (linear + np.sqrt(linear**2 + 4.0 * square * x1 * p2**2))  # type: ignore[no-any-return]


@compiled()
def thresholds_many(
    p1: FloatArray, p2: FloatArray, xi1: FloatArray, xi2: FloatArray, low: FloatArray, high: FloatArray
) -> None:
    """s0 twice, or sL and sH, or NaN twice; writes `low` and `high`."""
    for i in range(p1.shape[0]):
        regime = regime_of(xi1[i], xi2[i])
        low[i] = high[i] = np.nan
        if regime in (ONLY_REASONING_WORTH, ONLY_STANDARD_WORTH):
            low[i] = high[i] = low_threshold(p1[i], p2[i], xi1[i], xi2[i])
        if regime == ONLY_STANDARD_WORTH:
            high[i] = xi1[i] / (xi1[i] - xi2[i])


@_inlined
def count_candidates(regime: int, xi2: float, throttling: bool) -> int:
    """How many commitments `candidate` numbers."""
    if regime == BOTH_WORTH:
        return 5 if throttling else 2
    if regime == NEITHER_WORTH:
        return 2
    return 5 if throttling and xi2 > 0.0 else 4


@_inlined
def candidate(
    k: int, regime: int, p1: float, p2: float, xi1: float, xi2: float, more_s: float, more_d: float
) -> tuple[int, float, float, float]:
    """One of the commitments among which the provider's optimum lies.

    Args:
        k: Its number, from 0.
        regime: The regime without delay.
        p1: Success probability of model 1.
        p2: Success probability of model 2.
        xi1: Net value of model 1 without delay.
        xi2: Net value of model 2 without delay.
        more_s: How far beyond s0 to go.
        more_d: How much more to delay than makes the user indifferent.

    Returns:
        Model, cascade, delay of model 1, delay of model 2.
    """
    if k == 0:
        return 1, 0.0, 0.0, 0.0
    if k == 1:
        return 2, 0.0, 0.0, 0.0
    if regime == BOTH_WORTH:
        if k == 2:
            return 2, 0.0, 0.0, xi2 + more_d
        # The threat of a slow model 2, and slowing model 1 itself.
        return (1, 1.0, 0.0, xi2 + more_d) if k == 3 else (1, 0.0, xi1 + more_d, 0.0)
    if k == 2:
        return 1, 1.0, 0.0, 0.0
    if k == 3:
        s = low_threshold(p1, p2, xi1, xi2)
        return 1, (min(s + more_s, 1.0) if regime == ONLY_REASONING_WORTH else s), 0.0, 0.0
    return 2, 0.0, 0.0, xi2 + more_d


@compiled()
def candidates_many(
    p1: FloatArray,
    p2: FloatArray,
    xi1: FloatArray,
    xi2: FloatArray,
    value: FloatArray,
    k: int,
    throttling: bool,
    sign: float,
    model: IntArray,
    cascade: FloatArray,
    delay1: FloatArray,
    delay2: FloatArray,
) -> None:
    """The k-th candidate of each game, or its first where it has fewer; writes the last four arrays."""
    hair = HAIR if sign > 0.0 else 0.0
    for i in range(p1.shape[0]):
        rule = regime_of(xi1[i], xi2[i])
        number = k if k < count_candidates(rule, xi2[i], throttling) else 0
        found = candidate(number, rule, p1[i], p2[i], xi1[i], xi2[i], hair, hair * value[i])
        model[i], cascade[i], delay1[i], delay2[i] = found


@compiled()
def solve_many(
    p1: FloatArray,
    p2: FloatArray,
    c1: FloatArray,
    c2: FloatArray,
    t1: FloatArray,
    t2: FloatArray,
    value: FloatArray,
    churn_penalty: FloatArray,
    throttling: bool,
    sign: float,
    model: IntArray,
    cascade: FloatArray,
    delay1: FloatArray,
    delay2: FloatArray,
    patience: FloatArray,
    provider_cost: FloatArray,
    user_utility: FloatArray,
    user_utility_worst: FloatArray,
    regime: IntArray,
) -> None:
    """Solve each game; writes the last nine arrays. The arguments are those of `stackroute.analytic.solve`."""
    r, j, u, slowed = np.zeros((4, MAX_CANDIDATES))
    hair = HAIR if sign > 0.0 else 0.0
    for i in range(p1.shape[0]):
        q1, q2, k1, k2, v, penalty = p1[i], p2[i], c1[i], c2[i], value[i], churn_penalty[i]
        xi1, xi2 = _net_value(v, q1, t1[i]), _net_value(v, q2, t2[i])
        eta1, eta2 = k1 - penalty * q1, k2 - penalty * q2
        rule = regime_of(xi1, xi2)
        count = count_candidates(rule, xi2, throttling)
        least = np.inf
        for k in range(count):
            start, s, d1, d2 = candidate(k, rule, q1, q2, xi1, xi2, hair, hair * v)
            from_standard = 1.0 if start == 1 else 0.0
            x1 = _net_value(v, q1, t1[i] + d1) if d1 > 0.0 else xi1
            x2 = _net_value(v, q2, t2[i] + d2) if d2 > 0.0 else xi2
            r[k] = respond(q1, q2, x1, x2, eta1, eta2, from_standard, s, sign)
            n1, n2 = _passes(q1, q2, from_standard, s, r[k])
            j[k] = _cost(q1, q2, k1, k2, penalty, r[k], n1, n2)
            u[k] = x1 * n1 + x2 * n2
            slowed[k] = d1 + d2
            least = min(least, j[k])
        bound = least * (1.0 + TIE)
        scale = TIE * (v + t1[i] + t2[i])
        best = -1
        worst = np.inf
        for k in range(count):
            if j[k] <= bound:
                worst = min(worst, u[k])
                less_delay = best >= 0 and slowed[k] < slowed[best]
                if best < 0 or u[k] > u[best] + scale or (u[k] >= u[best] - scale and less_delay):
                    best = k
        if throttling:
            # Delays that leave the response as it is cost nothing: a served user can be brought to indifference, and
            # one that leaves anyway can be kept waiting for the largest delay, the value. At equal cost-of-pass so can
            # one that moves on from model 1.
            if k1 / q1 <= bound and k2 / q2 <= bound and xi2 > 0.0:
                worst = min(worst, xi1 - v)
            for x, cost, p in ((xi1, k1, q1), (xi2, k2, q2)):
                if cost + penalty * (1.0 - p) <= bound:
                    worst = min(worst, x - v)
                elif x > 0.0 and cost / p <= bound:
                    worst = min(worst, 0.0)
        model[i], cascade[i], delay1[i], delay2[i] = candidate(best, rule, q1, q2, xi1, xi2, hair, hair * v)
        patience[i], provider_cost[i], user_utility[i], user_utility_worst[i] = r[best], j[best], u[best], worst
        regime[i] = rule


def in_chunks(kernel: Any, inputs: list[Any], settings: tuple[Any, ...], outputs: list[Any]) -> list[Any]:
    """Run a kernel over inputs that broadcast, in chunks, so that memory does not grow with the batch.

    Args:
        kernel: Called with one-dimensional input chunks, the settings, and output chunks to write.
        inputs: Arrays that broadcast.
        settings: Scalars passed between inputs and outputs.
        outputs: For each output its data type, or an array of the inputs' common shape to write.

    Returns:
        The outputs, of the inputs' common shape.
    """
    given = [output if isinstance(output, np.ndarray) else None for output in outputs]
    dtypes = [output.dtype if isinstance(output, np.ndarray) else output for output in outputs]
    operands: list[Any] = [*(np.asarray(array) for array in inputs), *given]
    # Contiguous chunks, whatever the strides of the batch: the kernel is compiled once.
    access: list[Any] = [
        *(["readonly", "contig"] for _ in inputs),
        *(["writeonly", "allocate", "contig"] for _ in outputs),
    ]
    chunks = np.nditer(
        operands,
        flags=["external_loop", "buffered", "zerosize_ok", "delay_bufalloc"],
        op_flags=access,
        op_dtypes=[*(array.dtype for array in operands[: len(inputs)]), *dtypes],
        order="C",
        buffersize=4_096,
    )
    with chunks:
        chunks.reset()
        for chunk in chunks:
            kernel(*chunk[: len(inputs)], *settings, *chunk[len(inputs) :])
        return [array[()] for array in chunks.operands[len(inputs) :]]
