"""The file that says what is shipped where: TOML or YAML, and secrets only by reference."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import yaml

from caracal.tokens.secret import Secret
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.marked_yaml import YamlFaulty, YamlUnreadable, read_yaml
from caracal_server.cli.zone_references import MAX_SECRET_BYTES, FileUnreadable, read_bounded
from caracal_server.shipping.config import SecretReference, ShippingConfig

MAX_BYTES: Final = 256 * 1024
_PLACE = re.compile(r"^(?P<what>.*?) - (?:at|in) `(?P<key>key in )?\$\.?(?P<path>.*)`$", re.DOTALL)


def read_shipping_file(file: Path) -> ShippingConfig:
    """Read the configuration.

    Raises:
        CommandFailed: it can not be read, or a field will not do, which is named.
    """
    try:
        text = read_bounded(file, MAX_BYTES).decode("utf-8-sig")
        data = _toml(text) if file.suffix == ".toml" else _yaml(text)
        return msgspec.convert(data, ShippingConfig)
    except FileUnreadable as fault:
        why = str(fault)
    except UnicodeDecodeError:
        why = "is not UTF-8 text"
    except (YamlUnreadable, YamlFaulty, tomllib.TOMLDecodeError) as fault:
        why = f"can not be read: {fault}"
    except msgspec.ValidationError as fault:
        why = f"will not do: {_placed(str(fault))}"
    raise CommandFailed(ExitCode.USAGE, f"{file} {why}", "docs/shipping.md has one for each sink")


def resolve(reference: SecretReference, directory: Path, environment: Mapping[str, str]) -> Secret:
    """Fetch a secret from where the reference says. Raises `ValueError`, without the secret."""
    if reference.env is not None:
        found = environment.get(reference.env)
        if not found:
            raise ValueError(f"the variable {reference.env} is not set")
        return Secret(found)
    name = reference.file or ""
    try:
        text = read_bounded(directory / name, MAX_SECRET_BYTES).decode("utf-8").strip()
    except FileUnreadable as fault:
        raise ValueError(f"{name} {fault}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8 text") from None
    if not text:
        raise ValueError(f"{name} is empty")
    return Secret(text)


def _toml(text: str) -> object:
    return tomllib.loads(text)


def _yaml(text: str) -> object:
    read_yaml(text)  # which is strict about what YAML allows, but leaves numbers aside
    return yaml.safe_load(text)


def _placed(message: str) -> str:
    matched = _PLACE.match(message)
    return message if matched is None else f"{matched['path'] or 'the file'}: {matched['what']}"
