"""An answer in words, for whoever runs the service: what happens first, then why, and what a tie hides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import InvalidGameError, Regime, Route, compare_routing, misalignment, solve, user_utility
from stackroute.configs.games import DisplayUnits
from stackroute.training.cli.answers import driving_off, slowing
from stackroute.training.cli.display import percent
from stackroute.training.cli.quantities import differ
from stackroute.training.market.market import has_gap

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray
    from stackroute.training.cli.answers import Answer

_EXACT = 1e-12
_LEAST_SHARE = 1e-9


def explain(answer: Answer, without: Answer | None = None) -> list[str]:
    """What theory recommends and predicts, one sentence or two for each question.

    What is served and what it costs, what users will do, what it would be `without` the changes, whether users would
    prefer otherwise, whether slowing down would pay, what the paper's cascades would cost, and which ties there are.
    """
    sentences = [_happens(answer), _users(answer)]
    if without is not None:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in answer.question.changes)
        sentences.append(f"Without {options}: {_happens(without)} {_users(without)}")
    if answer.is_optimum:
        sentences += [_preference(answer), _slowing(answer), *_papers(answer)]
    return [*sentences, *_ties(answer)]


def _happens(answer: Answer) -> str:
    """What is served, by whom, and what a task costs the provider."""
    unit, rival, outside = DisplayUnits.of(answer.serving), answer.question.rival, answer.outside
    text = f"{_serving(answer)}{_slowed(answer)}"
    worth = unit.in_utility(float(answer.equilibrium.user_utility) + outside)
    if rival is not None and answer.offers is not None:
        own, other = (
            f"would give users up to {unit.in_utility(offer + outside)}"
            if math.isfinite(offer)
            else "would lose a task"
            for offer in answer.offers
        )
        if answer.lost:
            lost = unit.in_money(answer.provider_cost)
            served = f"Users get {worth} so: {text[0].lower()}{text[1:]}"
            return f"{rival.name} serves: it {other}, you {own}. You lose every task, at {lost}. {served}"
        text = f"You serve: you {own}, {rival.name} {other}. Users get {worth}. {text}"
    if answer.price is not None:
        text = f"Charge {unit.in_utility(answer.price)} for a pass. {text}"
    cost = answer.provider_cost
    return f"{text} A task then {'earns' if cost < 0 else 'costs'} you {unit.in_money(abs(cost))} on average."


def _serving(answer: Answer) -> str:
    """What is committed to, without the delays."""
    found, labels = answer.equilibrium, answer.serving.labels
    start, retries = found.commitment.start, found.commitment.transition[found.commitment.first_model]
    only = np.count_nonzero(start) == 1
    first = f"First answer {'by ' if only else ': '}{_shares(answer, start)}".replace(" :", ":")
    again, route = _shares(answer, retries), Route(int(found.route))
    if route == Route.CASCADE and retries.max() < 1:
        cascade, at_least = float(retries[-1]), found.regime == Regime.ONLY_REASONING_WORTH
        return (
            f"{first}; each retry moves on to {labels[-1]} with probability {_rounded(cascade, up=at_least)}, "
            f"{'or' if at_least else 'and not'} a little more: {'below' if at_least else 'above'} {cascade:.8g} users "
            "begin to leave."
        )
    if found.patience == 0 and answer.price is not None:
        return f"{first}; charge more for retries, so that users leave when it fails."
    if route == Route.LEAVE_BY_DELAY:
        return f"{first}, slowed so that users leave when it fails."
    if route == Route.LEAVE_BY_THREAT:
        return f"{first}; announce that every retry goes to {again}, so that users leave when it fails."
    if found.patience == 0:
        return f"{first}; every retry would go to {again}, which is not worth the wait, so users leave when it fails."
    if only and (start == retries).all():
        return f"Serve {again} to every prompt."
    exactly = ", just enough that users stay" if _indifferent(answer) and np.count_nonzero(retries) > 1 else ""
    return f"{first}; retries: {again}{exactly}."


def _shares(answer: Answer, shares: FloatArray) -> str:
    """Who serves, with shares in per cent where there are several, the greatest first.

    Where they just make users stay, the share of the model that users like is rounded up.
    """
    percents = 100.0 * shares
    order = [k for k in np.argsort(-percents, kind="stable").tolist() if percents[k] > 0]
    texts = {k: f"{percents[k]:.4g}" for k in order}
    liked = max(order, key=lambda k: float(answer.equilibrium.game.net_value[k]))
    if len(order) == 2 and percents[liked] > _LEAST_SHARE and _indifferent(answer):
        texts[liked] = _rounded(float(percents[liked]), up=True)
        (other,) = (k for k in order if k != liked)
        texts[other] = f"{100.0 - float(texts[liked]):.{len(texts[liked].partition('.')[2])}f}"
    labels = answer.serving.labels
    return labels[order[0]] if len(order) == 1 else ", ".join(f"{texts[k]} % {labels[k]}" for k in order)


def _slowed(answer: Answer) -> str:
    unit = DisplayUnits.of(answer.serving)
    slowed = [
        f"{label} by {unit.in_time(amount, lambda number: _rounded(number, up=True))}"
        for label, amount in zip(answer.serving.labels, answer.equilibrium.commitment.delay.tolist(), strict=True)
        if amount > 0
    ]
    found = answer.equilibrium
    played = user_utility(found.game, found.commitment, found.patience)
    # The delays of the frontier are for re-prompts.
    which = " for retries" if differ(float(played), float(found.user_utility)) else ""
    return f" Slow down{which} {' and '.join(slowed)}, or a little more: with less, users stay." if slowed else ""


def _rounded(number: float, *, up: bool) -> str:
    """Four significant digits, rounded to the side on which users do what is wanted.

    At the number itself they are indifferent, so one that needs no rounding is moved by a unit of the last digit.
    """
    places = 3 - math.floor(math.log10(number))
    shifted = number * 10.0**places
    moved = math.floor(shifted * (1 + _EXACT)) + 1 if up else math.ceil(shifted * (1 - _EXACT)) - 1
    return f"{moved / 10.0**places:.{max(places, 0)}f}"


def _users(answer: Answer) -> str:
    patience, worth = float(answer.equilibrium.patience), float(answer.equilibrium.user_utility) + answer.outside
    if patience == 1:
        does = "re-prompt until " + ("the task is solved" if not _unverified(answer) else "they accept an answer")
    elif patience == 0:
        elsewhere = "" if answer.question.outside_option is None else " and go elsewhere"
        does = f"give up after the first failed answer{elsewhere}"
    else:
        does = f"re-prompt after {percent(patience, 0)} of the failed answers"
    amount = DisplayUnits.of(answer.serving).in_utility(abs(worth))
    value = f"a net loss of {amount}" if worth < 0 else f"worth {amount}"
    begins = ""
    if worth < answer.outside and answer.question.floor is None and answer.question.rival is None:
        begins = " Who foresees that would not begin one: 'stackroute solve --floor 0' demands that users lose nothing."
    return f"Users will {does}; a task is {value} to them.{begins}"


def _unverified(answer: Answer) -> bool:
    return bool(answer.question.false_accept or answer.question.false_reject)


def _preference(answer: Answer) -> str:
    found = answer.equilibrium
    misaligned = misalignment(found.game, found.throttling, found.routing)
    if not has_gap(found.game, misaligned):
        return "Users would choose the same."
    preferred = int(misaligned.preferred_model)
    speed = ", at full speed" if found.commitment.delay[preferred] > 0 else ""
    return (
        f"Users would rather be served by {answer.serving.labels[preferred]} at every prompt{speed}: worth "
        f"{DisplayUnits.of(answer.serving).in_utility(float(misaligned.gap))} a task more to them."
    )


def _slowing(answer: Answer) -> str:
    unit, change = DisplayUnits.of(answer.serving), slowing(answer.equilibrium)
    now = f"(now {unit.in_money(float(answer.equilibrium.game.churn_penalty))})"
    when, low, high = "", change.churn_penalty_low, change.churn_penalty_high
    if low is not None and high is not None:
        if math.isnan(high):
            return f"Slowing down would never pay, whatever the churn penalty.{_threatening(answer)}"
        above = f" and above {unit.in_money(low)}" if math.isfinite(low) else ""
        when = f"below a churn penalty of P* = {unit.in_money(high)}{above}"
    if not change.pays:
        return f"Slowing down would not pay {now}{f'; it pays {when}' if when else ''}."
    saved, worst = unit.in_money(change.provider_gain), unit.in_utility(change.user_loss_worst)
    return (
        f"Slowing down pays {f'{when} ' if when else ''}{now}: it saves you {saved} a task. In the kindest way users "
        f"{'lose' if change.user_loss >= 0 else 'gain'} {unit.in_utility(abs(change.user_loss))} by it; in the "
        f"cruellest, which costs you the same, they lose {worst}."
    )


def _threatening(answer: Answer) -> str:
    """When users are driven off without a delay."""
    unit, driven = DisplayUnits.of(answer.serving), driving_off(answer.equilibrium)
    if driven is None or driven.threat is None:
        return ""
    now = unit.in_money(float(answer.equilibrium.game.churn_penalty))
    return (
        f" Below a churn penalty of P* = {unit.in_money(driven.churn_penalty_high)} (now {now}) driving users off "
        f"pays: announcing that retries go to {answer.serving.labels[driven.threat]} does it without a delay."
    )


def _papers(answer: Answer) -> list[str]:
    """What an optimum over all commitments saves against the paper's cascades, where there are any."""
    found = answer.equilibrium
    if found.routing == "cascade" or found.game.models == 1:
        return []
    try:
        compared = compare_routing(found.game, found.throttling)
    except InvalidGameError:
        return []
    saving = float(compared.provider_saving)
    than = "as much as" if saving <= _EXACT else f"{percent(saving, 1)} less than"
    return [f"This costs {than} the best cascade of the paper."]


