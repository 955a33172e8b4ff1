"""torchvision's detection networks, behind the same doors as every detector here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from .boxes import Found
from .faults import Fault
from .rows import Rows

Boxes = Sequence[Sequence[Sequence[float]]]

# torchvision's names of losses, and ours.
LOSSES = {
    "classification": "concept",
    "loss_classifier": "concept",
    "bbox_regression": "box",
    "loss_box_reg": "box",
    "bbox_ctrness": "centre",
    "loss_objectness": "object",
    "loss_rpn_box_reg": "proposal",
}


class Family(NamedTuple):
    """What tells the networks of one design from those of another.

    background: whether they count it as a concept, the first.  square: whether pictures are padded to a square,
    because anchors are fractions of the sides.  trunk: where the backbone lies in them.
    rows: names of tensors with rows that stand for a concept, as regular expressions.
    """

    background: bool
    square: bool
    trunk: str
    rows: dict[str, Rows]


SSD = Family(
    True,
    True,
    "backbone.features",
    {r"head\.classification_head\.module_list\.\d+(\.1)?\.(weight|bias)": Rows(before=1)},
)
RETINA = Family(False, False, "backbone.body", {r"head\.classification_head\.cls_logits\.(weight|bias)": Rows()})
R_CNN = Family(
    True,
    False,
    "backbone.body",
    {
        r"roi_heads\.box_predictor\.cls_score\.(weight|bias)": Rows(before=1),
        r"roi_heads\.box_predictor\.bbox_pred\.(weight|bias)": Rows(before=1, width=4),
    },
)
FAMILIES = {
    "ssd300_vgg16": SSD,
    "ssdlite320_mobilenet_v3_large": SSD,
    "retinanet_resnet50_fpn_v2": RETINA,
    "fcos_resnet50_fpn": RETINA,
    "fasterrcnn_resnet50_fpn_v2": R_CNN,
    "fasterrcnn_mobilenet_v3_large_320_fpn": R_CNN,
}


class TorchvisionDetector(nn.Module):
    """One of torchvision's detectors without its own resizing and normalising, which happen outside.

    Its losses and its post-processing are torchvision's. The backbone's maps and what the heads say are made
    float32: torchvision gives anchors the dtype of the maps, and bfloat16 knows no whole numbers beyond 256.
    """

    def __init__(self, name: str, concepts: int, image_size: int, anchors: Boxes | None = None) -> None:
        super().__init__()
        self.name, self.concepts, self.image_size = name, concepts, image_size
        self.family = FAMILIES[name]
        classes = concepts + self.family.background
        self.network = models.get_model(name, weights=None, weights_backbone=None, num_classes=classes)
        self.network.transform = AsGiven()
        if name == "ssd300_vgg16":
            # Its steps are those of a picture of 300 pixels; without them its anchors lie evenly at any size.
            self.network.anchor_generator.steps = None
        for part in self._exact():
            part.register_forward_hook(_in_float32)
        if anchors is not None:
            on_cpu: Any = {"dtype": torch.float32, "device": "cpu"}  # where torchvision has them until it sees a map
            self._set_anchors([torch.tensor(level, **on_cpu).reshape(-1, 2) for level in anchors])

    @property
    def trunk(self) -> str:
        """Where the backbone lies."""
        return f"network.{self.family.trunk}"

    @property
    def concept_rows(self) -> dict[str, Rows]:
        """The tensors with rows that each stand for a concept."""
        return {
            f"network.{name}": rows
            for name in self.network.state_dict()
            for pattern, rows in self.family.rows.items()
            if re.fullmatch(pattern, name)
        }

    @property
    def anchors(self) -> list[Tensor]:
        """For each level of the pyramid, finest first, (A, 2) float32 widths and heights in pixels at `image_size`."""
        if isinstance(self._generator, DefaultBoxGenerator):
            return [pairs * self.image_size for pairs in self._generator._wh_pairs]
        return [cells[:, 2:] - cells[:, :2] for cells in self._generator.cell_anchors]

    def forward(self, images: Tensor, targets: list[dict[str, Tensor]] | None = None) -> Any:
        """torchvision's own: losses by name where there are targets, else a dict of boxes, scores, labels an image.

        images: (N, 3, H, W) normalised float.
        """
        self._learning(targets is not None)
        return self.network(self._padded(images), targets)

    def detect(
        self,
        images: Tensor,
        score_threshold: float = 0.05,
        nms_iou: float = 0.6,
        max_detections: int = 100,
    ) -> list[Found]:
        """For each image (n, 4) float32 xyxy boxes in its pixels, (n,) scores, (n,) int64 labels, surest first."""
        answering = getattr(self.network, "roi_heads", self.network)
        answering.score_thresh, answering.nms_thresh = score_threshold, nms_iou
        answering.detections_per_img = max_detections
        if hasattr(self.network, "topk_candidates"):
            self.network.topk_candidates = max(int(self.network.topk_candidates), max_detections)  # type: ignore[arg-type]
        first = int(self.family.background)
        found = self(images)
        return [(each["boxes"].float(), each["scores"].float(), each["labels"] - first) for each in found]

    def losses(self, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """torchvision's losses of this design. Boxes without an area, which it refuses, teach nothing."""
        first = int(self.family.background)
        solid = [(target["boxes"][:, 2:] > target["boxes"][:, :2]).all(1) for target in targets]
        shifted = [
            {"boxes": target["boxes"][kept], "labels": target["labels"][kept] + first}
            for target, kept in zip(targets, solid, strict=True)
        ]
        return {LOSSES[name]: value for name, value in self(images, shifted).items()}

    @property
    def _generator(self) -> Any:
        return self.network.rpn.anchor_generator if self.family is R_CNN else self.network.anchor_generator  # type: ignore[union-attr]

    def _exact(self) -> list[Any]:
        """The parts whose output is wanted in float32 whatever the arithmetic inside."""
        network: Any = self.network
        heads = [network.rpn.head, network.roi_heads.box_predictor] if self.family is R_CNN else [network.head]
        return [network.backbone, *heads]

    def _learning(self, learning: bool) -> None:
        """torchvision answers with losses or with boxes by these flags; those of layers inside, such as batch-norm
        and dropout, stay as `train` and `eval` set them, so that the losses of a validation can be measured."""
        for part in (self.network, *(getattr(self.network, name, None) for name in ("rpn", "roi_heads"))):
            if part is not None:
                part.training = learning

    def _padded(self, images: Tensor) -> Tensor:
        """As they are, or padded to a square (right, bottom)."""
        side = max(images.shape[-2:])
        edges = (0, side - images.shape[-1], 0, side - images.shape[-2])
        return F.pad(images, edges) if self.family.square and any(edges) else images

    def _set_anchors(self, wanted: list[Tensor]) -> None:
        has = [len(level) for level in self.anchors]
        if [len(level) for level in wanted] != has:
            raise Fault(f"{self.name}: its levels have {has} anchors a cell, got {[len(level) for level in wanted]}")
        if isinstance(self._generator, DefaultBoxGenerator):
            self._generator._wh_pairs = [level / self.image_size for level in wanted]
        else:
            self._generator.cell_anchors = [torch.cat([-level, level], 1) / 2 for level in wanted]


class AsGiven(nn.Module):
    """In the place of torchvision's resizing and normalising: a batch stays as it is, and so do the boxes."""

    def forward(self, images: Tensor, targets: Any = None) -> tuple[ImageList, Any]:
        """The batch as torchvision's networks want it."""
        height, width = images.shape[-2:]
        return ImageList(images, [(height, width)] * len(images)), targets

    def postprocess(self, found: list, *_: Any) -> list:
        """Boxes are in the batch's pixels already."""
        return found


def _in_float32(module: nn.Module, given: Any, output: Any) -> Any:
    """A forward hook: the same, with every tensor as float32."""
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return type(output)((name, _in_float32(module, given, value)) for name, value in output.items())
    return type(output)(_in_float32(module, given, value) for value in output)
