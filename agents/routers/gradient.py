"""Small networks of routers: trained by torch, kept as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    import torch

    from stackroute.analytic.game import FloatArray, IntArray

    Parameters: TypeAlias = dict[str, torch.Tensor]


_PATIENCE = 5
"""Epochs without progress before an early stop."""


def drawn(rng: np.random.Generator, *shape: int) -> FloatArray:
    """Weights that keep the variance of their inputs, which are on the last axis but one."""
    return rng.normal(0.0, max(shape[-2], 1) ** -0.5, shape)


def keep(router: object, parameters: dict[str, FloatArray]) -> None:
    """Keep what was trained as attributes of a router, whose names end in an underscore."""
    for name, array in parameters.items():
        setattr(router, f"{name}_", array)


def parameters_of(router: object, names: Sequence[str]) -> Parameters:
    """The parameters that `keep` has kept."""
    return tensors({name: getattr(router, f"{name}_") for name in names})


def tensors(arrays: dict[str, FloatArray]) -> Parameters:
    """The arrays as torch has them."""
    import torch

    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def trained(
    start: dict[str, FloatArray],
    loss: Callable[[Parameters, IntArray], torch.Tensor],
    tasks: int,
    epochs: int,
    rng: np.random.Generator,
    *,
    rate: float = 3e-3,
    decay: float = 2.0,
    stop_early: bool = True,
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Parameters after descent of a loss by Adam on one thread; what has two axes or more decays.

    Args:
        start: The parameters before, by name.
        loss: Of parameters and the rows of a batch of tasks.
        tasks: How many there are.
        epochs: How often each task is met, at most.
        rng: Sorts the tasks into batches of about 64.
        rate: Of Adam.
        decay: Of the weights, as a multiple of the rate.
        stop_early: Keep every fifth task back and stop when the loss on them has not fallen for some epochs; the
            parameters are those for which it is least.

    Returns:
        The parameters, and the mean loss of each epoch, shape (epochs,) or shorter.
    """
    import torch

    parameters = {name: tensor.clone().requires_grad_() for name, tensor in tensors(start).items()}
    weights, biases = ([each for each in parameters.values() if (each.ndim > 1) == weight] for weight in (True, False))
    groups = [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate)
    order = rng.permutation(tasks)
    held = order[: tasks // 5 if stop_early else 0]
    losses: list[float] = []
    best, best_epoch, kept = np.inf, 0, start
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for epoch in range(epochs):
            batches = np.array_split(rng.permutation(order[len(held) :]), max((tasks - len(held)) // 64, 1))
            total = 0.0
            for rows in batches:
                optimiser.zero_grad()
                found = loss(parameters, rows)
                found.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                total += found.item()
            losses.append(total / len(batches))
            # With no tasks kept back, the last epoch is the best.
            with torch.no_grad():
                judged = loss(parameters, held).item() if len(held) else -float(epoch)
            if judged < best:
                best, best_epoch = judged, epoch
                kept = {name: tensor.detach().numpy().copy() for name, tensor in parameters.items()}
            if epoch - best_epoch >= _PATIENCE:
                break
    finally:
        torch.set_num_threads(threads)
    return kept, np.array(losses)
