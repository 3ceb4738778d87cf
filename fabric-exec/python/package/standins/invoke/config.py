"""A part of what takes the place of Invoke."""

from fabric._invoke import Config, DataProxy, merge_dicts  # noqa: F401
