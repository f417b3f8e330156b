from pathlib import Path

import pytest

from assurance.checks import NotRunHere
from assurance.checks.images import archive
from distribution.layers import OpenedImage, open_archive

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def images() -> Path:
    """The images of this tree, really built."""
    try:
        return archive(ROOT)
    except NotRunHere as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def opened(images: Path) -> list[OpenedImage]:
    return open_archive(images)


@pytest.fixture(scope="session")
def all_in_one(opened: list[OpenedImage]) -> OpenedImage:
    return next(one for one in opened if one.name == "caracal")
