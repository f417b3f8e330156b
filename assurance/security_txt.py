"""The project's security.txt (RFC 9116): read, and printed for the address of a repository.

Usage: python -m assurance.security_txt URL
"""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

SOURCE: Final = Path(".well-known/security.txt.in")
PLACE: Final = "@REPOSITORY@"
LONGEST: Final = timedelta(days=365)
_FIELDS: Final = frozenset(
    {
        "Acknowledgments", "Canonical", "Contact", "Encryption", "Expires", "Hiring", "Policy",
        "Preferred-Languages",
    }
)  # fmt: skip
_ONCE: Final = ("Expires", "Preferred-Languages")
_REVIEWED: Final = re.compile(r"^# Reviewed: (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


class SecurityTxt(msgspec.Struct, frozen=True):
    """What the file says.

    Attributes:
        fields: name and value of each line, in order.
        reviewed: when somebody last looked at it.
    """

    fields: tuple[tuple[str, str], ...]
    reviewed: datetime | None

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


def render(root: Path, repository: str) -> str:
    """The file for a repository's address."""
    text = (root / SOURCE).read_text().replace(PLACE, repository.rstrip("/"))
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#"))


def parse(text: str) -> SecurityTxt:
    """Read fields; comments and empty lines are left out (RFC 9116 section 2.2)."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    reviewed = _REVIEWED.search(text)
    return SecurityTxt(
        tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines)),
        datetime.fromisoformat(reviewed[1]).replace(tzinfo=UTC) if reviewed else None,
    )


def what_is_wrong(found: SecurityTxt, now: datetime) -> list[str]:
    """Hold a file to RFC 9116 sections 2.3 and 2.5, and to the advice to expire within a year."""
    wrong = [f"{name} is no field of RFC 9116" for name, _ in found.fields if name not in _FIELDS]
    wrong += [
        f"{name} stands {len(found.values(name))} times"
        for name in _ONCE
        if len(found.values(name)) != 1
    ]
    contacts = found.values("Contact")
    if not contacts:
        wrong.append("there is no Contact")
    wrong += [
        f"{name} {value} is no https address"
        for name in ("Contact", "Policy")
        for value in found.values(name)
        if not value.startswith("https://")
    ]
    return [*wrong, *_expiry(found, now)]


def _expiry(found: SecurityTxt, now: datetime) -> list[str]:
    try:
        expires = datetime.fromisoformat(found.values("Expires")[0])
        late = found.reviewed is None or expires - found.reviewed > LONGEST
    except (IndexError, ValueError, TypeError):
        return ["Expires is no instant with an offset"]
    if expires <= now:
        return [f"it expired on {expires:%Y-%m-%d}: review it, and set both dates"]
    return ["it expires more than a year after it was reviewed"] if late else []


if __name__ == "__main__":
    sys.stdout.write(render(Path(__file__).parent.parent, sys.argv[1]))
