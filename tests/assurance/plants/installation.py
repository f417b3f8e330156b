from pathlib import Path


def _edit(root: Path, name: str, old: str, new: str) -> None:
    file = root / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


_WHEEL = "[tool.hatch.build.targets.wheel]\n"


def _bring_a_pth_file(root: Path) -> None:
    (root / "start.pth").write_text("import caracal\n")
    _edit(
        root,
        "pyproject.toml",
        _WHEEL,
        '[tool.hatch.build.targets.wheel.force-include]\n"start.pth" = "start.pth"\n' + _WHEEL,
    )


def _pack_the_tools(root: Path) -> None:
    _edit(root, "pyproject.toml", '"src/caracal_server"]', '"src/caracal_server", "tools"]')


def _forget_a_package(root: Path) -> None:
    _edit(root, "pyproject.toml", 'packages = ["src/caracal", ', "packages = [")


def _add_a_command(root: Path) -> None:
    _edit(
        root, "pyproject.toml", "[project.scripts]\n", '[project.scripts]\npip = "caracal:main"\n'
    )


def _start_all_the_same(root: Path) -> None:
    file = "src/caracal_server/assembly/installed.py"
    _edit(root, file, 'if settings["STRICT_INSTALLATION"]', "if False")


PLANTS = {
    "the_wheel_holds_only_our_packages": (
        _bring_a_pth_file,
        _pack_the_tools,
        _forget_a_package,
        _add_a_command,
    ),
    "an_altered_installation_is_noticed": _start_all_the_same,
}
_IMPORTS = "tests/assurance/test_imports_are_watched.py"
_INSTALLED = "tests/assembly/test_installations_are_verified.py"
ELSEWHERE = {
    "importing_does_nothing": (
        f"{_IMPORTS}::test_what_a_module_does_when_it_is_imported_is_seen",
        f"{_IMPORTS}::test_modules_that_are_not_imported_from_the_tree_do_not_pass",
    ),
    "an_altered_installation_is_noticed": (
        f"{_INSTALLED}::test_any_difference_is_found_and_named",
        f"{_INSTALLED}::test_an_installed_wheel_verifies_and_starts_until_a_byte_of_it_changes",
    ),
}
