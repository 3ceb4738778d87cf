"""A part of what takes the place of Invoke."""

from fabric.main import Program  # noqa: F401
