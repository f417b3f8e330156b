"""The names that the published packages offer, and the methods of the SDK's client."""

import importlib
import json
import sys

PACKAGES = ("", ".advanced", "_oauth", "_identity", "_verify", "_revocation", "_asgi", "_fastmcp")

offered = {}
for package in PACKAGES:
    module = importlib.import_module(f"caracalai{package}")
    offered[module.__name__] = sorted(
        name for name in module.__all__ if callable(getattr(module, name)) and name[0].islower()
    )
client = importlib.import_module("caracalai").Caracal
offered["Caracal"] = sorted(
    name for name in dir(client) if not name.startswith("_") and callable(getattr(client, name))
)
sys.stdout.write(json.dumps(offered))
