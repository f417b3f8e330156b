"""What the suite finds that is as it should be here."""

FAILING: dict[str, str] = {}
EXTENSIONS = ("tasks-",)
"""Of these neither the server here nor the Gateway, which refuses `tasks/*`, has anything."""
