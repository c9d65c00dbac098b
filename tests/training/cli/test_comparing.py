"""Runs, saved players and one's own are compared on the same games: numbers by the closed forms, and bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stackroute import Commitment, best_response, load_game, solve
from stackroute.agents import FixedPatienceUser, InformedUser, StaticProvider, save_policy
from stackroute.analytic import provider_cost, user_utility
from stackroute.configs.training import TrainingSettings
from stackroute.training.learn.runs import RunSpec, evaluate_run, start

TinySettings = Callable[..., TrainingSettings]
Stackroute = Callable[..., tuple[int, str, str]]

MINE = """
import numpy as np

from stackroute import Commitment
from stackroute.agents import FixedPatienceUser

GAMES = 2


class Mean:
    def commit(self, game, random_numbers):
        return Commitment.cascade(0, 0.5)


class Needs(Mean):
    def __init__(self, number):
        pass


class Broken(Mean):
    def commit(self, game, random_numbers):
        raise KeyError("why")


def half():
    return FixedPatienceUser(0.5)


mean = Mean()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    save_policy(StaticProvider(Commitment.static(1, models=2)), tmp_path / "second.npz")
    save_policy(StaticProvider(Commitment.static(1, [0.0, 0.5])), tmp_path / "slow.npz")
    save_policy(FixedPatienceUser(0.3), tmp_path / "user.npz")
    save_policy(InformedUser(), tmp_path / "informed.npz")
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_players_are_judged_by_the_closed_forms(stackroute: Stackroute) -> None:
    names = ["second.npz", "user.npz", "mine.py:Mean", "mine.py:mean", "mine.py:half"]
    code, shown, errors = stackroute("evaluate", *names, "--game", "g4b", "--game", "g7", "--json")
    assert (code, errors) == (0, "")
    found = json.loads(shown)
    assert [one["game"] for one in found] == ["g4b", "g7"]
    for one in found:
        game = load_game(one["game"]).game
        best = solve(game)
        made = {"second.npz": Commitment.static(1, models=2), "mine.py:Mean": Commitment.cascade(0, 0.5)}
        made["mine.py:mean"] = made["mine.py:Mean"]
        patience = {"user.npz": 0.3, "mine.py:half": 0.5}
        assert [player["player"] for player in one["players"]] == names
        for player in one["players"]:
            commitment = made.get(player["player"], best.commitment)
            answer = best_response(game, commitment)
            given = patience.get(player["player"], answer)
            regret = provider_cost(game, commitment, answer) / best.provider_cost - 1
            assert player["provider_regret"] == pytest.approx(float(regret), abs=1e-12)
            learned = player["learned"]
            assert learned["user_utility"] == pytest.approx(float(user_utility(game, commitment, np.float64(given))))
            assert learned["patience"] == pytest.approx(float(given))
            assert player["equilibrium"]["provider_cost"] == pytest.approx(float(best.provider_cost))


@pytest.mark.usefixtures("folder")
def test_runs_are_compared_with_others_on_their_game(tiny_settings: TinySettings, stackroute: Stackroute) -> None:
    start(RunSpec(load_game("g7"), tiny_settings(), throttling=True, seed=1), Path("run"))
    save_policy(StaticProvider(Commitment.cascade(0, 0.4, [0.1, 0.0])), Path("run/provider.npz"))
    save_policy(FixedPatienceUser(0.6), Path("run/user.npz"))
    code, shown, errors = stackroute("evaluate", "run", "slow.npz", "--json")
    assert (code, errors) == (0, "")
    (found,) = json.loads(shown)
    assert (found["game"], found["throttling"], found["routing"]) == ("g7", True, "cascade")
    own = evaluate_run(Path("run"))
    assert found["players"][0]["provider_regret"] == own.provider_regret
    assert found["players"][0]["user_regret"] == own.user_regret
    code, shown, _ = stackroute("evaluate", "run", "slow.npz", "mine.py:mean", "--game", "g4b", "--throttling")
    assert code == 0
    assert "g4b: with delays, routing cascade" in shown
    assert all(name in shown for name in ("run", "slow.npz", "mine.py:mean", "equilibrium"))
    for options, message in (
        (
            ["slow.npz", "run", "--no-throttling"],
            "slow.npz cannot play g7: ValueError: commitment: delays [0. 0.5]",
        ),
        (
            ["run", "--game", "gpt-4.1-family-o3"],
            "run cannot play gpt-4.1-family-o3: InvalidGameError: commitment: 2 models is not allowed",
        ),
    ):
        code, _, errors = stackroute("evaluate", *options)
        assert code == 2
        assert message in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("second.npz", "game: missing; expected --game GAME, as none of these is a run"),
        ("second.npz second.npz --game g1", "RUN: second.npz second.npz: expected different ones"),
        ("second.npz --game g1 --user user.npz", "provider, user: are for runs"),
        ("second.npz absent --game g1", "run.json: no such file"),
        ("absent.npz --game g1", "absent.npz: no such file"),
        ("informed.npz --game g1", "informed.npz: InformedUser is not allowed; expected a provider that commits, or"),
        ("slow.npz --game g1", "slow.npz cannot play g1: ValueError: commitment: delays"),
        ("second.npz --game g99", "'g99' is not a packaged name"),
        ("absent.py:Mean --game g1", "absent.py: no such file"),
        ("mine.py:Other --game g1", "mine.py: has no 'Other'"),
        ("mine.py:GAMES --game g1", "mine.py:GAMES: 2 is not allowed; expected a provider that commits"),
        ("mine.py:Needs --game g1", "mine.py:Needs: cannot be made (TypeError: "),
        ("mine.py:Broken --game g1", "mine.py:Broken cannot play g1: KeyError: 'why'"),
        ("absent.zip --game g1", "absent.zip: no such file"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_players_that_cannot_be_judged_are_one_error(stackroute: Stackroute, options: str, message: str) -> None:
    code, shown, errors = stackroute("evaluate", *options.split())
    assert (code, shown, errors.count("\n")) == (2, "", 1)
    assert message in errors
