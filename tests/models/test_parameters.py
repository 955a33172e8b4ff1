"""Parameters train well by default, refuse what they do not know, and make the form in the Prefect UI."""

import pytest
import yaml
from pydantic import ValidationError

from models.catalog import TEMPLATES
from models.parameters import BY_TYPE, ClassifierParameters, DetectorParameters, is_version, parameters
from models.runtime.faults import Fault

DETECTOR = {"template": "fcos_light"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_defaults_are_the_templates_own(name):
    given = parameters({"template": name})
    assert type(given) is BY_TYPE[TEMPLATES[name].type]
    assert {key: getattr(given, key) for key in TEMPLATES[name].defaults} == TEMPLATES[name].defaults


def test_what_is_given_goes_before_the_defaults():
    assert parameters(DETECTOR | {"epochs": 3}).epochs == 3


@pytest.mark.parametrize("name", TEMPLATES)
def test_round_trip(name):
    start = {"weights": "a.safetensors"} if "weights" in BY_TYPE[TEMPLATES[name].type].model_fields else {}
    given = parameters({"template": name, "seed": 7} | start)
    assert parameters(given.model_dump(mode="json")) == given
    assert parameters(yaml.safe_load(yaml.safe_dump(given.model_dump(mode="json")))) == given


def test_numbers_as_yaml_and_the_command_line_write_them():
    given = parameters(DETECTOR | yaml.safe_load("{learning_rate: 1e-3, epochs: '4'}"))  # YAML 1.1: 1e-3 is a text
    assert (given.learning_rate, given.epochs) == (0.001, 4)
    assert parameters(DETECTOR | {"batch_size": "auto"}).batch_size == 0


def test_an_unknown_key_answers_with_the_nearest():
    with pytest.raises(Fault, match=r"^parameters: epoch: no such parameter\. Known: .*Did you mean 'epochs'\?"):
        parameters(DETECTOR | {"epoch": 3})


def test_a_key_of_another_type_is_unknown():
    with pytest.raises(Fault, match=r"concepts_mutually_exclusive: no such parameter"):
        parameters(DETECTOR | {"concepts_mutually_exclusive": True})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, r"epochs: input should be greater than or equal to 1, got 0"),
        ({"epochs": 2.5}, r"epochs: .*integer.*, got 2\.5"),
        ({"batch_size": 1025}, r"batch_size: input should be less than or equal to 1024, got 1025"),
        ({"learning_rate": 0}, r"learning_rate: input should be greater than 0, got 0"),
        ({"learning_rate": float("nan")}, r"learning_rate: .*got nan"),
        ({"weight_decay": -1}, r"weight_decay: .*greater than or equal to 0, got -1"),
        ({"nms_iou": 1}, r"nms_iou: input should be less than 1, got 1"),
        ({"image_size": 100}, r"image_size: input should be a multiple of 32, got 100"),
        ({"image_size": 32}, r"image_size: fcos_light takes 64 to 1280, got 32"),
        ({"optimizer": "adam"}, r"optimizer: input should be 'adamw' or 'sgd', got 'adam'"),
        ({"seed": -1}, r"seed: .*greater than or equal to 0"),
        ({"seed": 2**31}, r"seed: .*less than or equal to 2147483647"),
        ({"weights": None}, r"weights: input should be a valid string, got None"),
        ({1: 2}, r"1: keys should be strings"),
    ],
)
def test_what_is_out_of_range_is_named_with_what_is_allowed(given, message):
    with pytest.raises(Fault, match=f"^train.yaml: {message}"):
        parameters(DETECTOR | given, "train.yaml")


def test_a_template_with_one_size():
    with pytest.raises(Fault, match=r"image_size: ssdlite320_mobilenet_v3_large takes 320 alone, got 640"):
        parameters({"template": "ssdlite320_mobilenet_v3_large", "image_size": 640})


@pytest.mark.parametrize(
    ("name", "size", "allowed"),
    [
        ("alexnet", 32, "64 to 1280"),
        ("maxvit_t", 256, "224 to 1120 in steps of 224"),
        ("vit_h_14", 320, "224 to 1120 in steps of 224"),
    ],
)
def test_networks_of_torchvision_that_do_not_take_every_size(name, size, allowed):
    with pytest.raises(Fault, match=rf"image_size: {name} takes {allowed}, got {size}"):
        parameters({"template": name, "image_size": size})
    assert parameters({"template": name, "image_size": 448}).image_size == 448


def test_anchors_are_fitted_where_there_are_any():
    assert parameters({"template": "ssd300_vgg16", "fit_anchors": True}).fit_anchors
    with pytest.raises(Fault, match=r"fit_anchors: dfine_small has no anchors\. These have: faster.*ssd300_vgg16"):
        parameters({"template": "dfine_small", "fit_anchors": True})


def test_what_a_training_starts_from(tmp_path):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"")
    assert not [given for given in ("none", "pretrained", "x.safetensors", str(file)) if is_version(given)]
    assert is_version("roofs/3") and is_version("roofs@champion") and is_version("roofs")


def test_every_fault_is_told_at_once():
    given = {"template": "fcos_light", "image_size": 32, "epochs": 0, "seed": "x", "lr": 1, "optimizer": "adam"}
    with pytest.raises(Fault) as caught:
        parameters(given)
    for name in given.keys() - {"template"}:
        assert f"{name}: " in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"template": "fcos_lite"}, r"there is no template 'fcos_lite'\. .*Did you mean 'fcos_light'\?"),
        ({"template": "MMDetection_SSD"}, r"hosted platform's\. Use 'ssd300_vgg16' instead"),
        ({"template": None}, r"template: a name is wanted, got None\. Known: .*resnet18"),
        ({"template": 5}, r"template: a name is wanted, got 5\."),
        ({}, r"template: a name is wanted, got None\."),
    ],
)
def test_an_unknown_template_answers_with_what_there_is(given, message):
    with pytest.raises(Fault, match=message):
        parameters(given)


def test_the_form_refuses_the_platforms_names_with_what_to_use():
    with pytest.raises(ValidationError, match=r"Use 'ssd300_vgg16' instead"):
        DetectorParameters(template="MMDetection_SSD")  # type: ignore[arg-type]


def test_parameters_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        ClassifierParameters().epochs = 2  # type: ignore[misc]


@pytest.mark.parametrize("type", BY_TYPE)
def test_the_form_has_help_and_a_range_for_every_field(type):
    schema = BY_TYPE[type].model_json_schema()
    assert "required" not in schema
    assert schema["additionalProperties"] is False
    for name, field in schema["properties"].items():
        assert len(field["description"]) > 10, name
        if field["type"] in ("integer", "number"):
            assert field.keys() & {"minimum", "exclusiveMinimum"}, name
            assert field.keys() & {"maximum", "exclusiveMaximum"}, name
        else:
            free = ("weights", "concepts", "early_stopping_metric", "embedder")  # names, which no list can hold
            assert field["type"] == "boolean" or name in free or field.keys() & {"enum", "const"}, name
