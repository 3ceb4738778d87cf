"""A part of what takes the place of Paramiko."""

from paramiko import Ed25519Key  # noqa: F401
