"""A part of what takes the place of Paramiko."""

from paramiko import AutoAddPolicy, MissingHostKeyPolicy, RejectPolicy, WarningPolicy, SSHClient  # noqa: F401
