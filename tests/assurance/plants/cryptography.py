from pathlib import Path


def _replace(root: Path, name: str, before: str, after: str) -> None:
    file = root / name
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


def _broken_digest(root: Path) -> None:
    (root / "src/caracal/evidence/short.py").write_text(
        "import hashlib\n\n\ndef short(data: bytes) -> bytes:\n    return hashlib.md5(data).digest()\n"
    )


def _weak_mac(root: Path) -> None:
    (root / "src/caracal_server/sts/weak.py").write_text(
        'import hmac\n\n\ndef mac(key: bytes) -> bytes:\n    return hmac.digest(key, b"", "sha1")\n'
    )


def _unused_algorithm(root: Path) -> None:
    file = root / "assurance/algorithms.toml"
    file.write_text(
        file.read_text()
        + '\n[[algorithm]]\nname = "X448"\nstandard = "RFC 7748"\npurpose = "nothing"\n'
        'library = "cryptography"\napproved = "no"\nsymbols = ["x448:X448PrivateKey"]\n'
    )


def _used_elsewhere_too(root: Path) -> None:
    elsewhere = root / "src/caracal_server/elsewhere"
    elsewhere.mkdir()
    (elsewhere / "digests.py").write_text("from hashlib import sha256\n")


def _other_openssl(root: Path) -> None:
    _replace(root, "docs/security/regulated.md", "brings OpenSSL ", "brings OpenSSL 9")


def _validated(root: Path) -> None:
    file = root / "docs/security/regulated.md"
    file.write_text(file.read_text() + "\nThe Gateway is FIPS 140-3 validated.\n")


def _elsewhere(root: Path) -> None:
    file = root / "README.md"
    file.write_text(file.read_text() + "\nFIPS ready.\n")


def _in_the_chart(root: Path) -> None:
    (root / "deploy/note.yaml").write_text("# runs in fips mode\n")


def _new_sealed_column(root: Path) -> None:
    _replace(
        root,
        "src/caracal_server/adapters/sql/tables.py",
        'Column("sealed_credential", LargeBinary),',
        'Column("sealed_credential", LargeBinary),\n    Column("sealed_note", LargeBinary),',
    )


def _column_that_is_gone(root: Path) -> None:
    _replace(
        root,
        "src/caracal_server/adapters/sql/tables.py",
        'Column("secret_hash", Text),',
        'Column("secret", Text),',
    )


PLANTS = {
    "code_keeps_to_the_policy": (_broken_digest, _weak_mac, _unused_algorithm),
    "list_is_current": (_used_elsewhere_too, _other_openssl),
    "nothing_is_claimed_of_fips": (_validated, _elsewhere, _in_the_chart),
    "sealed_columns_are_the_codes": (_new_sealed_column, _column_that_is_gone),
}
