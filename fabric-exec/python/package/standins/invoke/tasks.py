"""A part of what takes the place of Invoke."""

from fabric._invoke import Call, Task, call, task  # noqa: F401
