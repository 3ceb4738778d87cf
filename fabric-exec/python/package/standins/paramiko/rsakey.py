"""A part of what takes the place of Paramiko."""

from paramiko import RSAKey  # noqa: F401
