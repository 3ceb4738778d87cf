"""What takes Paramiko's place where that is not installed: keys, exceptions and policies, as far as fabfiles name them."""

import os

from fabric._invoke import AuthenticationException, NoValidConnectionsError, PasswordRequiredException, SSHException  # noqa: F401

from . import ssh_exception, util  # noqa: F401
from .ssh_exception import BadHostKeyException, ChannelException, ProxyCommandFailure  # noqa: F401

__version__ = "3.5.0"


class PKey(object):
    """A private key: a file, or its text. The engine reads it."""

    def __init__(self, filename=None, password=None, file_obj=None, msg=None, data=None):
        self._fabric_path = os.path.abspath(os.path.expanduser(str(filename))) if filename is not None else None
        self._fabric_text = file_obj.read() if file_obj is not None else None
        self._fabric_password = password
        if filename is not None and not os.path.isfile(self._fabric_path):
            raise FileNotFoundError(2, "No such file or directory", str(filename))

    @classmethod
    def from_private_key_file(cls, filename, password=None):
        return cls(filename=filename, password=password)

    @classmethod
    def from_private_key(cls, file_obj, password=None):
        return cls(file_obj=file_obj, password=password)


class RSAKey(PKey):
    pass


class DSSKey(PKey):
    pass


class ECDSAKey(PKey):
    pass


class Ed25519Key(PKey):
    pass


class MissingHostKeyPolicy(object):
    def missing_host_key(self, client, hostname, key):
        pass


class AutoAddPolicy(MissingHostKeyPolicy):
    pass


class WarningPolicy(MissingHostKeyPolicy):
    pass


class RejectPolicy(MissingHostKeyPolicy):
    pass


def _not_here(name, instead):
    class Missing(object):
        def __init__(self, *args, **kwargs):
            raise NotImplementedError("paramiko.%s: this is not Paramiko, which is not installed; %s, or pip install paramiko" % (name, instead))

    Missing.__name__ = name
    return Missing


SSHClient = _not_here("SSHClient", "fabric.Connection reaches hosts")
Transport = _not_here("Transport", "fabric.Connection reaches hosts")
SFTPClient = _not_here("SFTPClient", "Connection.sftp() has files")
Agent = _not_here("Agent", "the engine asks ssh-agent")
SSHConfig = _not_here("SSHConfig", "the engine reads ssh_config")
ProxyCommand = _not_here("ProxyCommand", "Connection(gateway=..) takes a command")
