"""All compiled code of the package: passes by elimination, responses, thresholds and the two solutions.

Each `vectorised` function broadcasts over batches of games and writes its results into its last arguments. `work` is
space of the stated shape that a call shares among its games, so that none of them allocates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic.compiling import compiled, vectorised

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray, IntArray

ROUNDING = 8 * 2.0**-52
"""Differences below this share of their terms count as zero."""

TIE = 1e-12
"""Costs that differ by less than this share of themselves are equal."""

HAIR = 1e-9
"""How far beyond s0, and how many times the value beyond indifference, a commitment goes so that a user that is against
the provider has no choice."""

BOTH_WORTH, NEITHER_WORTH, ONLY_REASONING_WORTH, ONLY_STANDARD_WORTH = 0, 1, 2, 3

UNIQUE, ANYTHING, ENDS = 0, 1, 2
"""Which patiences attain the maximum: one, all of [0, 1], or exactly 0 and 1."""

MAX_CANDIDATES = 5

# Left to LLVM, the calls inside the loop over games stay calls and take half of the time.
_inlined = compiled(inline="always", error_model="numpy")


@_inlined
def _net_value(value: float, success: float, waiting: float) -> float:
    """The user's net value of a pass, xi = V p - t (Mahmood 2026, section 3); exactly 0 within rounding."""
    gain = value * success
    net = gain - waiting
    return net * (abs(net) > ROUNDING * (gain + waiting))


@vectorised("void(f8[:], f8[:], f8[:], f8[:])", "(),(),()->()")
def net_value(value: FloatArray, success: FloatArray, waiting: FloatArray, net: FloatArray) -> None:
    """V p - t, exactly 0 within rounding."""
    net[0] = _net_value(value[0], success[0], waiting[0])


# Any number of models.


@_inlined
def _eliminate(success: FloatArray, transition: FloatArray, r: FloatArray, q: FloatArray, factors: FloatArray) -> None:
    """Gaussian elimination of M = I - diag(r (1 - p)) R without a subtraction.

    The row of model k sums to q_k + r_k p_k with q = 1 - r. With these sums carried along in place of the diagonal
    (Grassmann, Taksar and Heyman 1985) only non-negative terms are added, so that each number of passes is exact to
    rounding even at r = 1 with tiny p, where M is nearly singular and a general solver loses a factor 1 / p.

    Args:
        success: Shape (n,).
        transition: Shape (n, n).
        r: Patience after a failure on each model, shape (n,).
        q: 1 - r, shape (n,): given as well, for each has digits near 0 that the other has lost.
        factors: Written: the lower factor below the diagonal, minus the upper one above it, and its diagonal, (n, n).
    """
    n = success.shape[0]
    for k in range(n):
        stays = r[k] * (1.0 - success[k])
        for j in range(n):
            factors[k, j] = stays * transition[k, j]
        factors[k, k] = q[k] + r[k] * success[k]
    for k in range(n):
        leaves = factors[k, k]
        for j in range(k + 1, n):
            factors[k, k] += factors[k, j]
        for i in range(k + 1, n):
            share = factors[i, k] / factors[k, k]
            factors[i, k] = share
            factors[i, i] += share * leaves
            for j in range(k + 1, n):
                if j != i:
                    factors[i, j] += share * factors[k, j]


@_inlined
def _passes(start: FloatArray, factors: FloatArray, passes: FloatArray) -> None:
    """N = start^T M^-1."""
    n = start.shape[0]
    for k in range(n):
        total = start[k]
        for i in range(k):
            total += passes[i] * factors[i, k]
        passes[k] = total / factors[k, k]
    for k in range(n - 1, -1, -1):
        for i in range(k + 1, n):
            passes[k] += passes[i] * factors[i, k]


