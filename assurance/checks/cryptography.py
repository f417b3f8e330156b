"""The cryptography in use, what is sealed, and that nothing is claimed of it."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from assurance import cryptography
from tools.repository import repository_files

TABLES: Final = Path("src/caracal_server/adapters/sql/tables.py")
MAY_NAME_FIPS: Final = frozenset(
    {"docs/security/regulated.md", "docs/security/enterprise-readiness.md"}
)
_READ: Final = (".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".cfg")
_OWN: Final = ("assurance/", "tests/", "requirements/")
_CLAIM: Final = re.compile(
    r"\b(validated|certified|compliant|conformant|compliance|accredited)\b", re.IGNORECASE
)
_DENIAL: Final = re.compile(
    r"\b(not|no|nobody|nothing|neither|never|none|without|until)\b", re.IGNORECASE
)
_SECRET: Final = re.compile(r"^sealed_|(_hash|_sha256|_fingerprint)$")
_ROW: Final = re.compile(r"^\| `([a-z_]+)\.([a-z_0-9]+)` \|", re.MULTILINE)


def code_keeps_to_the_policy(root: Path) -> Sequence[str]:
    """Every cryptographic name in the code belongs to an algorithm of the policy, and none is idle."""
    allowed = {symbol for one in cryptography.policy(root) for symbol in one.symbols}
    found = cryptography.used(root)
    return [
        *(
            f"{symbol} is used in {', '.join(sorted(found[symbol]))}, and no algorithm allows it"
            for symbol in sorted(found.keys() - allowed)
        ),
        *(f"{symbol} is allowed, and nothing uses it" for symbol in sorted(allowed - found.keys())),
    ]


def list_is_current(root: Path) -> Sequence[str]:
    """The page lists the algorithms, packages, libraries and the OpenSSL that are in use."""
    page = (root / cryptography.PAGE).read_text()
    try:
        expected = cryptography.replaced(page, cryptography.render(root))
    except ValueError as fault:
        return [f"{cryptography.PAGE}: {fault}"]
    if page != expected:
        return [f"{cryptography.PAGE} is out of date: python -m assurance.cryptography"]
    installed = cryptography.bundled().split("`")[1]
    if installed not in cryptography.locked(root):
        return [f"{installed} is installed, and the lock has another"]
    return []


def nothing_is_claimed_of_fips(root: Path) -> Sequence[str]:
    """No page names FIPS 140 but those that say that it is not claimed, and they claim nothing."""
    return [f"{place}: {said}" for place, said in _claims(root)]


def _claims(root: Path) -> Iterator[tuple[str, str]]:
    for file in repository_files(root):
        name = file.relative_to(root).as_posix()
        if file.suffix not in _READ or name.startswith(_OWN):
            continue
        text = file.read_text(errors="replace")
        if name not in MAY_NAME_FIPS:
            if re.search(r"\bFIPS\b", text, re.IGNORECASE):
                yield name, "names FIPS, which only the page on regulated environments may"
            continue
        for sentence in _sentences(text):
            names_it = re.search(r"\bFIPS\b", sentence) is not None
            if names_it and _CLAIM.search(sentence) and not _DENIAL.search(sentence):
                yield name, f"claims something: {sentence[:120]}"


def _sentences(text: str) -> list[str]:
    return [
        " ".join(sentence.split())
        for block in re.split(r"\n\s*\n|\n(?=[|#-])", text)
        for sentence in re.split(r"(?<=[.:;])\s", block)
    ]


def sealed_columns_are_the_codes(root: Path) -> Sequence[str]:
    """The page lists exactly the columns that hold secrets sealed or hashed, as the tables have them."""
    page = {
        f"{table}.{column}"
        for table, column in _ROW.findall((root / cryptography.PAGE).read_text())
    }
    code = {
        f"{table}.{column}"
        for table, column in columns((root / TABLES).read_text())
        if _SECRET.search(column)
    }
    return [
        *(f"{name} is in the tables, and not on the page" for name in sorted(code - page)),
        *(f"{name} is on the page, and not in the tables" for name in sorted(page - code)),
    ]


def columns(source: str) -> Iterator[tuple[str, str]]:
    """Table and column of every column that the source defines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _named(node, "Table"):
            table = _text(node)
            for argument in node.args:
                if isinstance(argument, ast.Call) and _named(argument, "Column"):
                    yield table, _text(argument)


def _named(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == name


def _text(call: ast.Call) -> str:
    first = call.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
