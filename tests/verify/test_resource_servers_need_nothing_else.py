import subprocess
import sys


def test_verifying_imports_no_service_and_no_framework():
    code = """
import sys
import caracal.verify, caracal.verify.asgi, caracal.verify.wsgi, caracal.verify.valkey_feed
import caracal.verify.caracal_stream, caracal.verify.sse_feed, caracal.verify.application_tokens
import caracal.verify.mcp
unwanted = {"caracal_server", "mcp", "fastmcp", "starlette", "uvicorn", "redis", "cedarpy", "sqlalchemy", "yaml"}
assert not unwanted & set(sys.modules), unwanted & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
