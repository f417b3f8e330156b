from pathlib import Path


def _edit(root: Path, name: str, old: str, new: str) -> None:
    file = root / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def _pin_no_workflow(root: Path) -> None:
    name = "src/caracal_server/release/keyless.py"
    for policy in ("Identity(identity=builder.identity)", "OIDCBuildSignerURI(builder.identity)"):
        _edit(root, name, f"            (Reason.OTHER_WORKFLOW, {policy}),\n", "")
    _edit(
        root,
        name,
        "            (Reason.OTHER_WORKFLOW, OIDCBuildConfigURI(builder.identity)),\n",
        "",
    )


def _believe_any_signature(root: Path) -> None:
    _edit(
        root,
        "src/caracal_server/release/keyless.py",
        "        kind, payload = verifier.verify_dsse(Bundle.from_json(raw), _Pinned(builder))",
        "        kind, payload = PAYLOAD_TYPE, Bundle.from_json(raw)._inner.dsse_envelope.payload",
    )


def _allow_added_files(root: Path) -> None:
    _edit(
        root,
        "src/caracal_server/release/sums.py",
        "    return name in {SUMS, BUNDLE} or",
        "    return True or",
    )


def _forget_a_tampering(root: Path) -> None:
    name = "tests/release/test_tampered_releases_are_refused.py"
    _edit(root, name, "def test_an_old_release_replayed", "def untested_an_old_release_replayed")


def _install_anyway(root: Path) -> None:
    for _ in ("the verifier's exit code", "its verdict"):
        _edit(root, "distribution/install.sh", '|| fail "$unverified" 1', "|| true")


PLANTS = {
    "signatures_are_verified": _believe_any_signature,
    "tamperings_are_refused": (_pin_no_workflow, _allow_added_files, _forget_a_tampering),
    "the_installer_refuses": _install_anyway,
}
