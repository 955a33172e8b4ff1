"""Optimisers and learning-rate schedules. Schedules count steps, not epochs."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from models.parameters import NetworkParameters
from models.stages import stages


def optimizer(network: nn.Module, parameters: NetworkParameters) -> Optimizer:
    """The optimiser asked for, with the weights in groups: the head's first, at the full learning rate.

    Each stage of the backbone learns at `layer_decay` of the rate of the one after it (ULMFiT, Howard 2018), and all
    of it at `backbone_learning_rate`. Weight decay pulls on matrices and kernels alone: not on biases and norms, nor on
    what is no layer's weight, such as position embeddings. What takes no gradient is left out.
    """
    weights = dict(network.named_parameters())
    groups = []
    for distance, names in enumerate(reversed(stages(network))):
        share = parameters.layer_decay**distance * (parameters.backbone_learning_rate if distance else 1.0)
        learned = [name for name in names if weights[name].requires_grad]
        for decays in (True, False):
            chosen = [weights[name] for name in learned if _decays(name, weights[name]) == decays]
            if chosen:
                decay = parameters.weight_decay if decays else 0.0
                groups.append({"params": chosen, "lr": parameters.learning_rate * share, "weight_decay": decay})
    if parameters.optimizer == "sgd":
        return SGD(groups, lr=parameters.learning_rate, momentum=0.9, nesterov=True)
    return AdamW(groups, lr=parameters.learning_rate, fused=True)


def _decays(name: str, weight: nn.Parameter) -> bool:
    return weight.ndim > 1 and name.endswith("weight")


def schedule(parameters: NetworkParameters, steps: int) -> Callable[[int], float]:
    """The factor on the learning rate at each of `steps` steps, in [0, 1].

    Linear warm-up (at most a quarter of the steps), then the shape asked for: a cosine (Loshchilov & Hutter 2017) down
    to `final_learning_rate`, steps to a tenth at 2/3 and 8/9 (the SSD and Faster R-CNN custom), or flat.
    """
    warmup = min(parameters.warmup_steps, steps // 4)
    final = parameters.final_learning_rate

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        if parameters.schedule == "cosine":
            return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2
        if parameters.schedule == "steps":
            return 0.1 ** ((done >= 2 / 3) + (done >= 8 / 9))
        return 1.0

    return factor
