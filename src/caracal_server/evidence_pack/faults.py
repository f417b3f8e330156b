"""Why a pack can not be made or does not verify."""


class PackFault(Exception):
    """The message names the file, and what is wrong with it."""
