"""Fabric: the API of Fabric 1 (``fabric.api``) and that of Fabric 2 and 3 (``Connection``, ``task``, ..), on one engine.

Nothing of either is imported before it is asked for.
"""

import sys
import types

_HOMES = {
    "Connection": "connection",
    "Config": "config",
    "Result": "runners",
    "Remote": "runners",
    "RemoteShell": "runners",
    "Group": "group",
    "SerialGroup": "group",
    "ThreadingGroup": "group",
    "GroupResult": "group",
    "GroupException": "exceptions",
    "NothingToDo": "exceptions",
    "task": "_invoke",
    "Task": "_invoke",
    "Call": "_invoke",
    "Collection": "_invoke",
    "Executor": "executor",
    "__version__": "version",
    "__version_info__": "version",
}

__all__ = [name for name in _HOMES if not name.startswith("_")]


class _Package(types.ModuleType):
    """What imports a name's module when the name is first asked for: ``__getattr__`` of modules is there from Python 3.7 on."""

    def __getattr__(self, name):
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError("module 'fabric' has no attribute %r" % name)
        import importlib

        value = getattr(importlib.import_module("fabric." + home), name)
        setattr(self, name, value)
        return value

    def __dir__(self):
        return sorted(set(list(self.__dict__) + list(_HOMES)))


sys.modules[__name__].__class__ = _Package
