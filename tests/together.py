"""What each process of a test of several runs: `tasks.distributed`, with a network that learns in a moment.

SIGHTLINE_TEST_TROUBLE: `fail` or `hang`, what the second process is to do instead.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if __name__ == "__main__" and os.environ["RANK"] == "1":  # before anything heavy is imported
    trouble = os.environ.get("SIGHTLINE_TEST_TROUBLE")
    if trouble == "hang":
        time.sleep(600)
    if trouble == "fail":
        raise MemoryError("no memory on this device")

from torch import nn

from models.runtime import networks
from tasks import distributed


def tiny(concepts: int, image_size: int) -> nn.Module:
    """A few hundred weights, without batch-norm."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, concepts)
    )


if __name__ == "__main__":
    networks.BUILDERS["resnet_light"] = tiny
    distributed.main(Path(sys.argv[1]))
