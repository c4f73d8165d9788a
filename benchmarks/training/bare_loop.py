"""The fastest simple training loop of each backend: the rival of our training.

The network, losses, optimizer, precision and batch size are those of our training; the images are
in memory, the step is compiled, and there are no callbacks, metrics or files. The loop gathers each
batch by row numbers in a random order, as any training must. Importing this module imports Keras.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Step = Callable[[Any, Any], Any]


def train_bare_loop(
    model: Any,
    images: np.ndarray,
    classes: np.ndarray,
    batch: int,
    epochs: int,
    seed: int,
    after_step: Callable[[Any], None] = lambda loss: None,
) -> list[float]:
    """Train a compiled model.

    Args:
        model: A compiled `HashModel` whose optimizer is built.
        images: uint8 (n, side, side, 3).
        classes: int32 (n,).
        batch: Images per step.
        epochs: Number of epochs.
        seed: Of the order.
        after_step: Is called with the loss of each step, which may not be computed yet.

    Returns:
        The loss of the last step of each epoch.
    """
    backend = keras.backend.backend()
    step = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend](model)
    rng = np.random.default_rng(seed)
    losses = []
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for first in range(0, len(images), batch):
            rows = order[first : first + batch]
            loss = step(images[rows], classes[rows])
            after_step(loss)
        losses.append(float(ops.convert_to_numpy(loss)))  # waits for the last step
    return losses


def _loss(model: Any, x: Any, y: Any) -> Any:
    outputs = model(x, training=True)
    return sum([*model.loss_terms(y, outputs, True).values(), *model.losses])


def _tensorflow(model: Any) -> Step:
    import tensorflow

    variables = model.trainable_variables

    @tensorflow.function(reduce_retracing=True)
    def step(x: Any, y: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            loss = _loss(model, x, y)
        model.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return step


def _jax(model: Any) -> Step:
    import jax

    trained, optimizer = model.trainable_variables, model.optimizer
    others = model.non_trainable_variables

    def loss(values: Any, rest: Any, x: Any, y: Any) -> Any:
        mapping = [*zip(trained, values, strict=True), *zip(others, rest, strict=True)]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            value = _loss(model, x, y)
        return value, [scope.get_current_value(variable) for variable in others]

    def step(state: Any, x: Any, y: Any) -> Any:
        values, rest, moments = state
        (value, rest), gradients = jax.value_and_grad(loss, has_aux=True)(values, rest, x, y)
        values, moments = optimizer.stateless_apply(moments, gradients, values)
        return (values, rest, moments), value

    compiled = jax.jit(step, donate_argnums=0)
    state = tuple([v.value for v in some] for some in (trained, others, optimizer.variables))

    def run(x: Any, y: Any) -> Any:
        nonlocal state
        state, value = compiled(state, x, y)
        return value

    return run


def _torch(model: Any) -> Step:
    import torch

    variables = model.trainable_variables
    device = variables[0].value.device

    def step(x: Any, y: Any) -> Any:
        model.zero_grad()
        x, y = (torch.from_numpy(part).to(device) for part in (x, y))
        loss = _loss(model, x, y)
        loss.backward()
        with torch.no_grad():
            model.optimizer.apply([v.value.grad for v in variables], variables)
        return loss.detach()

    return step
