"""A part of what takes the place of Paramiko."""

from fabric._invoke import AuthenticationException, NoValidConnectionsError, PasswordRequiredException, SSHException  # noqa: F401


class BadHostKeyException(SSHException):
    pass


class BadAuthenticationType(AuthenticationException):
    pass


class ChannelException(SSHException):
    pass


class ProxyCommandFailure(SSHException):
    pass


class ConfigParseError(SSHException):
    pass
