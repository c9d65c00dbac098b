"""Tasks for users: the first pass has failed, under a commitment of a provider's policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.envs import rules, tasks
from stackroute.envs.games import count
from stackroute.envs.policies import commitment_by
from stackroute.envs.tasks import Tasks, drawn_before_play

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.envs.policies import ProviderPolicy, RoutingPolicy
    from stackroute.envs.tasks import Seeds
    from stackroute.envs.variant import Variant

LOOKAHEAD = 4
"""Tasks of a slot for which a provider's policy is asked to commit at once."""

_REDRAWN = 2**40
"""By how much the number of a task, beyond all that are played, grows each time that its commitment is drawn again."""

_MOST_DRAWN = 1000


class FailedTasks(Tasks):
    """Tasks whose first pass has failed.

    Attributes:
        first_parts: The parts of the rewards of the first pass of each task in play, shape (n, 4).
    """

    def __init__(self, variant: Variant, size: int) -> None:
        super().__init__(variant, size)
        self.first_parts = np.zeros_like(self.parts)

    @property
    def first_latency(self) -> FloatArray:
        """What the first pass of each task in play took, utility, shape (n,)."""
        return self.first_parts[:, rules.LATENCY].copy()


class RoutedTasks(FailedTasks):
    """Tasks whose first pass has failed, which a provider's policy routes pass by pass.

    Tasks that are solved at once are passed over, so that what is hidden comes up as often as a failure makes it; after
    1000 in a row the next one is taken.

    Args:
        variant: The variant, whose `routing` is `"pass"`.
        size: Number of slots n.
        provider: The policy.
    """

    def __init__(self, variant: Variant, size: int, provider: RoutingPolicy) -> None:
        super().__init__(variant, size)
        self.provider = provider

    def begin(self, slots: IntArray | None = None, *, numbers: IntArray | None = None) -> None:
        """Begin the next task that is not solved at once in all slots, or in some of them, shape (k,)."""
        waiting = self._slots[1]
        left = self.size if slots is None else len(slots)
        waiting[:left] = self._all if slots is None else slots
        for _ in range(_MOST_DRAWN):
            super().begin(waiting[:left].astype(np.int64))
            left = rules.serve_first(
                self.rows, self.variant.table, self._routed(), self.observation, self.first_parts, waiting, left
            )
            if left == 0:
                break
        self.rows["end"][waiting[:left]] = rules.IN_PLAY

    def step(self, actions: FloatArray | None = None, answers: IntArray | None = None) -> None:
        """The users' answers; where they re-prompt, the policy routes the next pass."""
        super().step(self._routed(), answers)

    def _routed(self) -> FloatArray:
        """The policy's actions for the next pass of every task, rows of `ProviderActions.rows`."""
        model, delay = self.provider.route(self.waiting())
        return self.variant.actions.routed(self.game, model, delay)


