from pathlib import Path

from tests.assurance.plants.editing import append, replace

PAGE = "docs/threats.md"
REPLAY = "tests/adversarial/test_t01_replay.py"


def _test_that_is_gone(root: Path) -> None:
    (root / REPLAY).unlink()


def _skipped_file(root: Path) -> None:
    append(root, REPLAY, '\npytestmark = pytest.mark.skip(reason="slow")\n')


def _skipped_test(root: Path) -> None:
    append(root, REPLAY, "\n\n@pytest.mark.xfail\ndef test_it():\n    assert False\n")


def _skipped_inside(root: Path) -> None:
    append(root, REPLAY, '\n\ndef test_it():\n    pytest.skip("flaky")\n')


def _test_that_can_not_fail(root: Path) -> None:
    append(root, REPLAY, "\n\ndef test_it():\n    pass\n")


def _threat_without_a_test(root: Path) -> None:
    replace(root, PAGE, "[replay](../tests/adversarial/test_t01_replay.py)", "to be written")


def _threat_without_a_rest(root: Path) -> None:
    _cut(root, 4)


def _threat_without_an_owner(root: Path) -> None:
    _cut(root, 5)


def _owner_of_nothing(root: Path) -> None:
    replace(root, PAGE, "`src/caracal_server/sts/`", "`src/caracal_server/stts/`")


def _number_used_twice(root: Path) -> None:
    replace(root, PAGE, '<a id="t2"></a>T2 ', '<a id="t1"></a>T1 ')


def _cut(root: Path, column: int) -> None:
    """Empty a cell of the first threat."""
    file = root / PAGE
    lines = file.read_text().splitlines()
    number = next(index for index, line in enumerate(lines) if '<a id="t1">' in line)
    cells = lines[number].split(" | ")
    cells[column] = " |" if column == len(cells) - 1 else ""
    lines[number] = " | ".join(cells)
    file.write_text("\n".join(lines))


PLANTS = {
    "every_threat_is_tested": (
        _test_that_is_gone,
        _skipped_file,
        _skipped_test,
        _skipped_inside,
        _test_that_can_not_fail,
        _threat_without_a_test,
    ),
    "every_threat_has_a_rest_and_an_owner": (
        _threat_without_a_rest,
        _threat_without_an_owner,
        _owner_of_nothing,
    ),
    "numbers_are_unique_and_cited_ones_exist": (_number_used_twice,),
}
