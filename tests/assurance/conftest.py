"""What is started here is not measured."""

from tests.support.unmeasured import (
    unmeasured_children as unmeasured_children,  # noqa: PLC0414 (a fixture, for this folder)
)
