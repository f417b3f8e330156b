"""CodeQL, as the workflow has it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from assurance.schedules import wrong_with_the_times
from assurance.workflow_files import FOLDER, Workflow, WorkflowFault, workflow
from tools.repository import repository_files

FILE = "codeql.yml"
_LANGUAGES = {
    ".c": "c-cpp", ".cc": "c-cpp", ".cpp": "c-cpp", ".cs": "csharp", ".go": "go", ".java": "java-kotlin",
    ".js": "javascript-typescript", ".jsx": "javascript-typescript", ".kt": "java-kotlin",
    ".mjs": "javascript-typescript", ".py": "python", ".rb": "ruby", ".rs": "rust",
    ".swift": "swift", ".ts": "javascript-typescript", ".tsx": "javascript-typescript",
}  # fmt: skip


def _languages(root: Path) -> frozenset[str]:
    """What the tree is written in, as far as CodeQL can read it; workflows count."""
    files = [file.relative_to(root) for file in repository_files(root)]
    written = {_LANGUAGES[file.suffix] for file in files if file.suffix in _LANGUAGES}
    return frozenset(
        written | ({"actions"} if any(file.parent == FOLDER for file in files) else set())
    )


def every_language_is_analysed(root: Path) -> Sequence[str]:
    """CodeQL analyses every language of the tree, workflows included, and shows the results of each."""
    try:
        found = workflow(root, FILE)
    except WorkflowFault as fault:
        return [str(fault)]
    expected = _languages(root)
    wrong = []
    for name in ("analyse", "results"):
        job = found.jobs.get(name)
        matrix = job.strategy.get("matrix", {}) if job else {}
        if set(matrix.get("language", ())) != expected or set(matrix) != {"language"}:
            wrong.append(f"{FILE}: {name} is not of {', '.join(sorted(expected))}")
    return wrong + list(_wrong_with_the_uploads(found))


def _wrong_with_the_uploads(found: Workflow) -> Iterator[str]:
    uploads = [step.with_ for name, step in found.using("github/codeql-action/upload-sarif")]
    if [one.get("category") for one in uploads] != ["/language:${{ matrix.language }}"]:
        yield f"{FILE} does not show the results of each language as its own"


def queries_are_extended_and_whole(root: Path) -> Sequence[str]:
    """CodeQL runs all extended security queries over everything, and fails on what is serious."""
    try:
        found = workflow(root, FILE)
    except WorkflowFault as fault:
        return [str(fault)]
    inits = list(found.using("github/codeql-action/init"))
    wrong = [] if inits else [f"{FILE} starts no analysis"]
    for name, step in inits:
        if step.with_.get("queries") not in {"security-extended", "security-and-quality"}:
            wrong.append(f"{FILE}: {name} does not run the extended security queries")
        wrong += [
            f"{FILE}: {name} sets {key}, which can leave something out"
            for key in ("config", "config-file", "packs")
            if key in step.with_
        ]
        if step.if_ or step.with_.get("languages") != "${{ matrix.language }}":
            wrong.append(f"{FILE}: {name} does not always analyse its language")
        if not any(
            "python3 -m tools.sarif results" in one.run and not one.if_
            for one in found.jobs[name].steps
        ):
            wrong.append(f"{FILE}: {name} does not fail on what is serious")
    return wrong


def it_runs_on_changes_and_weekly(root: Path) -> Sequence[str]:
    """CodeQL runs on each pull request and push to main, through the gate, and at least weekly."""
    try:
        return list(wrong_with_the_times(root, FILE, 7))
    except WorkflowFault as fault:
        return [str(fault)]
