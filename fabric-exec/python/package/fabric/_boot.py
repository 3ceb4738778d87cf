"""The Python side of ``fab``: loads a fabfile, says what is in it, and runs its tasks when ``fab`` asks."""

import json
import os
import sys

from . import _engine
from ._wire import CANCEL, REPLY, Closed, EngineError  # noqa: F401

engine = _engine.engine
loaded = None
#: Whether tasks have run, and whether one has failed.
called, failed = False, False


def main():
    """With the descriptor of the socket as the last argument of the program."""
    import socket

    fd, build = int(sys.argv[2]), sys.argv[3]
    try:
        os.set_inheritable(fd, False)
        channel = engine.use(socket.socket(fileno=fd), True)
        channel.handshake(build)
    except (Closed, OSError, ValueError):
        sys.exit(2)
    sys.path[:] = [place for place in sys.path if place]
    try:
        channel.serve(on_call)
        _say_goodbye()
    finally:
        _engine.flush()
        _reap(0)


def _say_goodbye():
    """The last lines of Fabric 1."""
    from .network import denormalize
    from .state import connections, output

    if not called or loaded.modern or not output.status:
        return
    if not failed:
        print("\nDone.")
    for host in connections.keys():
        print("Disconnecting from %s ... done." % denormalize(host))


def on_call(frame):
    header = frame.header
    verb = header.get("verb")
    if verb == "load":
        return load(header)
    if verb == "task.call":
        return call(header)
    if verb == "role.hosts":
        return role_hosts(header)
    if verb == "fork":
        return fork(frame)
    raise EngineError({"kind": "usage", "message": "unknown request %r" % verb})


def load(header):
    global loaded
    from . import _load

    try:
        loaded = _load.Fabfile(header)
        return loaded.listing()
    except EngineError:
        raise
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else (0 if error.code is None else 1)
        if error.code is not None and not isinstance(error.code, int):
            sys.stderr.write("%s\n" % error.code)
        raise EngineError({"kind": "exit", "code": code, "message": "%s ended the program while it was loaded" % header["path"]})
    except KeyboardInterrupt:
        raise EngineError({"kind": "interrupted", "message": "interrupted"})
    except BaseException as error:
        raise EngineError(_load.why_not_loaded(error, header["path"]))
    finally:
        _engine.flush()


def role_hosts(header):
    from .state import env

    name = header["role"]
    if name not in env.roledefs:
        raise EngineError({"kind": "usage", "message": "The following specified roles do not exist:\n    %s" % name})
    try:
        value = env.roledefs[name]
        if isinstance(value, dict):
            value = value["hosts"]
        if callable(value):
            value = value()
        return {"hosts": [str(host).strip() for host in value]}
    except Exception as error:
        _print_error()
        raise EngineError({"kind": "usage", "message": "%s: %s" % (type(error).__name__, error)})
    finally:
        _engine.flush()


def _print_error():
    from .tasks import format_error

    _engine.flush()
    sys.stderr.write("".join(format_error(*sys.exc_info())))
    sys.stderr.flush()


_children = []


def fork(frame):
    """A process of its own for a host (``@parallel``)."""
    fd = frame.fds[0]
    _reap(os.WNOHANG)
    _engine.flush()
    from .tasks import fork as forked

    global called
    called = True
    pid = forked()
    if pid:
        os.close(fd)
        _children.append(pid)
        return {"pid": pid}
    code = 0
    try:
        from .state import connections, env
        from .tasks import _adopt

        del _children[:]
        env.parallel = env.linewise = True
        connections.clear()
        _adopt(fd)
        engine.channel.serve(on_call)
    except BaseException:
        code = 1
        _print_error()
    finally:
        _engine.flush()
        os._exit(code)


def _reap(how):
    for pid in list(_children):
        try:
            if os.waitpid(pid, how)[0]:
                _children.remove(pid)
        except OSError:
            _children.remove(pid)


def call(header):
    """Runs a task."""
    global called, failed
    called = True
    from .state import _changed, _OF_CALLS, _OF_TASKS, env

    before = dict(_changed(_OF_CALLS + _OF_TASKS))
    own = dict(env)
    outer, outer_host = engine.current, engine.host
    engine.current, engine.host = header["call"], header.get("host")
    engine.of_host = {"user": header.get("user"), "port": str(header.get("port") or env.port)}
    answer = {}
    try:
        try:
            value = loaded.run(header)
            answer["value"] = _plain(value)
        except SystemExit as error:
            answer["failed"] = _ended(error)
        except KeyboardInterrupt:
            answer["failed"] = {"kind": "interrupted", "message": "interrupted"}
        except BaseException as error:
            answer["failed"] = _raised(error)
    finally:
        engine.current, engine.host = outer, outer_host
        _engine.flush()
    failed = failed or "failed" in answer
    after = _changed(_OF_CALLS + _OF_TASKS)
    changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
    for name in before:
        if name not in after:
            changed[name] = env.get(name)
    shared = {}
    for name, value in env.items():
        if name and isinstance(name, str) and name not in own and name not in changed:
            plain = _plain(value, quiet=True)
            if plain is not None:
                shared[name] = plain
    answer["env"] = changed
    answer["shared"] = shared
    return answer


def _ended(error):
    message = getattr(error, "message", None)
    if message is not None:
        return {"kind": "abort", "message": str(message)}
    if isinstance(error.code, int) or error.code is None:
        return {"kind": "exit", "code": error.code or 0, "message": "exit status %d" % (error.code or 0)}
    return {"kind": "abort", "message": str(error.code)}


def _raised(error):
    from .exceptions import NetworkError

    number = getattr(error, "_fabric_error", None)
    failed = {"kind": "raised", "message": "%s: %s" % (type(error).__name__, error), "error": number}
    if isinstance(error, _engine.EngineGone):
        failed["message"] = str(error)
    elif isinstance(error, NetworkError) or getattr(error, "_fabric_quiet", False):
        failed["message"] = str(error)
    else:
        _print_error()
    if getattr(error, "exit_code", None) is not None:
        failed["code"] = error.exit_code
    return failed


def _plain(value, quiet=False):
    """A value as JSON has it, or ``None``."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return None if quiet else repr(value)
