"""An image that is run confined, and what is said when it is not as it should be."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from distribution import smoke
from distribution.layers import OpenedImage

pytestmark = pytest.mark.skipif(bool(smoke.why_not_here()), reason=smoke.why_not_here())


def _with(image: OpenedImage, **config: object) -> list[OpenedImage]:
    changed: Mapping[str, object] = {**image.config, **config}
    return [replace(image, config=changed)]


def test_an_image_that_runs_as_root_is_found(all_in_one: OpenedImage):
    wrong = smoke.findings(_with(all_in_one, User="0:0"))
    assert any(one.startswith("caracal may gain privileges, or is root") for one in wrong)
    assert any(one.startswith("caracal has capabilities: CapEff") for one in wrong)


def test_an_image_that_does_not_start_is_found(all_in_one: OpenedImage):
    (wrong,) = smoke.findings(_with(all_in_one, Entrypoint=["/bin/sh", "-c"], Cmd=["true"]))
    assert "caracal ends before it listens" in wrong
    assert "No such file or directory" in wrong
