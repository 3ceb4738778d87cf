"""The one engine that a process talks to: given by ``fab``, or started at the first use (``python deploy.py``)."""

import os
import socket
import sys
import threading

from . import _wire
from ._wire import Closed, EngineError

#: The directory of this package.
HERE = os.path.dirname(os.path.abspath(__file__))


def build_id():
    """What tells one version of this package from another: the engine has the same of the one that it brings along."""
    import hashlib

    digest = hashlib.sha256()
    root = os.path.dirname(HERE)
    for path in sorted(_files(root)):
        with open(os.path.join(root, path), "rb") as file:
            content = file.read()
        digest.update(path.encode("utf-8") + b"\0" + str(len(content)).encode("ascii") + b"\0" + content)
    return digest.hexdigest()[:16]


def _files(root):
    for top in ("fabric", "fabric2"):
        for folder, dirs, names in os.walk(os.path.join(root, top)):
            dirs[:] = [name for name in dirs if name not in ("__pycache__", "_engine", "_standins")]
            for name in names:
                if name.endswith((".py", ".pyi", ".typed")):
                    yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")


class Engine(object):
    """Who does the work. ``channel`` is opened when it is first needed."""

    def __init__(self):
        self.channel = None
        #: Whether ``fab`` started this process, prints what hosts say, and asks.
        self.within_fab = False
        #: The call of a task that the engine made, and the thread's own where it has one.
        self.current = None
        self.host = None
        self.of_host = {}
        self.dry_run = False
        #: Whether the child of the fork that comes has an end of its own.
        self.forking = False
        self._opening = threading.Lock()
        self._process = None

    def open(self):
        """The channel with the engine, which is started unless it runs."""
        channel = self.channel
        if channel is not None and channel.pid == os.getpid() and channel._why is None:
            return channel
        with self._opening:
            channel = self.channel
            if channel is not None and channel.pid == os.getpid() and channel._why is None:
                return channel
            self.forget()
            self.channel = self._start()
            return self.channel

    def forget(self):
        """A child has its parent's end: it is not ours."""
        channel, self.channel = self.channel, None
        self._process = None
        if channel is not None:
            if channel.pid != os.getpid():
                self.within_fab = False
                self.current = None
            try:
                channel.sock.close()
            except OSError:
                pass

    def use(self, sock, within_fab):
        """Takes this end of a socket pair as the engine's."""
        self.channel = _wire.Channel(sock, on_event=_told)
        self.within_fab = within_fab
        return self.channel

    def call(self, verb, header=None, raw=b"", on_data=None, on_call=None, fds=()):
        """Asks the engine."""
        channel = self.open()
        if self.within_fab:
            flush()
            if self.current is not None:
                header = dict(header or {})
                header.setdefault("in", self.current)
        try:
            return channel.call(verb, header, raw, on_data, on_call or _asked, fds)
        except Closed as error:
            if self.within_fab:
                raise EngineGone("fab has ended (%s): what it had begun on hosts may still run" % error)
            raise EngineGone("the engine has ended (%s): what it had begun on hosts may still run; the next call "
                             "starts a new one" % error)

    def _start(self):
        path = find_fab()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        fd = theirs.fileno()
        try:
            if hasattr(os, "posix_spawn"):
                # Its end is its standard input.
                actions = [(os.POSIX_SPAWN_DUP2, fd, 0)]
                self._process = os.posix_spawn(path, [path, "--engine"], os.environ, file_actions=actions)
            else:
                import subprocess

                self._process = subprocess.Popen([path, "--engine"], stdin=fd).pid
        except OSError as error:
            ours.close()
            raise EngineGone("%s, which does the work, could not be started: %s" % (path, error))
        finally:
            theirs.close()
        channel = _wire.Channel(ours, on_event=_told)
        try:
            hello = channel.handshake(build_id())
        except (Closed, ValueError) as error:
            ours.close()
            raise EngineGone(
                "%s is not a fab that can do the work: %s. FABRIC_FAB names another one" % (path, error)
            )
        if hello.get("protocol") != _wire.VERSION or hello.get("build") not in (None, "", build_id()):
            ours.close()
            raise EngineGone(
                "%s and the package in %s are of different versions (build %s and %s): install them together, or set "
                "FABRIC_FAB" % (path, HERE, hello.get("build"), build_id())
            )
        _at_exit(self)
        return channel

    def end(self):
        """Says goodbye; the engine ends what runs and goes."""
        channel = self.channel
        if channel is None or self.within_fab or channel.pid != os.getpid():
            return
        self.channel = None
        try:
            channel.send(_wire.BYE, {})
        except Closed:
            pass
        channel.close()
        if self._process is not None:
            import time

            for _ in range(20):
                try:
                    if os.waitpid(self._process, os.WNOHANG)[0]:
                        break
                except OSError:
                    # Somebody else has waited for it.
                    break
                time.sleep(0.005)
            self._process = None


class EngineGone(RuntimeError):
    """The engine can't be started, or has ended."""


def find_fab():
    """The program that does the work."""
    tried = []
    named = os.environ.get("FABRIC_FAB")
    if named:
        return named
    beside = [
        os.path.join(HERE, "_engine", "fab"),
        os.path.join(os.path.dirname(os.path.abspath(sys.executable or "python")), "fab"),
    ]
    on_path = [os.path.join(place, "fab") for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if place]
    for path in beside + on_path:
        if os.path.isfile(path) and os.access(path, os.X_OK) and not _is_script(path):
            return path
        tried.append(path)
    raise EngineGone(
        "the program fab, which does the work, is nowhere: it belongs beside this package (%s) or on PATH; FABRIC_FAB "
        "names it" % beside[0]
    )


def _is_script(path):
    """Whether this is a `fab` of another Fabric."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True


def flush():
    """What this side has printed comes before what the engine prints."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def _told(event):
    """What the engine says by itself."""
    text = event.get("message")
    if text:
        sys.stderr.write("Warning: %s\n" % text)


def _asked(frame):
    """What the engine asks while it does something for us."""
    verb = frame.header.get("verb")
    if verb != "prompt":
        raise EngineError({"kind": "usage", "message": "unknown request %r" % verb})
    return answer(frame.header)


def answer(question):
    """Asks a person."""
    from .state import env

    message = question.get("message", "").rstrip() + " "
    if env.get("abort_on_prompts") or env.get("parallel"):
        raise EngineError({"kind": "refused", "message": "needed to ask for %r, but abort_on_prompts is set" % message})
    try:
        if question.get("secret"):
            import getpass

            return {"answer": getpass.getpass(message)}
        return {"answer": input(message)}
    except EOFError:
        raise EngineError({"kind": "cancelled", "message": "no answer to %r" % message})


_registered = False


def _at_exit(one):
    global _registered
    if not _registered:
        import atexit

        atexit.register(lambda: engine.end())
        _registered = True


#: The engine of this process.
engine = Engine()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: None if engine.forking or engine.channel is None else engine.forget())
