"""What the classic API asks of the engine."""

import io
import os
import sys

from . import _engine
from ._wire import EngineError
from .exceptions import CommandTimeout, NetworkError, also
from .state import _overlay, connections, env, output

engine = _engine.engine


class Prefixed(object):
    """Output as Fabric 1 shows it: each line with its host and stream."""

    def __init__(self, stream, prefix):
        self.stream, self.prefix, self.start, self.any, self.ends = stream, prefix, True, False, True
        self.decoder = None

    def feed(self, raw, last=False):
        import codecs

        if self.decoder is None:
            self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = self.decoder.decode(raw, last)
        if not text:
            return
        self.any = True
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        out = []
        for part in text.split("\n")[:-1]:
            out.append((self.prefix if self.start else "") + part + "\n")
            self.start = True
        rest = text.rsplit("\n", 1)[-1]
        if rest:
            out.append((self.prefix if self.start else "") + rest)
            self.start = False
        write(self.stream, "".join(out))

    def end(self):
        if self.any:
            if self.start and self.prefix:
                write(self.stream, self.prefix + "\n")
            elif not self.start:
                write(self.stream, "\n")


def write(stream, text):
    if not text:
        return
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    try:
        stream.flush()
    except (AttributeError, OSError, ValueError):
        pass


def failure(error, host=None):
    """The exception of this package for what the engine says."""
    kind, fields = error.kind, error.fields
    message = str(error)
    if kind == "timeout":
        return _of(CommandTimeout(_number(fields.get("after"))), error)
    if kind in ("connect", "auth", "hostkey"):
        wrapped = ConnectionError(message)
        if kind == "auth":
            wrapped = also(wrapped, "AuthenticationException")
        return _of(NetworkError(message, wrapped), error)
    if kind == "interrupted":
        return KeyboardInterrupt(message)
    if kind == "file":
        return _of(_OSError(message), error)
    return _of(RuntimeError(message), error)


class _OSError(OSError):
    """A file of the host."""


def _of(exception, error):
    """The engine finds its own error again, if this ends the task."""
    exception._fabric_error = error.fields.get("error")
    exception.__suppress_context__ = True
    return exception


def _number(value):
    return int(value) if isinstance(value, float) and value == int(value) else value


def needs_host():
    """Asks for a host where ``env`` has none."""
    if env.get("host_string"):
        return env.host_string
    from .network import _ask_for_host, normalize

    if not engine.within_fab:
        _ask_for_host()
        return env.host_string
    # fab asks, or says that there is no terminal to ask on.
    try:
        host = engine.call("info", {"env": _overlay()}).header["host_string"]
    except EngineError as error:
        problem = failure(error)
        problem._fabric_quiet = True
        raise problem
    env.host_string = host
    env.user, env.host, env.port = normalize(host)
    return host


def ask(verb, header, raw=b"", on_data=None, local=False):
    header = dict(header)
    header["env"] = _overlay()
    if not local:
        host = needs_host()
        connections._note(host)
        if host != engine.host or not engine.within_fab:
            header["on"] = host
        else:
            # What the engine resolved by itself is not an answer to send back.
            for name in ("user", "port"):
                if env.get(name) == engine.of_host.get(name):
                    header["env"].pop(name, None)
    try:
        return engine.call(verb, header, raw, on_data)
    except EngineError as error:
        raise failure(error)


def execute(verb, command, header, stdout=None, stderr=None, shown=None, capture=False):
    """Runs a command: the answer's header, and what it printed."""
    local = verb == "local"
    host = "localhost" if local else env.host_string
    header = dict(header, command=command)
    if not local and "stdin" not in header and typed():
        header["inherit"] = True
    streams = {}
    if engine.within_fab and stdout is None and stderr is None:
        header["hide"] = [name for name in ("stdout", "stderr") if not output[name] or capture]
        header["quiet"] = not output.running
    else:
        header["hide"], header["quiet"] = ["stdout", "stderr"], True
        header["stream"] = []
        for name, given, label in (("stdout", stdout, "out"), ("stderr", stderr, "err")):
            if output[name] and not capture:
                prefix = "[%s] %s: " % (host, label) if env.output_prefix else ""
                if local:
                    prefix = ""
                streams[name] = Prefixed(given or getattr(sys, name), prefix)
                header["stream"].append(name)

    def on_data(number, frame):
        stream = streams.get(frame.header.get("stream"))
        if stream is not None:
            stream.feed(frame.raw)

    frame = ask(verb, header, on_data=on_data, local=local)
    for stream in streams.values():
        stream.feed(b"", True)
        if not local:
            stream.end()
    size = frame.header.get("stdout", 0)
    return frame.header, frame.raw[:size], frame.raw[size:], any(stream.any for stream in streams.values())


def typed():
    """Whether a command may read what a person types meanwhile: in ``fab``, on a terminal, where hosts run one after another."""
    if not engine.within_fab or env.get("parallel"):
        return False
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):
        return False


def put(local, remote, header):
    raw = b""
    if hasattr(local, "read"):
        raw = _content(local)
        header["name"] = getattr(local, "name", None) if isinstance(getattr(local, "name", None), str) else None
        header["bytes"] = True
    else:
        header["local"] = os.path.join(os.getcwd(), local)
    header["remote"] = remote
    header["quiet"] = not (engine.within_fab and output.running)
    return ask("put", header, raw).header


def _content(file):
    """All of a file-like object, which stays where it is."""
    at = None
    try:
        at = file.tell()
        file.seek(0)
    except (AttributeError, OSError, io.UnsupportedOperation):
        pass
    content = file.read()
    if at is not None:
        file.seek(at)
    return content.encode("utf-8") if isinstance(content, str) else bytes(content)


def get(remote, local, header):
    header["remote"] = remote
    header["quiet"] = not (engine.within_fab and output.running)
    if hasattr(local, "write"):
        header["bytes"] = True
        frame = ask("get", header)
        try:
            local.seek(0)
        except (AttributeError, OSError, io.UnsupportedOperation):
            pass
        try:
            local.write(frame.raw)
        except TypeError:
            local.write(frame.raw.decode("utf-8"))
        return frame.header
    header["local"] = local
    return ask("get", header).header


def tunnel(bind, remote_port, local_host, local_port):
    frame = ask("forward_remote", {"bind": bind, "remote_port": int(remote_port), "host": local_host, "port": int(local_port)})
    number = frame.header["forward"]

    def close():
        engine.call("unforward", {"forward": number})

    return close
