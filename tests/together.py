"""What each process of a test of several runs: `tasks.distributed`, with a network that learns in a moment.

SIGHTLINE_TEST_RANK: the process that is to fail, or to hang, as SIGHTLINE_TEST_HOW says.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from torch import nn

from models.classifier import Classifier
from models.runtime import networks
from tasks import distributed


def tiny(concepts: int, image_size: int) -> nn.Module:
    """A few hundred weights, without batch-norm."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, concepts)
    )


class Troubled(Classifier):
    """One of whose processes fails or hangs before its fourth step."""

    def training_step(self, batch, at):
        if self.trainer.global_step == 3 and os.environ["RANK"] == os.environ.get("SIGHTLINE_TEST_RANK"):
            if os.environ["SIGHTLINE_TEST_HOW"] == "hang":
                time.sleep(600)
            raise MemoryError("no memory on this device")
        return super().training_step(batch, at)


if __name__ == "__main__":
    from tasks import fitting

    networks.BUILDERS["resnet_light"] = tiny
    fitting.LEARNERS["visual-classifier"] = Troubled
    distributed.main(Path(sys.argv[1]))
