from pathlib import Path

COMPOSE = "deploy/compose/compose.yaml"
UNIT = "deploy/systemd/caracal.service"


def _edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _a_word_that_compose_does_not_know(root: Path) -> None:
    _edit(root, COMPOSE, "read_only: true", "readonly: true")


def _all_capabilities(root: Path) -> None:
    _edit(root, COMPOSE, "cap_drop:", "cap_add:")


def _by_tag(root: Path) -> None:
    _edit(root, COMPOSE, "@${", ":${")


def _open_to_the_network(root: Path) -> None:
    _edit(root, COMPOSE, "127.0.0.1:8080:8080", "8080:8080")


def _database_url_in_the_environment(root: Path) -> None:
    _edit(
        root,
        COMPOSE,
        "CARACAL_LOG_FORMAT:",
        "CARACAL_DATABASE_URL: postgresql://x\n      CARACAL_LOG_FORMAT:",
    )


def _runs_as_root(root: Path) -> None:
    _edit(root, UNIT, "DynamicUser=yes", "DynamicUser=no")


def _every_system_call(root: Path) -> None:
    _edit(root, UNIT, "SystemCallFilter=~@privileged @resources\n", "")


def _another_program(root: Path) -> None:
    _edit(root, UNIT, "ExecStart=/opt/caracal/bin/caracal", "ExecStart=/bin/sh")


def _a_word_that_systemd_does_not_know(root: Path) -> None:
    _edit(root, UNIT, "NoNewPrivileges=", "NoNewPrivilege=")


def _exposed(root: Path) -> None:
    _edit(root, UNIT, "CapabilityBoundingSet=\n", "")
    _edit(
        root,
        UNIT,
        "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n",
        "",
    )


PLANTS = {
    "compose_is_valid": _a_word_that_compose_does_not_know,
    "compose_is_confined": (
        _all_capabilities,
        _by_tag,
        _open_to_the_network,
        _database_url_in_the_environment,
    ),
    "units_are_sandboxed": (_runs_as_root, _every_system_call, _another_program),
    "units_are_sound": (_a_word_that_systemd_does_not_know, _exposed),
}
