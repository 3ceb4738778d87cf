"""A part of what takes the place of Invoke."""

from fabric._invoke import Collection  # noqa: F401
