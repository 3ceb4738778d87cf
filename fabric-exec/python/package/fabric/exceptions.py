"""What can go wrong.

Where Paramiko or Invoke is loaded, an exception is also one of theirs, so that ``except`` finds it.
"""

import sys


class NetworkError(Exception):
    """A host could not be reached (Fabric 1). ``wrapped`` is what happened."""

    def __init__(self, message=None, wrapped=None):
        self.message = message
        self.wrapped = wrapped
        super(NetworkError, self).__init__(message)

    def __str__(self):
        return self.message or ""

    def __repr__(self):
        return "%s(%s) => %r" % (self.__class__.__name__, self.message, self.wrapped)


class CommandTimeout(Exception):
    """A command took longer than it was given (Fabric 1). ``timeout`` is in seconds."""

    def __init__(self, timeout):
        self.timeout = timeout
        self.message = "Command failed to finish in %s seconds" % timeout
        super(CommandTimeout, self).__init__(self.message)

    def __reduce__(self):
        return (type(self), (self.timeout,))


class NothingToDo(Exception):
    """A command after ``--`` without a host (Fabric 3)."""


class GroupException(Exception):
    """A group's method failed on at least one host. ``result`` has what came of all (Fabric 3)."""

    def __init__(self, result):
        self.result = result
        super(GroupException, self).__init__(result)


class InvalidV1Env(Exception):
    """An ``env`` of Fabric 1 that gives no connection (Fabric 3)."""


_mixed = {}

_HOMES = {
    "AuthenticationException": ("paramiko.ssh_exception", "paramiko"),
    "SSHException": ("paramiko.ssh_exception", "paramiko"),
    "BadHostKeyException": ("paramiko.ssh_exception", "paramiko"),
    "NoValidConnectionsError": ("paramiko.ssh_exception", "paramiko"),
    "PasswordRequiredException": ("paramiko.ssh_exception", "paramiko"),
    "UnexpectedExit": ("invoke.exceptions", "invoke"),
    "CommandTimedOut": ("invoke.exceptions", "invoke"),
    "AuthFailure": ("invoke.exceptions", "invoke"),
    "Failure": ("invoke.exceptions", "invoke"),
    "Exit": ("invoke.exceptions", "invoke"),
}


def _loaded(name):
    """The class of this name of Paramiko or Invoke, if that is loaded."""
    for home in _HOMES.get(name, ()):
        module = sys.modules.get(home)
        found = getattr(module, name, None)
        if isinstance(found, type):
            return found
    return None


def also(ours, *names):
    """An error of ours that is also each of these, where they are loaded."""
    others = [found for found in (_loaded(name) for name in names) if found is not None]
    others = [found for found in others if not issubclass(type(ours), found)]
    if not others:
        return ours
    key = (type(ours), tuple(others))
    if key not in _mixed:
        try:
            _mixed[key] = type(type(ours).__name__, (type(ours),) + tuple(others), {"__module__": type(ours).__module__})
        except TypeError:
            # Layouts that don't go together.
            return ours
    try:
        ours.__class__ = _mixed[key]
    except TypeError:
        pass
    return ours
