"""Check that each relative link and anchor in the Markdown files leads somewhere; no network.

Usage: python -m tools.check_links
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from tools.repository import ROOT, Finding, report, repository_files

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_HTML_ANCHOR = re.compile(r"""<[a-z][a-z0-9]*\b[^>]*?\b(?:id|name)\s*=\s*["']([^"']+)["']""")
_MARKUP_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TARGETS = (
    re.compile(r"\]\(\s*<([^>]*)>"),
    re.compile(r"\]\(\s*([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)"),
    re.compile(r"^ {0,3}\[[^\]^][^\]]*\]:\s*<?([^\s>]+)>?"),
    re.compile(r"""<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)\s*=\s*["']([^"']+)["']"""),
)
_SCHEME = re.compile(r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:|//)")
_LINES = re.compile(r"L(\d+)(?:C\d+)?(?:-L(\d+)(?:C\d+)?)?")


def check_links(root: Path) -> Iterator[Finding]:
    """Yield a finding for each link that leads nowhere."""
    for document in repository_files(root):
        if document.suffix == ".md":
            for line, target in links(document.read_text(encoding="utf-8")):
                if message := _what_is_wrong(root, document, target):
                    yield Finding(str(document.relative_to(root)), line, message)


def links(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, target) of each link that is not shown as code and names no scheme."""
    for number, line in _prose(text):
        visible = _CODE_SPAN.sub(lambda span: " " * len(span[0]), line)
        for pattern in _TARGETS:
            for found in pattern.finditer(visible):
                if found[1] and not _SCHEME.match(found[1]):
                    yield number, found[1]


@cache
def anchors(document: Path) -> frozenset[str]:
    """Return the anchors a forge gives the document: one per heading, and those set by hand."""
    seen: Counter[str] = Counter()
    found = set()
    for _, line in _prose(document.read_text(encoding="utf-8")):
        found.update(_HTML_ANCHOR.findall(line))
        if heading := _HEADING.match(line):
            slug = slug_of(heading[1])
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(found)


def slug_of(heading: str) -> str:
    """Return a heading's anchor: its letters, digits, `-` and `_` in lower case, blanks as `-`."""
    visible = _MARKUP_LINK.sub(r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", visible).replace(" ", "-")


def _prose(text: str) -> Iterator[tuple[int, str]]:
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif mark:
            fence = mark[1]
        else:
            yield number, line


def _what_is_wrong(root: Path, document: Path, target: str) -> str:
    name, _, anchor = unquote(target).partition("#")
    name = name.partition("?")[0]
    start = root if name.startswith("/") else document.parent
    path = (start / name.lstrip("/")).resolve() if name else document.resolve()
    if not path.is_relative_to(root.resolve()):
        return f"{target} leaves the repository"
    if not path.exists():
        return f"{target}: there is no such file"
    if anchor and not _has_anchor(path, anchor):
        return f"{target}: there is no such anchor"
    return ""


def _has_anchor(path: Path, anchor: str) -> bool:
    if path.is_dir():
        path /= "README.md"
        if not path.exists():
            return False
    if path.suffix == ".md":
        return anchor in anchors(path)
    lines = _LINES.fullmatch(anchor)
    if lines is None:
        return False
    first, last = int(lines[1]), int(lines[2] or lines[1])
    return 1 <= first <= last <= len(path.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    sys.exit(report(check_links(ROOT), checked="links"))
