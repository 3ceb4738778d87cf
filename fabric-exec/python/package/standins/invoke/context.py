"""A part of what takes the place of Invoke."""

from fabric._invoke import Context, MockContext  # noqa: F401
