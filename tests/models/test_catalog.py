"""One table of model types and templates, and everything that hangs on a template's name agrees with it."""

import pytest
import torchvision

from models.catalog import EXTRAS, SUCCESSORS, TEMPLATES, TORCHVISION, TYPES, every, libraries, names, template
from models.parameters import BY_TYPE, parameters
from models.runtime.faults import Fault
from models.runtime.networks import BUILDERS


def test_every_template_that_torchvision_does_not_name_has_a_builder():
    assert set(TEMPLATES) - set(TORCHVISION) - {"resnet50_rsb_a1"} == set(BUILDERS)


def test_a_template_names_the_extra_it_needs():
    assert {entry.extra for entry in TEMPLATES.values()} == {"", *EXTRAS}
    assert libraries("dfine_small") == ("transformers",)
    assert libraries("resnet18") == libraries("swin_t") == ()


def test_weights_that_may_not_earn_money_say_so():
    for name in TORCHVISION:
        meta = torchvision.models.get_model_weights(name).DEFAULT.meta
        assert ("license" in meta) == ("CC-BY-NC" in template(name).help), name


def test_every_type_has_parameters_that_name_its_templates():
    assert set(TYPES) >= set(BY_TYPE)
    for type, kind in BY_TYPE.items():
        assert tuple(kind.model_json_schema()["properties"]["template"]["enum"]) == every(type)


def test_the_networks_written_down_are_those_of_torchvision():
    assert set(TORCHVISION) == set(torchvision.models.list_models(module=torchvision.models))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_templates_own_defaults_are_within_its_limits(name):
    entry = template(name)
    given = parameters({"template": name} | entry.defaults)
    assert entry.defaults.items() <= given.model_dump().items()
    assert all(low <= entry.defaults.get(key, low) <= high for key, (low, high, *_) in entry.limits.items())
    assert entry.help


def test_the_recommended_template_comes_first():
    assert names("visual-detector")[0] == "fcos_light"
    assert [kind().template for kind in BY_TYPE.values()] == [names(type)[0] for type in BY_TYPE]  # type: ignore[call-arg]


@pytest.mark.parametrize("name", SUCCESSORS)
def test_the_platforms_names_answer_with_what_to_use(name):
    assert SUCCESSORS[name] in (*TEMPLATES, "angular_margin")
    with pytest.raises(Fault, match=rf"template '{name}' is the hosted platform's\. Use '{SUCCESSORS[name]}' instead"):
        template(name)


def test_an_unknown_template_answers_with_the_nearest():
    with pytest.raises(Fault, match=r"there is no template 'resnet81'\. Known: .*\. Did you mean 'resnet18'\?"):
        template("resnet81")


def test_an_unknown_type_answers_with_what_there_is():
    with pytest.raises(Fault, match=r"no trainable model type 'visual-detecter'.*Did you mean 'visual-detector'\?"):
        names("visual-detecter")
