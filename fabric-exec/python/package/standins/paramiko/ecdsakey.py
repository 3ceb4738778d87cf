"""A part of what takes the place of Paramiko."""

from paramiko import ECDSAKey  # noqa: F401
