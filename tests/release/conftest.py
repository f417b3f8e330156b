from pathlib import Path

import pytest

from tests.support.release import LocalRelease, build


@pytest.fixture
def release(tmp_path: Path) -> LocalRelease:
    return build(tmp_path)
