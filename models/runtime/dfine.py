"""D-FINE (Peng 2024, arXiv 2410.13842), a real-time transformer detector, from the library transformers.

The one room that knows that library. It is an extra of the project and is imported when a network is built.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_convert

from .boxes import Found
from .faults import Fault
from .rows import Rows

LIBRARY = "transformers>=5.24,<6"  # as in pyproject.toml
HUB = "ustc-community/dfine-small-obj2coco"  # Apache-2.0; learned from Objects365, then COCO
STRIDES = (8, 16, 32)

# D-FINE-S of the paper's own configuration: HGNetV2-B0 below, an encoder and three decoder layers above.
BACKBONE: dict[str, Any] = {
    "stem_channels": [3, 16, 16],
    "stage_in_channels": [16, 64, 256, 512],
    "stage_mid_channels": [16, 32, 64, 128],
    "stage_out_channels": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1],
    "stage_numb_of_layers": [3, 3, 3, 3],
    "hidden_sizes": [128, 256, 512, 1024],
    "embedding_size": 32,
    "use_learnable_affine_block": True,
    "out_indices": [2, 3, 4],
}
SMALL: dict[str, Any] = {
    "encoder_in_channels": [256, 512, 1024],
    "hidden_expansion": 0.5,
    "depth_mult": 0.34,
    "decoder_layers": 3,
    "decoder_n_points": [3, 6, 3],
    "initializer_bias_prior_prob": 0.01,  # as in the paper's code; transformers' own 1 / (C + 1) drowns the first steps
    "freeze_backbone_batch_norms": False,  # they must learn where nothing is pretrained; `frozen_stages` freezes them
}


class DFine(nn.Module):
    """The small D-FINE. It answers with one box a query and needs no suppression of boxes that overlap.

    changed: what is otherwise than in D-FINE-S, in the words of transformers' `DFineConfig`.
    Raises Fault where transformers is not installed.
    """

    trunk = "network.model.backbone.model"

    def __init__(self, concepts: int, **changed: Any) -> None:
        super().__init__()
        library = _library()
        given = SMALL | changed
        backbone = library.HGNetV2Config(**(BACKBONE | given.pop("backbone", {})))
        config = library.DFineConfig(num_labels=concepts, backbone_config=backbone, **given)
        self.network = library.DFineForObjectDetection(config)
        # The decoder holds these two and uses them; the same tensors under a second name cannot be stored.
        del self.network.class_embed, self.network.bbox_embed
        self.queries = config.num_queries

    @property
    def concept_rows(self) -> dict[str, Rows]:
        """The tensors with a row a concept; the denoising queries have one more, for none."""
        layout = {
            name: Rows() for name in self.state_dict() if ".decoder.class_embed." in name or ".enc_score_head." in name
        }
        return layout | {"network.model.denoising_class_embed.weight": Rows(after=1)}

    def forward(self, images: Tensor, labels: list[dict[str, Tensor]] | None = None) -> Any:
        """(N, 3, H, W) float pictures in [0, 1] to transformers' answer: `logits` (N, Q, C), `pred_boxes` (N, Q, 4).

        The boxes are centre and size as shares of the (padded) picture. With labels also `loss` and `loss_dict`.
        """
        # In float32: matching and the bins of the box distributions are too fine for bfloat16.
        with torch.autocast(images.device.type, enabled=False):
            return self.network(self._padded(images.float()), labels=labels)

    def detect(
        self,
        images: Tensor,
        score_threshold: float = 0.05,
        nms_iou: float = 0.6,
        max_detections: int = 100,
    ) -> list[Found]:
        """For each image (n, 4) float32 xyxy boxes in its pixels, (n,) scores, (n,) int64 labels, surest first.

        nms_iou is not used: queries learn not to name a thing twice.
        """
        said = self(images)
        height, width = self._padded(images).shape[-2:]
        size = images.new_tensor([width, height, width, height], dtype=torch.float32)
        found = []
        for logits, shares in zip(said.logits, said.pred_boxes, strict=True):
            scores, order = logits.float().sigmoid().flatten().sort(descending=True, stable=True)
            sure = (scores > score_threshold)[:max_detections]
            scores, order = scores[: len(sure)][sure], order[: len(sure)][sure]
            boxes = box_convert(shares[order // logits.shape[1]].float(), "cxcywh", "xyxy") * size
            found.append((boxes, scores, order % logits.shape[1]))
        return found

    def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """D-FINE's losses, those of all its layers together: of concepts, boxes, and the boxes' distributions."""
        height, width = self._padded(images).shape[-2:]
        size = images.new_tensor([width, height, width, height], dtype=torch.float32)
        labels = [
            {
                "class_labels": target["labels"],
                "boxes": box_convert(target["boxes"].float(), "xyxy", "cxcywh") / size,
            }
            for target in targets
        ]
        said = self(images, labels).loss_dict
        kinds = {"vfl": "concept", "bbox": "box", "giou": "overlap", "fgl": "sides", "ddf": "distilled"}
        summed: dict[str, Tensor] = {}
        for name, value in said.items():
            kind = kinds[name.split("_")[1]]
            summed[kind] = summed.get(kind, 0) + value
        return summed

    def _padded(self, images: Tensor) -> Tensor:
        """As they are, or so large (right, bottom) that there is a cell for each query."""
        height, width = images.shape[-2:]
        coarsest = STRIDES[-1]
        height, width = -(-height // coarsest) * coarsest, -(-width // coarsest) * coarsest
        cells = sum((height // stride) * (width // stride) for stride in STRIDES)
        if cells < self.queries:
            times = math.ceil(self.queries / cells)
            height, width = (height, width * times) if width < height else (height * times, width)
        edges = (0, width - images.shape[-1], 0, height - images.shape[-2])
        return F.pad(images, edges) if any(edges) else images


def fetched() -> dict[str, Tensor]:
    """The weights of D-FINE-S from the hub, by our names. Raises Fault when they cannot be fetched."""
    library = _library()
    try:
        network = library.DFineForObjectDetection.from_pretrained(HUB)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise Fault(
            f"weights: the pretrained weights of dfine_small cannot be fetched from the hub, where they are {HUB} "
            f"({reason}). Use 'none' to train from nothing, or a .safetensors file."
        ) from None
    return {f"network.{name}": tensor for name, tensor in network.state_dict().items()}


def _library() -> Any:
    try:
        import transformers
    except ImportError:
        raise Fault(
            f"dfine_small needs the library transformers, which is not installed: pip install '{LIBRARY}', "
            "or in a clone of Sightline pip install -e '.[transformers]'."
        ) from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers
