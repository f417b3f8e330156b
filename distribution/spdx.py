"""SPDX 2.3 bills of materials, the same bytes for the same artifact."""

from collections.abc import Sequence

from caracal_server.release.contents import Component
from distribution.described import Subject

_DOCUMENT = "SPDXRef-DOCUMENT"
_ROOT = "SPDXRef-subject"
_UNSAID = "NOASSERTION"


def render(subject: Subject, components: Sequence[Component]) -> dict[str, object]:
    """Describe `subject` by its components, in the order given."""
    link = "CONTAINS" if subject.contains else "DEPENDS_ON"
    packages = [_package(number, one) for number, one in enumerate(components, 1)]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": subject.name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{subject.name}-{subject.sha256}",
        "creationInfo": {
            "created": subject.made_at,
            "creators": ["Tool: caracal-distribution"],
        },
        "packages": [_root(subject), *packages],
        "relationships": [
            _relation(_DOCUMENT, "DESCRIBES", _ROOT),
            *(_relation(_ROOT, link, str(package["SPDXID"])) for package in packages),
        ],
    }


def _root(subject: Subject) -> dict[str, object]:
    return {
        "SPDXID": _ROOT,
        "name": subject.name,
        "versionInfo": subject.version,
        "downloadLocation": _UNSAID,
        "filesAnalyzed": False,
        "primaryPackagePurpose": subject.spdx_purpose,
        "checksums": [{"algorithm": "SHA256", "checksumValue": subject.sha256}],
        "licenseConcluded": _UNSAID,
        "licenseDeclared": "Apache-2.0",
        "copyrightText": _UNSAID,
    }


def _package(number: int, one: Component) -> dict[str, object]:
    return {
        "SPDXID": f"SPDXRef-component-{number}",
        "name": one.name,
        "versionInfo": one.version,
        "downloadLocation": _UNSAID,
        "filesAnalyzed": False,
        "licenseConcluded": _UNSAID,
        "licenseDeclared": one.licence or _UNSAID,
        "copyrightText": _UNSAID,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": one.purl,
            }
        ],
    }


def _relation(one: str, kind: str, other: str) -> dict[str, object]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
