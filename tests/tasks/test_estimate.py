"""Before a training starts, a line says how much work it is and, where earlier ones tell, how long."""

from __future__ import annotations

import pytest

from models.duration import duration
from tasks import estimate as verb
from tasks.estimate import estimate, samples
from tasks.registry import Version
from tests.registered import pinned, planned


@pytest.fixture
def earlier(monkeypatch):
    """Registered versions: their seconds, for 8 images, 10 epochs and 32 pixels, on this processor or another."""

    def know(*seconds: float, processor: str = "this") -> None:
        made = {"template": "resnet18", "epochs": 10, "samples": 8, "image_size": 32, "processor": processor}
        found = [
            Version(name="a", number=i, training_seconds=each, created=f"2026-01-{i:02d}", **made)
            for i, each in enumerate(seconds, 1)
        ]
        monkeypatch.setattr(verb, "versions", lambda: tuple(found))
        monkeypatch.setattr("tasks.tracking.processor", lambda: "this")

    return know


@pytest.fixture
def data(tmp_path):
    return pinned(tmp_path / "shapes")


def test_the_pace_of_earlier_trainings_tells_how_long(earlier, data):
    earlier(1000, 10, 20, 30, 20, 10)  # the newest five count: 20 s for 80 images of 32 pixels
    plan = planned(data, epochs=30, image_size=64)
    assert estimate(plan) == (
        "30 epochs, 2 steps each, 8 images: about 4 min, by 5 earlier trainings of resnet18 on this processor"
    )


def test_without_an_earlier_one_here_the_first_steps_tell(earlier, data):
    earlier(10, processor="another")
    said = "1 epoch, 2 steps each, 8 images; how long it takes is said after the first steps"
    assert estimate(planned(data)) == said
    earlier(0.0)  # a version that does not say
    assert estimate(planned(data)) == said


def test_an_epoch_has_the_images_that_it_will_see(data):
    assert samples(planned(data)) == 8
    assert samples(planned(data, min_samples_per_epoch=100)) == 100
    assert samples(planned(data, splits="train+val")) == 12


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (91, "2 min"), (3600, "60 min"), (12000, "3 h 20 min")]
)
def test_a_time_is_said_in_what_one_counts_in(seconds, text):
    assert duration(seconds) == text
