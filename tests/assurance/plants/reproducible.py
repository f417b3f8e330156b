from pathlib import Path


def _stamp_with_the_clock(root: Path) -> None:
    file = root / "distribution/packed.py"
    source = file.read_text()
    stamped = source.replace(
        "member.mtime = entry.kind.value, entry.mode, epoch",
        "member.mtime = (\n"
        "            entry.kind.value, entry.mode, __import__('time').time_ns() // 1000)",
    )
    assert stamped != source
    file.write_text(stamped)


def _write_the_folder_into_the_package(root: Path) -> None:
    hook = "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
    hook += "class Hook(BuildHookInterface):\n"
    hook += "    def initialize(self, version, build_data):\n"
    hook += "        build_data['force_include'][__file__] = 'caracal/built.py'\n"
    hook += "        open(__file__, 'a').write('# ' + __import__('os').environ['TZ'])\n"
    (root / "hatch_build.py").write_text(hook)
    project = root / "pyproject.toml"
    project.write_text(project.read_text() + "\n[tool.hatch.build.targets.sdist.hooks.custom]\n")


PLANTS = {
    "two_builds_are_the_same": (_stamp_with_the_clock, _write_the_folder_into_the_package),
}
