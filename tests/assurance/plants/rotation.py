from pathlib import Path

from tests.assurance.plants.editing import replace

TESTS = "tests/scenarios/test_keys_rotate_under_load.py"
APART = "tests/apart/test_keys_rotate_apart.py"
LOAD = "tests/support/load.py"


def _no_test_for_sealing_keys(root: Path) -> None:
    replace(root, TESTS, "def test_sealing_keys_rotate_and_no_call_fails", "def sealing_keys")


def _skipped(root: Path) -> None:
    replace(root, TESTS, "def test_log_keys", "@pytest.mark.skip\ndef test_log_keys")


def _rotates_before_the_load(root: Path) -> None:
    replace(
        root,
        TESTS,
        'with under_load(calls(zone, zone.agent().authority())):\n        server.ask("key", "rotate"',
        'with under_load(calls(zone, zone.agent().authority())):\n        pass\n    server.ask("key", "rotate"',
    )


def _failed_calls_are_fine(root: Path) -> None:
    replace(root, LOAD, "set(load.statuses) == {200}", "200 in set(load.statuses)")


def _faults_are_fine(root: Path) -> None:
    replace(root, LOAD, "    assert load.faults == []\n", "")


def _not_at_audit(root: Path) -> None:
    (root / APART).unlink()


def _nobody_works(root: Path) -> None:
    replace(root, APART, "with under_load(calls(zone)) as load:", "with nothing() as load:")


def _command_nobody_finds(root: Path) -> None:
    replace(root, "docs/security/rotate.md", "`caracal operator rotate ID", "`rotate ID")
    replace(root, "docs/security/rotate.md", "`caracal operator rotate`", "It")


PLANTS = {
    "each_is_rotated_under_load": (
        _no_test_for_sealing_keys,
        _skipped,
        _rotates_before_the_load,
        _failed_calls_are_fine,
    ),
    "also_where_services_run_apart": (_not_at_audit, _nobody_works, _faults_are_fine),
    "page_names_each_command": (_command_nobody_finds,),
}
