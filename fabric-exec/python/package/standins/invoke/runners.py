"""A part of what takes the place of Invoke."""

from fabric._invoke import Failure, Promise, Result, UnexpectedExit  # noqa: F401
