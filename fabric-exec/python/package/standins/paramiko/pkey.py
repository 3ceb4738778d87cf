"""A part of what takes the place of Paramiko."""

from paramiko import PKey  # noqa: F401
