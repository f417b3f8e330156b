from pathlib import Path


def _edit(root: Path, name: str, old: str, new: str) -> None:
    file = root / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def _number_at_random(root: Path) -> None:
    name = "distribution/cyclonedx.py"
    _edit(root, name, "uuid.uuid5(uuid.NAMESPACE_URL, f'sha256:{subject.sha256}')", "uuid.uuid4()")


PLANTS = {"artifacts_are_described": _number_at_random}

ELSEWHERE = {
    "artifacts_are_described": (
        "tests/release/test_bills_of_materials.py::test_the_check_finds_what_a_bill_leaves_out",
    ),
    "images_are_described": (
        "tests/release/test_bills_of_materials.py::test_the_check_finds_what_a_bill_leaves_out",
        "tests/release/test_bills_of_materials.py::test_an_artifact_that_is_not_what_its_lock_says_is_not_described",
    ),
}
