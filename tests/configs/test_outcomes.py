"""Outcomes by task: what is read, what is refused, the Beta fits against simulation, and the games that they make."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom

import stackroute
from stackroute.analytic import Ladders, traffic_payoffs
from stackroute.configs import ConfigError, Outcomes, read_outcomes
from stackroute.configs.difficulty import fit_beta
from stackroute.configs.outcome_files import outcome_names

HEADER = "task,model,attempts,successes,cost,seconds\n"
SMALL = HEADER + "t1,a,4,1,.1,2\nt1,b,2,2,.5,9\nt2,a,1,0,,\nt3,b,3,0,.7,\n"


def written(tmp_path: Path, text: str, name: str = "mine.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def counts(attempts: list[int], successes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(attempts), np.array(successes)


def test_what_is_packaged_is_what_the_sources_have() -> None:
    shapes = {"bfcl": (1700, 9, 36), "metr": (83, 10, 2), "evalperf": (118, 34, 0)}
    assert outcome_names() == list(shapes)
    assert stackroute.read_outcomes is read_outcomes
    for name, (tasks, models, features) in shapes.items():
        outcomes = read_outcomes(name)
        assert (
            outcomes.attempts.shape
            == outcomes.cost.shape
            == (tasks, models)
            == (
                len(outcomes.tasks),
                len(outcomes.models),
            )
        )
        assert (0 if outcomes.features is None else outcomes.features.shape[1]) == features
        assert not outcomes.rejected
        assert (outcomes.successes <= outcomes.attempts).all()
        assert "at commit" in outcomes.source


def test_files_come_back_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with gzip.open(tmp_path / "set" / "outcomes.csv.gz", "wt") as file:
        file.write(SMALL)
    written(tmp_path / "set", "task,kind,length\nt2,x,7\nt1,,8.5\n", "features.csv")
    for path in (written(tmp_path, SMALL), tmp_path / "set"):
        outcomes = read_outcomes(path)
        assert (outcomes.tasks, outcomes.models) == (("t1", "t2", "t3"), ("a", "b"))
        assert outcomes.attempts.tolist() == [[4, 2], [1, 0], [0, 3]]
        assert outcomes.successes.tolist() == [[1, 2], [0, 0], [0, 0]]
        np.testing.assert_array_equal(outcomes.cost, [[0.1, 0.5], [np.nan, np.nan], [np.nan, 0.7]])
        np.testing.assert_array_equal(outcomes.seconds, [[2, 9], [np.nan, np.nan], [np.nan, np.nan]])
    assert outcomes.features is not None
    assert outcomes.features["kind"].tolist() == ["unknown", "x", "unknown"]
    np.testing.assert_array_equal(outcomes.features["length"], [8.5, 7.0, np.nan])


def test_numbers_in_other_units_and_signs(tmp_path: Path) -> None:
    text = "Task;Model;Attempts;Successes;cost;latency (ms)\nt1;a;10;4;$1,50;1.200,5\nt2;a;3;3;$0,25;800,0\n"
    outcomes = read_outcomes(written(tmp_path, text), columns={"seconds": "latency (ms)"})
    assert outcomes.cost[:, 0].tolist() == [1.5, 0.25]
    assert outcomes.seconds[:, 0].tolist() == [1.2005, 0.8]
    assert outcomes.money == "USD"
    assert "seconds ('latency (ms)') in milliseconds (semicolons, decimal commas, UTF-8)" in outcomes.understood
    plain = "task,model,attempts,successes,cost,ms\nt1,a,10,4,0.1,41.2\n"
    assert read_outcomes(written(tmp_path, plain), units={"cost": "usd/1k"}).cost.item() == 0.0001
    assert read_outcomes(written(tmp_path, plain)).seconds.item() == 0.0412


def test_broken_rows_are_listed_and_the_others_go_on(tmp_path: Path) -> None:
    rows = [
        ("good,a,2,1,.1,1", ""),
        ("many,a,2,3,.1,1", "successes: 3 is not allowed; expected a whole number from 0 to the 2 attempts"),
        ("below,a,2,-1,.1,1", "successes: -1 is not"),
        ("none,a,0,0,.1,1", "attempts: 0 is not allowed; expected a whole number from 1"),
        ("half,a,1.5,1,.1,1", "attempts: 1.5 is not"),
        ("good,a,9,9,.1,1", "task and model: stand in the file twice; the first row is used"),
        ("words,a,two,1,.1,1", "attempts: two is not"),
        ("unknown,a,,1,.1,1", "attempts: is empty"),
        ("unknown,a,2,n/a,.1,1", "successes: is empty"),
        (",a,2,1,.1,1", "task: is empty"),
        ("nobody,,2,1,.1,1", "model: is empty"),
        ("cheap,a,2,1,-.1,1", "cost: -.1 is not allowed; expected a number of at least 0, or nothing"),
        ("late,a,2,1,.1,soon", "seconds: soon is not"),
        ("endless,a,2,1,.1,1e999", "seconds: 1e999 is not"),
        ("long,a,2,1,.1,1,7", "7 cells are not allowed; expected 6"),
        ("short,a,2,1", ""),
    ]
    outcomes = read_outcomes(written(tmp_path, HEADER + "\n" + "\n".join(row for row, _ in rows)))
    assert outcomes.tasks == ("good", "short")
    assert outcomes.attempts.tolist() == [[2], [2]]
    expected = [(line, reason) for line, (_, reason) in enumerate(rows, start=3) if reason]
    assert [rejected.line for rejected in outcomes.rejected] == [line for line, _ in expected]
    for rejected, (_, reason) in zip(outcomes.rejected, expected, strict=True):
        assert rejected.reason.startswith(reason)
    assert str(outcomes.rejected[0]).startswith("line 4, many, a: successes")


def test_broken_features_are_listed(tmp_path: Path) -> None:
    written(tmp_path, SMALL, "outcomes.csv")
    written(tmp_path, "task,x\nt1,1\nt1,2\nt9,3\nt2,4,5\nt3,6\n", "features.csv")
    outcomes = read_outcomes(tmp_path)
    assert [rejected.line for rejected in outcomes.rejected] == [3, 4, 5]
    assert outcomes.features is not None
    np.testing.assert_array_equal(outcomes.features["x"], [1, np.nan, 6])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"task,model,attempts\nt,a,1\n", "no column successes"),
        (b"", "is empty"),
        (HEADER.encode(), "no row can be used"),
        (HEADER.encode() + b"t,a,1,2,,\n", "no row can be used; the first: line 2, t, a: successes: 2"),
        (b"\x1f\x8bnot gzip", "not a file compressed by gzip"),
        (gzip.compress(SMALL.encode(), mtime=0)[:-9], "not a file compressed by gzip"),
        (HEADER.encode() + b'"t"t,a,1,1,2,\n', "not valid CSV"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_outcomes(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_outcomes(tmp_path / "other.csv")
    with pytest.raises(ConfigError, match="no such file"):
        read_outcomes(tmp_path / "none")


def test_a_hundred_thousand_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    attempts = random.integers(1, 9, 100_000)
    successes = random.integers(0, attempts + 1)
    cost = random.random(100_000).round(6)
    number = np.arange(100_000)
    table = pd.DataFrame({"task": number // 4, "model": number % 4, "attempts": attempts, "successes": successes})
    table = table.assign(cost=cost, seconds="")
    table.loc[70_000, "successes"] = 99
    path = tmp_path / "mine.csv"
    table.to_csv(path, index=False)
    outcomes = read_outcomes(path)
    assert [rejected.line for rejected in outcomes.rejected] == [70_002]
    kept = np.arange(100_000) != 70_000
    assert len(outcomes.tasks) == 25_000
    for read, made in ((outcomes.attempts, attempts), (outcomes.successes, successes), (outcomes.cost, cost)):
        np.testing.assert_array_equal(read.ravel()[kept], made[kept])
    assert not outcomes.attempts[17_500, 0]
    # Quotes need the general reader, which reads the same.
    table[:400].to_csv(path, index=False, sep="\t", quoting=csv.QUOTE_ALL)
    assert read_outcomes(path).attempts.tolist() == outcomes.attempts[:100].tolist()


@pytest.mark.parametrize(("a", "b"), [(0.15, 0.3), (3.0, 1.0)])
def test_the_fit_finds_the_distribution_that_made_the_data(a: float, b: float) -> None:
    random = np.random.default_rng(5)
    # Estimates in units of their standard errors: of 20 their mean is within 3.3 / sqrt(20) with probability .999.
    scores = []
    for _ in range(20):
        attempts = random.integers(1, 12, 400)
        fit = fit_beta("m", attempts, random.binomial(attempts, random.beta(a, b, 400)))
        assert not fit.assumed
        assert not fit.note
        ratio = (fit.retry_ratio - (a + b) / (a + b + 1)) / fit.retry_ratio_error
        scores.append([(fit.a - a) / fit.a_error, (fit.b - b) / fit.b_error, ratio])
    assert (np.abs(np.mean(scores, axis=0)) < 0.74).all()
    # The variance of 20 is a chi-squared over its degrees of freedom: within .3 and 2.3 with probability .998.
    assert (np.var(scores, axis=0, ddof=1) > 0.3).all()
    assert (np.var(scores, axis=0, ddof=1) < 2.3).all()


def test_no_other_distribution_is_likelier() -> None:
    attempts, successes = counts([3, 5, 5, 9, 2, 1], [0, 5, 2, 8, 0, 1])
    fit = fit_beta("m", attempts, successes)

    def likelihood(a: float, b: float) -> float:
        return float(betabinom.logpmf(successes, attempts, a, b).sum())

    steps = np.linspace(-0.4, 0.4, 9)
    assert all(
        likelihood(fit.a * np.exp(x), fit.b * np.exp(y)) <= likelihood(fit.a, fit.b) + 1e-9
        for x in steps
        for y in steps
    )
    h = 1e-3
    second = [
        likelihood(fit.a + h, fit.b) - 2 * likelihood(fit.a, fit.b) + likelihood(fit.a - h, fit.b),
        likelihood(fit.a, fit.b + h) - 2 * likelihood(fit.a, fit.b) + likelihood(fit.a, fit.b - h),
    ]
    np.testing.assert_allclose(np.diag(np.linalg.inv(fit.covariance)), -np.array(second) / h**2, rtol=1e-3)


def test_the_measured_curve_is_that_of_shuffled_attempts() -> None:
    attempts, successes = counts([6, 6, 4, 2, 5, 1], [1, 5, 0, 1, 2, 1])
    measured = fit_beta("m", attempts, successes).measured_curve(7)
    random = np.random.default_rng(2)
    reached, solved = np.zeros(7), np.zeros(7)
    repeats = 20_000
    for m, s in zip(attempts, successes, strict=True):
        shuffled = random.permuted(np.broadcast_to(np.arange(m) < s, (repeats, m)), axis=1)
        failed = np.cumprod(np.c_[np.ones(repeats), ~shuffled], axis=1)[:, :m]
        reached[:m] += failed.sum(axis=0)
        solved[:m] += (failed * shuffled).sum(axis=0)
    at = reached > 0
    # Five standard errors of the simulated shares.
    np.testing.assert_allclose(measured[at], solved[at] / reached[at], atol=5 * 0.5 / np.sqrt(reached[at].min()))
    np.testing.assert_array_equal(np.isnan(measured), ~at)
    assert measured[0] == pytest.approx(np.mean(successes / attempts))


def test_the_numbers_of_the_sources_are_reproduced() -> None:
    metr = read_outcomes("metr")
    fit = metr.fit(["GPT-4o"])["GPT-4o"]
    assert (round(fit.a, 2), round(fit.b, 2)) == (0.14, 0.30)
    measured = fit.measured_curve(5)
    np.testing.assert_allclose(measured, [0.331, 0.112, 0.066, 0.044, 0.032], atol=5e-4)
    assert measured[1] / measured[0] == pytest.approx(0.33, abs=0.01)
    assert abs(fit.retry_ratio - measured[1] / measured[0]) < fit.retry_ratio_error
    assert metr.escalation("GPT-4o", "o1") == pytest.approx(0.65, abs=0.01)
    evalperf = read_outcomes("evalperf")
    pair = ["gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"]
    small, large = (evalperf.fit(pair)[model].measured_curve(2) for model in pair)
    assert (round(small[0], 3), round(large[0], 3)) == (0.855, 0.888)
    assert small[1] / small[0] == pytest.approx(0.32, abs=0.005)
    assert evalperf.escalation(*pair) == pytest.approx(0.65, abs=0.01)


@pytest.mark.parametrize(
    ("attempts", "successes", "success", "note"),
    [
        ([1, 1, 1, 1], [1, 0, 0, 0], 0.25, "one attempt a task"),
        ([5, 5, 5], [0, 0, 0], 0.125, "no attempt succeeds"),
        ([2, 2, 2], [2, 2, 2], 0.875, "every attempt succeeds"),
        ([8], [2], 0.25, "one task"),
        ([1], [1], 0.75, "every attempt succeeds"),
    ],
)
def test_where_the_data_do_not_show_the_correlation_it_is_the_given_one(
    attempts: list[int], successes: list[int], success: float, note: str
) -> None:
    fit = fit_beta("m", *counts(attempts, successes), correlation=0.2)
    assert fit.assumed
    assert note in fit.note
    assert (fit.success, fit.correlation) == (pytest.approx(success), pytest.approx(0.2))
    assert fit.a_error > 0
    assert np.isnan(fit.retry_ratio_error)
    np.testing.assert_allclose(fit.curve(2), [success, 0.8 * success])


@pytest.mark.parametrize(
    ("attempts", "successes", "ratio", "note"),
    [
        ([4, 4, 4, 4], [0, 4, 4, 0], 0.0, "always or never"),
        ([4, 4, 4, 4], [2, 2, 2, 2], 1.0, "no more than by chance"),
    ],
)
def test_likelihoods_without_a_maximum_are_said(
    attempts: list[int], successes: list[int], ratio: float, note: str
) -> None:
    fit = fit_beta("m", *counts(attempts, successes))
    assert (fit.success, fit.retry_ratio) == (pytest.approx(0.5), pytest.approx(ratio, abs=2e-3))
    assert note in fit.note
    assert np.isnan(fit.a_error)


ECONOMICS = {"value": 20.0, "churn_penalty": 10.0}
PAIR = ["GPT-4o", "o1"]


def of_metr(outcomes: Outcomes | None = None, **options: object) -> stackroute.analytic.Traffic:
    outcomes = outcomes or read_outcomes("metr")
    prices = {"cost": {"GPT-4o": 1.0, "o1": 6.0}, "seconds_price": 0.001}
    return outcomes.traffic(PAIR, **ECONOMICS, **{**prices, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("draws", [3, 20])
def test_games_are_distributed_as_what_is_known_of_tasks(draws: int) -> None:
    metr = read_outcomes("metr")
    fits = metr.fit(PAIR)
    traffic = of_metr(metr, draws=draws)
    p = traffic.games.success.reshape(83, draws, 2)
    for k, fit in enumerate(fits.values()):
        place = metr.models.index(fit.model)
        a, b = fit.a + metr.successes[:, place], fit.b + metr.attempts[:, place] - metr.successes[:, place]
        mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
        # Drawn from equal parts, a task's mean is far closer than that of as many free draws; five of its errors.
        free = np.sqrt(variance / draws).sum()
        assert np.abs(p[:, :, k].mean(axis=1) - mean).sum() < (0.8 if draws == 3 else 0.3) * free
        assert abs(p[:, :, k].mean() - mean.mean()) < 5 * np.sqrt((variance / draws).sum()) / 83
        # Not only in the mean: (1 - p) p, that of a retry, has the mean b a / ((a + b)(a + b + 1)).
        retry = (a * b / ((a + b) * (a + b + 1))).mean()
        assert ((1 - p[:, :, k]) * p[:, :, k]).mean() == pytest.approx(retry, rel=0.12 if draws == 3 else 0.04)
    np.testing.assert_array_equal(of_metr(metr, draws=draws).games.success, traffic.games.success)
    assert (of_metr(metr, draws=draws, seed=1).games.success != traffic.games.success).any()


@pytest.mark.parametrize("draws", [1, 3])
def test_one_attempt_a_task_makes_games_of_the_given_correlation(draws: int) -> None:
    bfcl = read_outcomes("bfcl")
    traffic = bfcl.traffic(["gpt-4o"], 1, 1, draws=draws, seconds_price=0, correlation=0.3)
    p = traffic.games.success[:, 0]
    mean = bfcl.successes[:, bfcl.models.index("gpt-4o")].mean()
    # Five standard errors, of a variance of .3 m (1 - m).
    assert p.mean() == pytest.approx(mean, abs=5 * np.sqrt(0.3 * mean * (1 - mean) / 1700))
    assert ((1 - p) * p).mean() / (1 - p).mean() / p.mean() == pytest.approx(0.7, abs=0.04)


def test_attempts_on_the_games_go_as_measured() -> None:
    evalperf = read_outcomes("evalperf")
    model = "gpt-4o-mini-2024-07-18"
    traffic = evalperf.traffic([model], value=1, churn_penalty=1, cost={model: 0}, latency={model: 0}, draws=10)
    gained = np.diff(traffic_payoffs(traffic, Ladders.static(0), 5).user_utility[0], prepend=0.0)
    left = 1.0 - np.r_[0.0, np.cumsum(gained)[:-1]]
    np.testing.assert_allclose(gained / left, evalperf.fit([model])[model].measured_curve(5), atol=0.006)


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_models_fail_on_the_same_tasks_as_measured_as_far_as_their_distributions_allow(
    tmp_path: Path, alike: float
) -> None:
    random = np.random.default_rng(4)
    first, second = random.beta(0.6, 0.6, (2, 6000))
    second = np.where(random.random(6000) < alike, first, second)
    successes = random.binomial(4, [first, second]).T
    rows = pd.DataFrame(successes, columns=["a", "b"]).rename_axis("task").reset_index().melt("task", var_name="model")
    rows.rename(columns={"value": "successes"}).assign(attempts=4).to_csv(tmp_path / "mine.csv", index=False)
    outcomes = read_outcomes(tmp_path / "mine.csv")
    prices = dict.fromkeys("ab", 1.0)
    traffic = outcomes.traffic(["a", "b"], 1, 1, cost=prices, latency=prices)
    p, q = traffic.games.success.T
    escalation = ((1 - p) @ q) / (1 - p).sum() / q.mean()
    # Of the covariance, (4 / 5.2)^2 is in the posterior means and at most 1.2 / 5.2 within tasks.
    covariance = min(alike, alike * (4 / 5.2) ** 2 + 1.2 / 5.2)
    assert outcomes.escalation("a", "b") == pytest.approx(1 - alike * 0.6 / 1.32, abs=0.03)
    assert escalation == pytest.approx(1 - covariance * 0.6 / 1.32, abs=0.03)


def test_costs_latencies_contexts_and_features_by_task(tmp_path: Path) -> None:
    written(tmp_path, SMALL, "outcomes.csv")
    written(tmp_path, "task,kind,length\nt1,x,7\nt2,y,\nt3,x,9\n", "features.csv")
    outcomes = read_outcomes(tmp_path)
    traffic = outcomes.traffic(
        ["b", "a"], 5, 2, draws=2, context="kind", group=[1, 2, 2], cost={"a": 3}, seconds_price=0.5
    )
    assert traffic.games.cost.tolist() == [[0.5, 3]] * 2 + [[0.6, 3]] * 2 + [[0.7, 3]] * 2
    assert traffic.games.latency.tolist() == [[4.5, 1]] * 6
    assert (traffic.contexts, traffic.context.tolist()) == (("x", "y"), [0, 0, 1, 1, 0, 0])
    assert (traffic.groups, traffic.group.tolist()) == (("1", "2"), [0, 0, 1, 1, 1, 1])
    assert traffic.features is not None
    # Of y nothing is known.
    assert traffic.features.tolist() == [[8], [8]]
    alone = outcomes.traffic(["b"], 5, 2, context="task", seconds_price=1)
    assert alone.contexts == ("t1", "t3")
    assert alone.features is not None
    assert alone.features.tolist() == [[7], [9]]
    assert len(alone) == 6


def test_a_model_that_never_succeeds_and_one_that_is_missing_make_games() -> None:
    metr = read_outcomes("metr")
    pair = ["davinci-002", "o1-preview"]
    place = metr.models.index("davinci-002")
    missing = np.repeat(metr.attempts[:, place] == 0, 40)
    traffic = metr.traffic(pair, 1, 1, draws=40, cost=dict.fromkeys(pair, 1), seconds_price=0)
    assert len(traffic) == 83 * 40
    prior = metr.fit(pair)["davinci-002"]
    assert prior.assumed
    # On the tasks that it did not attempt its success is that of the prior.
    assert traffic.games.success[missing, 0].mean() == pytest.approx(prior.success, abs=0.003)
    assert traffic.games.success[~missing, 0].mean() < prior.success


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cost": None}, "cost: metr has none of GPT-4o, o1; expected what an attempt costs, by model"),
        ({"cost": {"GPT-4o": 1}}, "cost: metr has none of o1"),
        ({"cost": {"GPT4": 1}}, "models: 'GPT4' is not in metr; did you mean"),
        ({"seconds_price": None}, "latency: metr has none of GPT-4o, o1; expected what waiting"),
        ({"context": "kind"}, "context: 'kind' is not a feature of metr; expected one of task, family, human_minutes"),
        ({"group": ["a", "b"]}, "group: shape (2,) is not allowed; expected a label for each task"),
        ({"draws": 0}, "draws: 0 is not allowed"),
        ({"correlation": 1.0}, "correlation: 1.0 is not allowed"),
        ({"seconds_price": -1.0}, "latency"),
    ],
)
def test_what_is_missing_or_not_allowed_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        of_metr(**options)
    assert message in str(error.value)


@pytest.mark.parametrize("models", ["o1", [], ["o1", "o1"], ["o2"]])
def test_models_are_different_names(models: list[str]) -> None:
    with pytest.raises(ConfigError, match="models"):
        read_outcomes("metr").fit(models)
