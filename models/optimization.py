"""Optimisers and learning-rate schedules. Schedules count steps, not epochs."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from models.parameters import Parameters


def optimizer(network: nn.Module, parameters: Parameters) -> Optimizer:
    """The optimiser asked for. Weight decay pulls on matrices and kernels alone, not on biases and norms."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in trained if w.ndim > 1], "weight_decay": parameters.weight_decay},
        {"params": [w for w in trained if w.ndim <= 1], "weight_decay": 0.0},
    ]
    if parameters.optimizer == "sgd":
        return SGD(groups, lr=parameters.learning_rate, momentum=0.9, nesterov=True)
    return AdamW(groups, lr=parameters.learning_rate, fused=True)


def schedule(parameters: Parameters, steps: int) -> Callable[[int], float]:
    """The factor on the learning rate at each of `steps` steps, in (0, 1].

    Linear warm-up (at most a quarter of the steps), then the shape asked for: a cosine down to 0.01
    (Loshchilov & Hutter 2017), steps to a tenth at 2/3 and 8/9 (the SSD and Faster R-CNN custom), or flat.
    """
    warmup = min(parameters.warmup_steps, steps // 4)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        if parameters.schedule == "cosine":
            return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
        if parameters.schedule == "steps":
            return 0.1 ** ((done >= 2 / 3) + (done >= 8 / 9))
        return 1.0

    return factor
