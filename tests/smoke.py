"""Checks an installed wheel outside the checkout, with the core dependencies only; not collected by pytest."""

import importlib.metadata
import importlib.util
from pathlib import Path

import gymnasium
import numpy as np

import stackroute

assert "site-packages" in str(Path(stackroute.__file__)), stackroute.__file__
assert importlib.util.find_spec("torch") is None, "the core package is to be tried without torch"
assert (Path(stackroute.__file__).parent / "py.typed").is_file()

assert {"gpt-4.1-o3-dev", "g4b"} <= set(stackroute.configs.game_names())
equilibrium = stackroute.solve(stackroute.load_game("gpt-4.1-o3-dev-low-p").game, throttling=True)
assert abs(float(equilibrium.provider_cost) - 0.064335) < 1e-12

pair = stackroute.envs.env(game="g4b", render_mode="ansi")
pair.reset(seed=1)
pair.step(np.array([0.0, 0.3, 0.0, 0.0]))
assert "pass 1 on" in pair.render()

many = gymnasium.make_vec("stackroute/Provider-v0", num_envs=4, game=["g1", "g4b"])
many.reset(seed=1)
many.step(many.action_space.sample())

(plugin,) = importlib.metadata.entry_points(group="gymnasium.envs", name="stackroute")
plugin.load()()

user = gymnasium.make("stackroute/User-v0", game="g4b", provider="equilibrium")
user.reset(seed=1)
user.step(stackroute.envs.RE_PROMPT)

message = ""
try:
    stackroute.agents.LearnedUser  # noqa: B018
except ImportError as error:
    message = str(error)
assert "stackroute[train]" in message, message
print("1 passed, 0 failed")
