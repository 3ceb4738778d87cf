"""What takes Invoke's place where that is not installed: as much of it as fabfiles use."""

from fabric._invoke import (  # noqa: F401
    AmbiguousEnvVar, AuthFailure, Call, Collection, CollectionNotFound, CommandTimedOut, Config, Context, Exit,
    FailingResponder, Failure, MockContext, ParseError, PlatformError, Promise, Responder, ResponseNotAccepted, Result,
    StreamWatcher, SubprocessPipeError, Task, ThreadException, UncastableEnvVar, UnexpectedExit, UnknownFileType,
    UnpicklableConfigMember, WatcherError, call, run, sudo, task,
)

__version__ = "2.2.1"
__version_info__ = (2, 2, 1)