@_inlined
def _values(factors: FloatArray, values: FloatArray) -> None:
    """M^-1 x in place of x: what a task on each model is worth from now on, for a payoff x of a pass."""
    n = values.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            values[i] += factors[i, k] * values[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            values[k] += factors[k, j] * values[j]
        values[k] /= factors[k, k]


@vectorised("void(f8[:], f8[:, :], f8[:], f8[:], f8[:], f8[:, :], f8[:])", "(n),(n,n),(n),(n),(n),(n,n)->(n)")
def expected_passes(
    start: FloatArray,
    transition: FloatArray,
    success: FloatArray,
    r: FloatArray,
    q: FloatArray,
    work: FloatArray,
    passes: FloatArray,
) -> None:
    """N = start^T (I - diag(r (1 - p)) R)^-1, q = 1 - r."""
    _eliminate(success, transition, r, q, work)
    _passes(start, work, passes)


@vectorised(
    "void(f8[:], f8[:, :], f8[:], f8[:], f8[:], f8[:, :], f8[:], f8[:], f8[:], f8[:])",
    "(n),(n,n),(n),(n),(),(w,n)->(),(),(),()",
)
def gain_and_slope(
    start: FloatArray,
    transition: FloatArray,
    success: FloatArray,
    payoff: FloatArray,
    q: FloatArray,
    work: FloatArray,
    gain: FloatArray,
    gain_rounding: FloatArray,
    slope: FloatArray,
    slope_rounding: FloatArray,
) -> None:
    """U(r) - U(0) and dU/dr for U(r) = x . N(r), each with its rounding error; r = 1 - q for all models.

    With A = diag(1 - p) R and M = I - r A these are r start^T A M^-1 x and N(r)^T A M^-1 x. `work` has n + 5 rows.
    """
    n = success.shape[0]
    factors, r, all_q, passes, values, size = work[:n], work[n], work[n + 1], work[n + 2], work[n + 3], work[n + 4]
    for k in range(n):
        r[k], all_q[k] = 1.0 - q[0], q[0]
        values[k], size[k] = payoff[k], abs(payoff[k])
    _eliminate(success, transition, r, all_q, factors)
    _passes(start, factors, passes)
    _values(factors, values)
    _values(factors, size)
    gain[0] = gain_rounding[0] = slope[0] = slope_rounding[0] = 0.0
    for k in range(n):
        value = error = 0.0
        for j in range(n):
            value += transition[k, j] * values[j]
            error += transition[k, j] * size[j]
        # The rounding of a row's other entries moves the probability to stay by its share of their sum.
        error += (1.0 - transition[k, k]) * size[k]
        at_first, ever = start[k] * (1.0 - success[k]), passes[k] * (1.0 - success[k])
        gain[0] += at_first * value
        gain_rounding[0] += at_first * error
        slope[0] += ever * value
        slope_rounding[0] += ever * error
    gain[0] *= 1.0 - q[0]
    gain_rounding[0] *= (1.0 - q[0]) * n * ROUNDING
    slope_rounding[0] *= n * ROUNDING


# Cascades of two models. `from_first` is 1.0 when the first pass is on the first model, 0.0 when it is on the second.


@_inlined
def _cascade_passes(p1: float, p2: float, from_first: float, s: float, r: float) -> tuple[float, float]:
    """N1 and N2 (Mahmood 2026, section 3), the steps of `_eliminate` and `_passes` written out."""
    ends1, moves, ends2 = (1.0 - r) + r * p1, r * (1.0 - p1) * s, (1.0 - r) + r * p2
    n1 = from_first / (ends1 + moves)
    return n1, ((1.0 - from_first) + n1 * moves) / ends2


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
    if m * p2**2 - n * one_minus_al_b >= -ROUNDING * (a * x1 * p2**2 + n * one_minus_al_b):
        return 1.0
    if m <= n:
        return 0.0
    root_of_discriminant = np.sqrt(max(n * b * (m * b - al * (m - n)), 0.0))
    return min((m - n) / (m * b + root_of_discriminant), 1.0)  # type: ignore[no-any-return]


@_inlined
def _gain_of_staying(p2: float, from_first: float, s: float, x1: float, x2: float) -> float:
    """A positive multiple of (payoff at r = 1) - (payoff at r = 0), for a payoff x1 N1 + x2 N2."""
    return from_first * (x1 * (1.0 - s) + x2 * s / p2) + (1.0 - from_first) * x2


@_inlined
def _maximiser(p1: float, p2: float, from_first: float, s: float, x1: float, x2: float) -> tuple[float, int]:
    """The patience that maximises x1 N1 + x2 N2, and whether others do."""
    # What counts: a start on model 2 never sees model 1, and with s = 0 (s = 1) a re-prompt never (always) moves on.
    y1 = x1 * (1.0 - s) * from_first
    y2 = x2 if from_first == 0.0 else x2 * s
    if y1 == 0.0 and y2 == 0.0:
        return 1.0, ANYTHING
    if y1 >= 0.0 and y2 >= 0.0:
        return 1.0, UNIQUE
    if y1 <= 0.0 and y2 <= 0.0:
        return 0.0, UNIQUE
    if y1 > 0.0:
        return _interior(x1, x2, p1, p2, s), UNIQUE
    gain = _gain_of_staying(p2, from_first, s, x1, x2)
    # Not |x1| (1 - s): the rounding of s itself moves the gain by its share of |x1|.
    if abs(gain) <= ROUNDING * (abs(x1) + abs(x2) * s / p2):
        return 1.0, ENDS
    return (1.0 if gain > 0.0 else 0.0), UNIQUE


@_inlined
def _respond(
    p1: float, p2: float, xi1: float, xi2: float, eta1: float, eta2: float, from_first: float, s: float, sign: float
) -> float:
    """The user's best response; an indifferent user maximises `sign` times the provider's cost."""
    patience, tie = _maximiser(p1, p2, from_first, s, xi1, xi2)
    if tie == ENDS:
        return 1.0 if sign * _gain_of_staying(p2, from_first, s, eta1, eta2) >= 0.0 else 0.0
    if tie == ANYTHING:
        return _maximiser(p1, p2, from_first, s, sign * eta1, sign * eta2)[0]
    return patience


@_inlined
def _lottery_response(transition: FloatArray, xi: FloatArray, eta: FloatArray, sign: float) -> float:
    """The best response where every re-prompt is served by the same lottery; NaN where it is not."""
    n = xi.shape[0]
    worth = size = cost = 0.0
    for k in range(n):
        for j in range(1, n):
            if transition[j, k] != transition[0, k]:
                return np.nan
        worth += transition[0, k] * xi[k]
        # Not its share of it: the rounding of the shares themselves moves the sum by as much.
        size += abs(xi[k]) * (transition[0, k] > 0.0)
        cost += transition[0, k] * eta[k]
    # The utility, and the provider's cost, are monotone in the patience.
    if abs(worth) <= n * ROUNDING * size:
        return 1.0 if sign * cost >= 0.0 else 0.0
    return 1.0 if worth > 0.0 else 0.0


@vectorised("void(f8[:], f8[:, :], f8[:], f8[:], f8[:], f8[:], f8[:])", "(n),(n,n),(n),(n),(n),()->()")
def response(
    start: FloatArray,
    transition: FloatArray,
    success: FloatArray,
    xi: FloatArray,
    eta: FloatArray,
    sign: FloatArray,
    patience: FloatArray,
) -> None:
    """The best response to a cascade of two models or to a lottery; NaN where the commitment is neither."""
    from_first = start[0]
    if success.shape[0] == 2 and (from_first == 0.0 or from_first == 1.0) and transition[1, 0] == 0.0:
        patience[0] = _respond(
            success[0], success[1], xi[0], xi[1], eta[0], eta[1], from_first, transition[0, 1], sign[0]
        )
    else:
        patience[0] = _lottery_response(transition, xi, eta, sign[0])


@_inlined
def _regime(xi1: float, xi2: float) -> int:
    """Which models are worth a pass."""
    if xi1 > 0.0:
        return BOTH_WORTH if xi2 > 0.0 else ONLY_STANDARD_WORTH
    return ONLY_REASONING_WORTH if xi2 > 0.0 else NEITHER_WORTH


@_inlined
def _low_threshold(p1: float, p2: float, xi1: float, xi2: float) -> float:
    """s0 for xi1 <= 0 < xi2 and sL for xi1 > 0 >= xi2; see `stackroute.analytic.cascade_thresholds`."""
    x1, x2 = abs(xi1), abs(xi2)
    if xi1 <= 0.0:
        return x1 * p2 / (x2 + x1 * p2)
    linear = x2 * (p1 + p2 * (1.0 - p1)) + x1 * p2**2
    square = (1.0 - p1) * (1.0 - p2) * x2
    return 2.0 * x1 * p2**2 / (linear + np.sqrt(linear**2 + 4.0 * square * x1 * p2**2))  # type: ignore[no-any-return]


@vectorised("void(f8[:], f8[:], f8[:], f8[:], i8[:])", "(n),(n)->(),(),()")
def thresholds(success: FloatArray, xi: FloatArray, low: FloatArray, high: FloatArray, regime: IntArray) -> None:
    """The regime, and s0 twice, or sL and sH, or NaN twice."""
    rule = _regime(xi[0], xi[1])
    low[0] = high[0] = np.nan
    if rule in (ONLY_REASONING_WORTH, ONLY_STANDARD_WORTH):
        low[0] = high[0] = _low_threshold(success[0], success[1], xi[0], xi[1])
    if rule == ONLY_STANDARD_WORTH:
        high[0] = xi[0] / (xi[0] - xi[1])
    regime[0] = rule


@_inlined
def _count_candidates(regime: int, xi2: float, throttling: bool) -> int:
    """How many commitments `_candidate` numbers."""
    if regime == BOTH_WORTH:
        return 5 if throttling else 2
    if regime == NEITHER_WORTH:
        return 2
    return 5 if throttling and xi2 > 0.0 else 4


@_inlined
def _candidate(
    k: int, regime: int, p1: float, p2: float, xi1: float, xi2: float, more_s: float, more_d: float
) -> tuple[float, float, float, float]:
    """The k-th commitment among which the provider's optimum lies: starts on the first model, s, both delays.

    It goes `more_s` beyond s0 and delays by `more_d` more than makes the user indifferent.
    """
    if k == 0:
        return 1.0, 0.0, 0.0, 0.0
    if k == 1:
        return 0.0, 0.0, 0.0, 0.0
    if regime == BOTH_WORTH:
        if k == 2:
            return 0.0, 0.0, 0.0, xi2 + more_d
        # The threat of a slow second model, and slowing the first itself.
        return (1.0, 1.0, 0.0, xi2 + more_d) if k == 3 else (1.0, 0.0, xi1 + more_d, 0.0)
    if k == 2:
        return 1.0, 1.0, 0.0, 0.0
    if k == 3:
        s = _low_threshold(p1, p2, xi1, xi2)
        return 1.0, (min(s + more_s, 1.0) if regime == ONLY_REASONING_WORTH else s), 0.0, 0.0
    return 0.0, 0.0, 0.0, xi2 + more_d


@vectorised(
    "void(f8[:], f8[:], f8[:], f8[:], f8[:], b1[:], f8[:], f8[:, :],"
    " f8[:], f8[:, :], f8[:], f8[:], f8[:], f8[:], f8[:])",
    "(n),(n),(n),(),(),(),(),(w,k)->(n),(n,n),(n),(),(),(),()",
)
def solve_cascades(
    success: FloatArray,
    cost: FloatArray,
    latency: FloatArray,
    value: FloatArray,
    churn_penalty: FloatArray,
    throttling: Any,
    sign: FloatArray,
    work: FloatArray,
    start: FloatArray,
    transition: FloatArray,
    delay: FloatArray,
    patience: FloatArray,
    provider_cost: FloatArray,
    user_utility: FloatArray,
    user_utility_worst: FloatArray,
) -> None:
    """Solve a game of two models (see `stackroute.analytic.solve`); `work` has 7 rows of `MAX_CANDIDATES`."""
    r, j, u, from_first, s, d1, d2 = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    p1, p2, c1, c2, t1, t2 = success[0], success[1], cost[0], cost[1], latency[0], latency[1]
    v, penalty = value[0], churn_penalty[0]
    hair = HAIR if sign[0] > 0.0 else 0.0
    xi1, xi2 = _net_value(v, p1, t1), _net_value(v, p2, t2)
    eta1, eta2 = c1 - penalty * p1, c2 - penalty * p2
    rule = _regime(xi1, xi2)
    count = _count_candidates(rule, xi2, throttling[0])
    least = np.inf
    for k in range(count):
        from_first[k], s[k], d1[k], d2[k] = _candidate(k, rule, p1, p2, xi1, xi2, hair, hair * v)
        x1 = _net_value(v, p1, t1 + d1[k]) if d1[k] > 0.0 else xi1
        x2 = _net_value(v, p2, t2 + d2[k]) if d2[k] > 0.0 else xi2
        r[k] = _respond(p1, p2, x1, x2, eta1, eta2, from_first[k], s[k], sign[0])
        n1, n2 = _cascade_passes(p1, p2, from_first[k], s[k], r[k])
        # J = C + P (1 - S): each failed pass is abandoned with probability 1 - r.
        abandoned = (1.0 - r[k]) * ((1.0 - p1) * n1 + (1.0 - p2) * n2)
        j[k] = c1 * n1 + c2 * n2 + penalty * abandoned
        u[k] = x1 * n1 + x2 * n2
        least = min(least, j[k])
    bound = least * (1.0 + TIE)
    scale = TIE * (v + t1 + t2)
    best = -1
    worst = np.inf
    for k in range(count):
        if j[k] <= bound:
            worst = min(worst, u[k])
            less_delay = best >= 0 and d1[k] + d2[k] < d1[best] + d2[best]
            if best < 0 or u[k] > u[best] + scale or (u[k] >= u[best] - scale and less_delay):
                best = k
    if throttling[0]:
        # Delays that leave the response as it is cost nothing: a served user can be brought to indifference, and
        # one that leaves anyway can be kept waiting for the largest delay, the value. At equal cost-of-pass so can
        # one that moves on from the first model.
        if c1 / p1 <= bound and c2 / p2 <= bound and xi2 > 0.0:
            worst = min(worst, xi1 - v)
        for x, c, p in ((xi1, c1, p1), (xi2, c2, p2)):
            if c + penalty * (1.0 - p) <= bound:
                worst = min(worst, x - v)
            elif x > 0.0 and c / p <= bound:
                worst = min(worst, 0.0)
    start[0], start[1] = from_first[best], 1.0 - from_first[best]
    transition[0, 0], transition[0, 1], transition[1, 0], transition[1, 1] = 1.0 - s[best], s[best], 0.0, 1.0
    delay[0], delay[1] = d1[best], d2[best]
    patience[0], provider_cost[0], user_utility[0], user_utility_worst[0] = r[best], j[best], u[best], worst


# Free routing: any commitment, any number of models.


@_inlined
def _pair_cost(cost: FloatArray, success: FloatArray, xi: FloatArray, i: int, j: int) -> float:
    """What a task costs from now on under the lottery of i, with xi > 0, and j, with xi < 0, that leaves xi . z = 0."""
    up, down = xi[i], -xi[j]
    return (down * cost[i] + up * cost[j]) / (down * success[i] + up * success[j])  # type: ignore[no-any-return]


@vectorised(
    "void(f8[:], f8[:], f8[:], f8[:], f8[:], b1[:], f8[:], f8[:], f8[:], f8[:], f8[:], f8[:], f8[:], f8[:], f8[:])",
    "(n),(n),(n),(),(),(),(),(n)->(n),(n),(n),(),(),(),()",
)
def solve_free(
    success: FloatArray,
    cost: FloatArray,
    latency: FloatArray,
    value: FloatArray,
    churn_penalty: FloatArray,
    throttling: Any,
    sign: FloatArray,
    xi: FloatArray,
    start: FloatArray,
    lottery: FloatArray,
    delay: FloatArray,
    patience: FloatArray,
    provider_cost: FloatArray,
    user_utility: FloatArray,
    user_utility_worst: FloatArray,
) -> None:
    """Solve a game over all commitments (see `stackroute.analytic.solve`); `xi` is work.

    After a failed first pass there are two ways to go on: users stay, with the cheapest lottery that is worth it, of
    one model or of two between which they are indifferent; or they leave.
    """
    n = success.shape[0]
    v, penalty = value[0], churn_penalty[0]
    pessimistic = sign[0] > 0.0
    hair = HAIR if pessimistic else 0.0
    slowest, best_worth = 0, 0
    for k in range(n):
        xi[k] = _net_value(v, success[k], latency[k])
        if xi[k] > xi[best_worth]:
            best_worth = k
        if xi[k] < xi[slowest]:
            slowest = k
    # Which one slows the first pass least: not the first model itself where there is another.
    slowest_other = -1
    for k in range(n):
        if k != slowest and (slowest_other < 0 or xi[k] < xi[slowest_other]):
            slowest_other = k
    worth = xi[best_worth] > 0.0

    # The cheapest way to keep a user, on one model (second < 0) or on two.
    stay, first, second = np.inf, -1, -1
    for i in range(n):
        single = cost[i] / success[i]
        # At xi = 0 a user that is against the provider stays where that costs more than its leaving, or for a hair.
        if (xi[i] > 0.0 or (xi[i] == 0.0 and (not pessimistic or worth or single >= penalty))) and single < stay:
            stay, first, second = single, i, -1
    for i in range(n):
        for j in range(n):
            if xi[i] > 0.0 and xi[j] < 0.0:
                both = _pair_cost(cost, success, xi, i, j)
                if both < stay:
                    stay, first, second = both, i, j
    # Users leave where a re-prompt can be sent to a model that is not worth it.
    unkind = xi[slowest] == 0.0 and (not pessimistic or cost[slowest] / success[slowest] <= penalty)
    without_delay = xi[slowest] < 0.0 or unkind
    leave = penalty if (without_delay or throttling[0]) else np.inf

    least = np.inf
    for i in range(n):
        least = min(least, cost[i] + (1.0 - success[i]) * min(stay, leave))
    bound = least + TIE * abs(least)
    stay_bound = stay + TIE * abs(stay)
    # Of lotteries that cost the same, the user likes the one best that leaves it most.
    if second >= 0 or xi[first] == 0.0:
        for k in range(n):
            if xi[k] > 0.0 and cost[k] / success[k] <= stay_bound:
                first, second = k, -1
    if second < 0:
        for k in range(n):
            if cost[k] / success[k] <= stay_bound and xi[k] / success[k] > xi[first] / success[first]:
                first = k

    best, best_stays, best_utility, best_delay = -1, False, -np.inf, 0.0
    worst = np.inf
    kept = xi[first] / success[first] if second < 0 else 0.0
    for i in range(n):
        if cost[i] + (1.0 - success[i]) * stay <= bound:
            utility = xi[i] + (1.0 - success[i]) * kept
            if best < 0 or utility > best_utility + TIE * (v + latency[i]):
                best, best_stays, best_utility, best_delay = i, True, utility, 0.0
            # The ends of all lotteries that cost as little: single models, and pairs.
            for a in range(n):
                if xi[a] >= 0.0 and cost[a] / success[a] <= stay_bound:
                    if not throttling[0]:
                        worst = min(worst, xi[i] + (1.0 - success[i]) * xi[a] / success[a])
                    else:
                        # Delays bring users to indifference; on a first model that serves no re-prompt they are free.
                        worst = min(worst, 0.0 if a == i else xi[i] - v)
                for b in range(n):
                    if xi[a] > 0.0 and xi[b] < 0.0 and _pair_cost(cost, success, xi, a, b) <= stay_bound:
                        free = throttling[0] and a != i and b != i
                        worst = min(worst, xi[i] - v if free else xi[i])
        if cost[i] + (1.0 - success[i]) * leave <= bound:
            slowed = slowest if slowest != i or n == 1 else slowest_other
            added = 0.0 if without_delay else xi[slowed] + hair * v
            utility = xi[i] - (added if slowed == i else 0.0)
            scale = TIE * (v + latency[i])
            if (
                best < 0
                or utility > best_utility + scale
                or (utility >= best_utility - scale and not best_stays and added < best_delay)
            ):
                best, best_stays, best_utility, best_delay = i, False, utility, added
            worst = min(worst, xi[i] - v if throttling[0] else xi[i])

    for k in range(n):
        start[k] = 1.0 if k == best else 0.0
        lottery[k] = delay[k] = 0.0
    if best_stays:
        if second >= 0:
            share = min(-xi[second] / (xi[first] - xi[second]) + hair, 1.0)
            lottery[first], lottery[second] = share, 1.0 - share
        elif pessimistic and xi[first] == 0.0 and worth:
            lottery[first], lottery[best_worth] = 1.0 - hair, hair
        else:
            lottery[first] = 1.0
    elif without_delay:
        # Users that leave of themselves need no threat.
        itself = xi[best] < 0.0 or (xi[best] == 0.0 and xi[slowest] == 0.0 and not pessimistic)
        lottery[best if itself else slowest] = 1.0
    else:
        slowed = slowest if slowest != best or n == 1 else slowest_other
        lottery[slowed] = 1.0
        delay[slowed] = best_delay
    solves = costs = worth_more = 0.0
    for k in range(n):
        solves += lottery[k] * success[k]
        costs += lottery[k] * cost[k]
        worth_more += lottery[k] * xi[k]
    if not best_stays:
        costs, worth_more, solves = penalty, 0.0, 1.0
    elif second >= 0 and not pessimistic:
        worth_more = 0.0
    patience[0] = 1.0 if best_stays else 0.0
    provider_cost[0] = cost[best] + (1.0 - success[best]) * costs / solves
    utility = xi[best] - (delay[best] if not best_stays else 0.0)
    user_utility[0] = utility + (1.0 - success[best]) * worth_more / solves
    user_utility_worst[0] = min(worst, user_utility[0])


@vectorised("void(f8[:], f8[:], b1[:])", "(n),(n)->(n)")
def lower_hull(utility: FloatArray, cost: FloatArray, corner: Any) -> None:
    """Which points are corners of the least cost of at least a utility: a convex curve that rises to the greatest one.

    Of points that are the same the first is. Points on an edge are none.
    """
    n = utility.shape[0]
    at = 0
    for k in range(n):
        corner[k] = False
        if cost[k] < cost[at] or (cost[k] == cost[at] and utility[k] > utility[at]):
            at = k
    while at >= 0:
        corner[at] = True
        following, least = -1, np.inf
        for k in range(n):
            if utility[k] > utility[at]:
                slope = (cost[k] - cost[at]) / (utility[k] - utility[at])
                if slope < least or (slope == least and utility[k] > utility[following]):
                    following, least = k, slope
        at = following
