"""An image that is run confined, and what is said when it is not as it should be."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from distribution import smoke
from distribution.layers import OpenedImage
from distribution.packed import folder
from tests.distribution.made_up import image

pytestmark = [
    pytest.mark.skipif(bool(smoke.why_not_here()), reason=smoke.why_not_here()),
    pytest.mark.timeout(300),  # the first that asks for images waits until they are built
]


def _with(built: OpenedImage, **config: object) -> list[OpenedImage]:
    changed: Mapping[str, object] = {**built.config, **config}
    return [replace(built, config=changed)]


def test_an_image_that_runs_as_root_is_found(all_in_one: OpenedImage):
    wrong = smoke.findings(_with(all_in_one, User="0:0"))
    assert any(one.startswith("caracal may gain privileges, or is root") for one in wrong)
    assert any(one.startswith("caracal has capabilities: CapEff") for one in wrong)


def test_an_image_that_does_not_start_is_found():
    """The image is a small one, whose program is none."""
    entries = [folder("dev"), folder("proc"), folder("etc"), folder("usr/bin")]
    (wrong,) = smoke.findings([replace(image(*entries), name="caracal")])
    assert "caracal ends before it listens" in wrong


def test_images_of_different_layers_are_not_taken_for_one(all_in_one: OpenedImage):
    assert smoke.findings([all_in_one, image()]) == ["the images do not share their layers"]
