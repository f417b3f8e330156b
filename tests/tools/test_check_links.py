"""A link that leads nowhere is found; a link that works, or is only shown as code, is not."""

from pathlib import Path

import pytest

from tools.check_links import check_links, links, slug_of

GUIDE = """\
# A guide
## What it *does*: `run()`
## Twice
## Twice
<a id="by-hand"></a>
```md
## Not a heading
[not a link](nowhere.md)
```
"""


def findings(root: Path, readme: str) -> list[str]:
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs" / "guide.md").write_text(GUIDE)
    (root / "docs" / "README.md").write_text("# Index\n")
    (root / "code.py").write_text("one = 1\ntwo = 2\n")
    (root / "README.md").write_text(f"# Top\n\n{readme}\n")
    return [str(finding) for finding in check_links(root)]


@pytest.mark.parametrize(
    "readme",
    [
        "[file](docs/guide.md)",
        "[directory](docs) and [again](docs/)",
        "[heading](docs/guide.md#what-it-does-run)",
        "[repeated heading](docs/guide.md#twice-1)",
        "[anchor by hand](docs/guide.md#by-hand)",
        "[heading of a directory](docs#index)",
        "[here](#top)",
        "[line](code.py#L2) and [lines](code.py#L1-L2)",
        "[from the top](/docs/guide.md)",
        '![picture](code.py "with a title")',
        "[elsewhere](https://example.invalid/nowhere) <mailto:a@example.invalid>",
        "`[code](nowhere.md)`",
        "[reference][guide]\n\n[guide]: docs/guide.md",
        '<img src="code.py" alt="">',
    ],
)
def test_a_link_that_leads_somewhere_is_accepted(tmp_path: Path, readme: str) -> None:
    assert findings(tmp_path, readme) == []


@pytest.mark.parametrize(
    ("readme", "message"),
    [
        ("[gone](docs/gone.md)", "README.md:3: docs/gone.md: there is no such file"),
        ("[a](code.py) [b](gone.py)", "README.md:3: gone.py: there is no such file"),
        ("[x](docs/guide.md#never)", "README.md:3: docs/guide.md#never: there is no such anchor"),
        (
            "[x](docs/guide.md#twice-2)",
            "README.md:3: docs/guide.md#twice-2: there is no such anchor",
        ),
        (
            "[x](docs/guide.md#not-a-heading)",
            "README.md:3: docs/guide.md#not-a-heading: there is no such anchor",
        ),
        ("[x](#below)", "README.md:3: #below: there is no such anchor"),
        ("[x](code.py#L3)", "README.md:3: code.py#L3: there is no such anchor"),
        ("[x](code.py#two)", "README.md:3: code.py#two: there is no such anchor"),
        ("[x](../outside.md)", "README.md:3: ../outside.md leaves the repository"),
        ("[x][y]\n\n[y]: gone.md", "README.md:5: gone.md: there is no such file"),
        ('<a href="gone.md">x</a>', "README.md:3: gone.md: there is no such file"),
        ("[x](docs/Guide.md)", "README.md:3: docs/Guide.md: there is no such file"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, readme: str, message: str) -> None:
    (tmp_path / "outside.md").touch()
    root = tmp_path / "checkout"
    root.mkdir()

    assert findings(root, readme) == [message]


def test_a_fence_ends_only_with_its_own_mark() -> None:
    text = "````\n```\n[a](b)\n````\n[c](d)\n~~~\n[e](f)\n```\n~~~\n[g](h)\n"

    assert list(links(text)) == [(5, "d"), (10, "h")]


def test_headings_get_the_anchor_that_a_forge_gives_them() -> None:
    assert slug_of("D1. A child's grant (never wider)") == "d1-a-childs-grant-never-wider"
    assert slug_of("`caracal up` & [friends](x.md)") == "caracal-up--friends"
