"""A part of what takes the place of Invoke."""

from fabric._invoke import FailingResponder, Responder, StreamWatcher  # noqa: F401
