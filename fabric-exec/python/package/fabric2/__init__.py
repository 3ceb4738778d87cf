"""The name that Fabric 2 has beside Fabric 1: the same package."""

import importlib
import sys

import fabric

for _name in ("auth", "config", "connection", "exceptions", "executor", "group", "main", "runners", "tasks", "transfer", "tunnels", "util"):
    sys.modules["fabric2." + _name] = importlib.import_module("fabric." + _name)
    globals()[_name] = sys.modules["fabric2." + _name]
for _name in fabric.__all__:
    globals()[_name] = getattr(fabric, _name)
