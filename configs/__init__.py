"""Packaged games and settings as YAML, and the schemas that validate them; measured outcomes as CSV."""

from stackroute.configs.games import GameConfig as GameConfig
from stackroute.configs.games import game_names as game_names
from stackroute.configs.games import load_game as load_game
from stackroute.configs.loading import ConfigError as ConfigError
from stackroute.configs.loading import with_changes as with_changes
from stackroute.configs.outcome_files import read_outcomes as read_outcomes
from stackroute.configs.outcomes import Outcomes as Outcomes
