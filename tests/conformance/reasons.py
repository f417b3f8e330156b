"""What the suite finds that is as it should be here."""

FAILING: dict[str, str] = {
    "server-stateless": "five of its checks want the protocol's own errors where the Gateway answers in its own form, "
    "before the server sees the message: 403 `operation_undeclared` for a method that it does not know (the check wants "
    "404 and -32601), and 400 `mcp_message_invalid` for a revision that it does not know (-32022) and for "
    "`resources/subscribe` and `resources/unsubscribe` without a URI (404 and -32601).",
}
EXTENSIONS = ("tasks-",)
"""Of these neither the server here nor the Gateway, which refuses `tasks/*`, has anything."""
