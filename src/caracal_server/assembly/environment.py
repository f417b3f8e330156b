"""The only reader of the process's environment."""

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    return os.environ
