"""CycloneDX 1.6 bills of materials, the same bytes for the same artifact."""

import uuid
from collections.abc import Sequence

from caracal_server.release.contents import Component
from distribution.described import Subject

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_ROOT = "subject"


def render(subject: Subject, components: Sequence[Component]) -> dict[str, object]:
    """Describe `subject` by its components, in the order given."""
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sha256:{subject.sha256}')}",
        "version": 1,
        "metadata": {
            "timestamp": subject.made_at,
            "tools": {"components": [{"type": "application", "name": "caracal distribution"}]},
            "component": {
                "type": subject.cyclonedx_type,
                "bom-ref": _ROOT,
                "name": subject.name,
                "version": subject.version,
                "hashes": [{"alg": "SHA-256", "content": subject.sha256}],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [_component(one) for one in components],
        "dependencies": [
            {"ref": _ROOT, "dependsOn": [one.purl for one in components]},
            *({"ref": one.purl} for one in components),
        ],
        "compositions": [{"aggregate": "complete", "assemblies": [_ROOT]}],
    }


def _component(one: Component) -> dict[str, object]:
    found: dict[str, object] = {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "purl": one.purl,
    }
    if one.licence:
        found["licenses"] = [{"expression": one.licence}]
    return found
