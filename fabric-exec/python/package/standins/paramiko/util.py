"""A part of what takes the place of Paramiko."""


def log_to_file(filename, level=10):
    """The engine has a log of its own: ``fab --log``."""
