"""Results of commands (Fabric 2 and 3)."""

from ._invoke import Promise, Result  # noqa: F401


class Remote(object):
    """In Fabric 3 what runs commands; here the engine does."""


class RemoteShell(Remote):
    """The same for shells."""
