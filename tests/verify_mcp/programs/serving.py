"""Serve what a block of docs/verify.md says, with one tool more that tells what the server was told."""

import sys
from pathlib import Path

import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token

names = {}
exec(compile(Path(sys.argv[1]).read_text(), "docs/verify.md", "exec"), names)
server, caller, Context = names["server"], names["caller"], names["Context"]


@server.tool()
def told(context: Context) -> dict:
    token = get_access_token()
    return {
        "application": caller(context).application_id,
        "token": {**token.model_dump(), "id": caller(context).mandate.id},
        "header": context.request_context.request.headers["authorization"],
    }


uvicorn.run(names["app"], fd=int(sys.argv[2]), log_level="warning")