def _indifferent(answer: Answer) -> bool:
    """Whether it costs the provider more if users that are indifferent choose against it."""
    return not answer.lost and differ(answer.provider_cost_pessimistic, answer.provider_cost)


def _ties(answer: Answer) -> list[str]:
    """Who is indifferent, which of its choices is shown, and what another one would do."""
    found, config = answer.equilibrium, answer.serving
    unit, game, sentences = DisplayUnits.of(config), found.game, []
    if _indifferent(answer):
        cost = answer.provider_cost_pessimistic
        otherwise = f"{'earn' if cost < 0 else 'cost'} you {unit.in_money(abs(cost))}"
        sure, amends = answer.provider_cost, "A little beyond these numbers their answer is certain, at the same cost."
        if answer.is_optimum:
            sure = float(solve(game, found.routing, found.throttling, "pessimistic").provider_cost)
        if differ(sure, answer.provider_cost):
            amends = f"The least that you can be certain of is {unit.in_money(sure)}."
        sentences.append(
            "A tie: at exactly these numbers users do not care whether they stay or leave, and are taken to do what is "
            "best for you (a strong Stackelberg equilibrium). If they did the opposite, a task would "
            f"{otherwise}. {amends}"
        )
    if differ(float(found.user_utility), float(found.user_utility_worst)):
        worst = unit.in_utility(float(found.user_utility_worst) + answer.outside)
        sentences.append(
            f"A tie: {_why_equal(answer)} cost you the same, and may give users as little as {worst}; this one is the "
            "best for them."
        )
    alike = np.column_stack([game.success, game.cost, game.latency])
    equal = [label for label, row in zip(config.labels, alike, strict=True) if (alike == row).all(axis=1).sum() > 1]
    if equal:
        sentences.append(f"Equal in success, cost and latency: {', '.join(equal)}; the first of them stands for all.")
    return sentences


def _why_equal(answer: Answer) -> str:
    """Which choices cost the provider the same."""
    game, labels = answer.equilibrium.game, answer.serving.labels
    if answer.equilibrium.commitment.delay.any():
        return "longer delays"
    cost, penalty = game.cost_of_pass, float(game.churn_penalty)
    given_up = [label for label, one in zip(labels, cost.tolist(), strict=True) if not differ(one, penalty)]
    if given_up:
        return f"an abandoned task and one that {given_up[0]} solves"
    alike = [label for label, one in zip(labels, cost.tolist(), strict=True) if not differ(one, float(cost.min()))]
    if len(alike) > 1:
        return f"tasks solved by {' and by '.join(alike)}"
    return "delays that users put up with" if answer.equilibrium.throttling else "other commitments"
