"""``with`` blocks: settings, directories and output for a while (Fabric 1)."""

import os
import sys
from contextlib import contextmanager

from . import state
from .state import connections, env, output, win32  # noqa: F401

try:
    from contextlib import ExitStack
except ImportError:  # pragma: no cover
    ExitStack = None


def _set_output(groups, which):
    previous = {}
    groups = output.expand_aliases(groups)
    for group in groups:
        previous[group] = output[group]
        output[group] = which
    try:
        yield
    finally:
        output.update(previous)


@contextmanager
def show(*groups):
    """Shows these groups of output."""
    for _ in _set_output(groups, True):
        yield


@contextmanager
def hide(*groups):
    """Shows none of these groups of output; they are captured all the same."""
    for _ in _set_output(groups, False):
        yield


@contextmanager
def _setenv(variables):
    if callable(variables):
        variables = variables()
    clean_revert = variables.pop("clean_revert", False)
    previous, new = {}, []
    for key, value in variables.items():
        if key in env:
            previous[key] = env[key]
        else:
            new.append(key)
        env[key] = value
    try:
        yield
    finally:
        if clean_revert:
            for key, value in variables.items():
                # Only what is still as it was set is put back.
                if key in env and env[key] is value or env.get(key) == value:
                    if key in previous:
                        env[key] = previous[key]
                    else:
                        env.pop(key, None)
        else:
            env.update(previous)
            for key in new:
                env.pop(key, None)


@contextmanager
def settings(*args, **kwargs):
    """Context managers, and values of ``env``, for the time of the block."""
    managers = list(args)
    if kwargs:
        managers.append(_setenv(kwargs))
    with ExitStack() as stack:
        for manager in managers:
            stack.enter_context(manager)
        yield


def cd(path):
    """In this directory of the host; a relative one is below that of the block around it."""
    return _change_cwd("cwd", path)


def lcd(path):
    """The same on this machine, for ``local``, ``put`` and ``get``."""
    return _change_cwd("lcwd", path)


def _change_cwd(which, path):
    path = str(path)
    if not (path.startswith("/") or path.startswith("~")) and env.get(which):
        new = env.get(which).rstrip("/") + "/" + path if env.get(which) != "/" else "/" + path
    else:
        new = path
    return _setenv({which: new})


def path(path, behavior="append"):
    """With these directories in ``$PATH``: ``append``, ``prepend`` or ``replace``."""
    return _setenv({"path": path, "path_behavior": behavior})


def prefix(command):
    """This command before each command, which runs if it succeeds; nests."""
    return _setenv(lambda: {"command_prefixes": env.command_prefixes + [command]})


def shell_env(**kw):
    """Environment variables for commands."""
    return _setenv({"shell_env": kw})


def _quiet():
    return settings(hide("everything"), warn_only=True)


def quiet():
    """Shows nothing, and a failure is only in the result."""
    return _quiet()


def warn_only():
    """A failure is a warning."""
    return settings(warn_only=True)


@contextmanager
def char_buffered(pipe):
    """A terminal whose keys come one by one."""
    if win32 or not hasattr(pipe, "isatty") or not pipe.isatty():
        yield
        return
    import termios
    import tty

    old = termios.tcgetattr(pipe)
    tty.setcbreak(pipe)
    try:
        yield
    finally:
        termios.tcsetattr(pipe, termios.TCSADRAIN, old)


@contextmanager
def remote_tunnel(remote_port, local_port=None, local_host="localhost", remote_bind_address="127.0.0.1"):
    """A port of the host that leads to one of this machine, or of its neighbours."""
    from ._calls import tunnel

    if local_port is None:
        local_port = remote_port
    handle = tunnel(remote_bind_address, remote_port, local_host, local_port)
    try:
        yield
    finally:
        handle()


documented_contextmanager = contextmanager
_ = (os, sys, state)