class CommittedTasks(FailedTasks):
    """Tasks whose first pass has failed, each under a commitment of a provider's policy, waiting for their users.

    A task that is solved at once asks nothing of a user: the first pass is conditioned on failing. Attempts are
    independent, so that this tells nothing about later passes. A random start is drawn together with the failure: a
    model that often fails comes up more often. So are the game and the numbers of a randomised provider, where the user
    does not see both the game and the commitment. After 1000 commitments in a row whose first pass succeeds, as can
    happen if another one would nearly always fail, the next one is taken.

    Args:
        variant: The variant; the provider commits (`routing` is not `"pass"`).
        size: Number of slots n.
        provider: The provider that commits anew for each task.
        lookahead: Tasks of a slot for which it commits at once; 1 where it learns meanwhile.
        stride: By how much the numbers of a slot's tasks differ; those between belong to the same commitment.
    """

    def __init__(
        self, variant: Variant, size: int, provider: ProviderPolicy, *, lookahead: int = LOOKAHEAD, stride: int = 1
    ) -> None:
        super().__init__(variant, size)
        self.provider, self.lookahead, self.stride = provider, count("lookahead", lookahead), stride
        n, ahead, models = self.size, self.lookahead, variant.models
        self._first_ahead = np.zeros(n, dtype=np.int64)
        self._game = np.zeros((n, ahead), dtype=np.int64)
        self._start, self._delay = np.zeros((2, n, ahead, models))
        self._transition = np.zeros((n, ahead, models, models))

    def seed(self, seeds: Seeds) -> None:
        """Give the slots new seeds; their next tasks are the first ones."""
        super().seed(seeds)
        self.rows["number"] = -self.stride
        self._first_ahead[:] = -self.lookahead * self.stride

    def begin(self, slots: IntArray | None = None, *, numbers: IntArray | None = None) -> None:
        """Begin the next task in all slots, or in some of them, shape (k,)."""
        chosen = self._all if slots is None else slots
        tasks.tasks_played += len(chosen)
        self._ended = 0
        needy, waiting = len(chosen), self._slots[1]
        waiting[:needy] = chosen
        while needy > 0:
            needy = rules.begin_after_failure(
                self.rows,
                self.variant.table,
                self.variant.encoded_games,
                self._first_ahead,
                self.stride,
                self._game,
                self._start,
                self._transition,
                self._delay,
                self._routing,
                self.observation,
                self.first_parts,
                waiting,
                needy,
            )
            if needy > 0:
                self._look_ahead()

    def _look_ahead(self) -> None:
        """Ask the provider for the commitments of the next tasks of all slots that have used up half of theirs."""
        following = self.rows["number"] + self.stride
        left = self.lookahead - (following - self._first_ahead) // self.stride
        slots = np.flatnonzero(left <= self.lookahead // 2)
        numbers: IntArray = following[slots, None] + self.stride * np.arange(self.lookahead)
        seeds = np.repeat(self.rows["seed"][slots], self.lookahead)
        random_numbers, game_index = self._drawn(seeds, numbers.ravel())
        game = self.variant.select(game_index)
        commitment = commitment_by(self.provider, game, random_numbers)
        failure = commitment.start * (1.0 - game.success)
        self._first_ahead[slots] = following[slots]
        self._game[slots] = game_index.reshape(numbers.shape)
        for mine, made in (
            (self._start, failure / failure.sum(axis=-1, keepdims=True)),
            (self._transition, commitment.transition),
            (self._delay, commitment.delay),
        ):
            mine[slots] = made.reshape(*numbers.shape, *mine.shape[2:])

    def _drawn(self, seeds: IntArray, numbers: IntArray) -> tuple[FloatArray, IntArray]:
        """The numbers of the provider's policy, shape (k, 2 n + 1), and the games, shape (k,), of tasks."""
        variant, games = self.variant, self.variant.games
        random_numbers, acceptance, game_number = drawn_before_play(variant, seeds, numbers)
        game = rules.draw_games(game_number, variant.table)
        hidden = {"game", "commitment"}.difference(variant.observe["user"])
        waiting = np.arange(len(game))
        for attempt in range(_MOST_DRAWN if hidden else 0):
            if attempt > 0:
                again = drawn_before_play(variant, seeds[waiting], numbers[waiting] + attempt * _REDRAWN)
                random_numbers[waiting], acceptance[waiting], game_number[waiting] = again
            candidates = games if "game" in hidden else variant.select(game[waiting, None])
            shape = (len(waiting), candidates.shape[-1], random_numbers.shape[-1])
            drawn = np.broadcast_to(random_numbers[waiting, None], shape)
            failure = (commitment_by(self.provider, candidates, drawn).start * (1.0 - candidates.success)).sum(axis=-1)
            most = (1.0 - candidates.success).max(axis=-1)
            if "game" in hidden:
                weight = variant.traffic.weight if variant.traffic else np.full(len(games), 1.0 / len(games))
                failure, most = failure * weight * len(games), most * weight * len(games)
                reached = np.cumsum(failure, axis=1) / failure.sum(axis=1, keepdims=True)
                game[waiting] = (reached[:, :-1] <= game_number[waiting, None]).sum(axis=1)
            waiting = waiting[acceptance[waiting] * most.mean(axis=-1) >= failure.mean(axis=1)]
            if not len(waiting):
                break
        return random_numbers, game
