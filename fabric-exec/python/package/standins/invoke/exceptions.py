"""A part of what takes the place of Invoke."""

from fabric._invoke import AmbiguousEnvVar, AuthFailure, CollectionNotFound, CommandTimedOut, Exit, Failure, ParseError, PlatformError, ResponseNotAccepted, SubprocessPipeError, ThreadException, UncastableEnvVar, UnexpectedExit, UnknownFileType, UnpicklableConfigMember, WatcherError  # noqa: F401
