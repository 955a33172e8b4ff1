"""The hosted platform's templates, by name, and what does their job here."""

SUCCESSORS = {
    "MMDetection_SSD": "ssd300_vgg16",
    "MMDetection_YoloF": "fcos_light",
    "MMDetection_FasterRCNN": "fasterrcnn_resnet50_fpn_v2",
    "MMDetection_AdvancedConfig": "dfine_small",
    "Clarifai_InceptionV2": "retinanet_resnet50_fpn_v2",
    "Clarifai_InceptionV4": "retinanet_resnet50_fpn_v2",
    "detection_msc10": "retinanet_resnet50_fpn_v2",
    "MMClassification_ResNet_50_RSB_A1": "resnet50_rsb_a1",
    "MMClassification_ResNet_50": "resnet50",
    "MMClassification_EfficientNet": "efficientnet_b0",
    "MMClassification_AdvancedConfig": "resnet50",
    "Clarifai_ResNext": "resnet50",
    "Clarifai_InceptionBatchNorm": "resnet18",
    "Clarifai_InceptionTransferEmbedNorm": "resnet18",
    "classification_basemodel_v1": "resnet50",
    "classification_cifar10_v1": "resnet_light",
    "classification_inception_general_v1_3_transfer_embednorm": "resnet18",
    "Clarifai_ResNet_AngularMargin": "angular_margin",
    "classification_angular_margin_embed": "angular_margin",
    "classification_basemodel_v1_embed": "as_is",
}
