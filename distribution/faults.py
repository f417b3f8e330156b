"""What keeps an artifact from being built."""


class CannotBuild(Exception):
    """Something is missing, or is not what a lock says; the message says what, and what would help."""
