"""Several hosts at once (Fabric 2 and 3)."""

from . import _engine
from ._invoke import Result, UnexpectedExit, _mixed, failure, run_options
from ._wire import EngineError
from .connection import Connection
from .exceptions import GroupException

engine = _engine.engine


class GroupResult(dict):
    """What came of a group's method, by connection: results, and exceptions."""

    def __init__(self, *args, **kwargs):
        super(GroupResult, self).__init__(*args, **kwargs)

    @property
    def failed(self):
        """Those of exceptions."""
        return {key: value for key, value in self.items() if isinstance(value, BaseException)}

    @property
    def succeeded(self):
        """Those of results."""
        return {key: value for key, value in self.items() if not isinstance(value, BaseException)}


class Group(list):
    """Connections with several hosts. ``SerialGroup`` goes over them in turn, ``ThreadingGroup`` works on all at the same time."""

    serial = None

    def __init__(self, *hosts, **kwargs):
        super(Group, self).__init__(Connection(host, **kwargs) for host in hosts)

    @classmethod
    def from_connections(cls, connections):
        group = cls()
        group.extend(connections)
        return group

    def _do(self, method, *args, **kwargs):
        raise NotImplementedError

    def run(self, *args, **kwargs):
        """Runs a command on each host: a ``GroupResult``, or ``GroupException`` where one failed."""
        return self._do("run", *args, **kwargs)

    def sudo(self, *args, **kwargs):
        """The same by ``sudo``."""
        return self._do("sudo", *args, **kwargs)

    def put(self, *args, **kwargs):
        """Puts a file on each host."""
        return self._do("put", *args, **kwargs)

    def get(self, *args, **kwargs):
        """Gets a file of each host, into ``{host}/`` unless ``local`` says where."""
        if len(args) < 2 and "local" not in kwargs:
            kwargs["local"] = "{host}/"
        return self._do("get", *args, **kwargs)

    def close(self):
        """Closes all connections."""
        for connection in self:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()


def _finished(results):
    if results.failed:
        raise GroupException(results)
    return results


class SerialGroup(Group):
    """Goes over its hosts in turn."""

    def _do(self, method, *args, **kwargs):
        results = GroupResult()
        for connection in self:
            try:
                results[connection] = getattr(connection, method)(*args, **kwargs)
            except Exception as error:
                results[connection] = error
        return _finished(results)


class ThreadingGroup(Group):
    """Works on all of its hosts at the same time. The engine does; no thread is started here."""

    def _do(self, method, *args, **kwargs):
        plain = all(type(connection) is Connection for connection in self)
        if method not in ("run", "sudo") or not plain or any(kwargs.get(name) for name in ("watchers", "in_stream", "asynchronous")):
            return self._in_turn_at_once(method, args, kwargs)
        return _finished(self._at_once(method, *args, **kwargs))

    def _at_once(self, verb, command, **kwargs):
        import sys

        from ._calls import write

        results = GroupResult()
        if not self:
            return results
        user, password = kwargs.pop("user", None), kwargs.pop("password", None)
        members, about = [], []
        for connection in self:
            options = run_options(connection.config, dict(kwargs), remote=True)
            header = connection._header({
                "command": str(command), "pty": bool(options["pty"]), "combine_stderr": False, "shell": False,
                "variables": {str(key): str(value) for key, value in (options["env"] or {}).items()},
                "hide": list(options["hidden"]) if engine.within_fab else ["stdout", "stderr"],
                "quiet": not engine.within_fab,
            })
            header["stream"] = []
            if options["timeout"] is not None:
                header["timeout"] = float(options["timeout"])
            if verb == "sudo":
                for name, value in (("user", user), ("password", password)):
                    value = value or connection.config["sudo"][name]
                    if value:
                        header[name] = str(value)
            members.append(header)
            about.append(options)
        frame = engine.call("group", {"what": verb, "members": members})
        at = 0
        for connection, options, said in zip(self, about, frame.header["results"]):
            fields = dict(command=str(command), shell=options["shell"], env=dict(options["env"] or {}), pty=bool(options["pty"]),
                          hide=options["hidden"], encoding=options["encoding"], connection=connection)
            if "error" in said:
                error = EngineError(said["error"])
                partial = Result(stdout=error.fields.get("stdout", ""), stderr=error.fields.get("stderr", ""), exited=-1, **fields)
                results[connection] = failure(error, partial, options)
                continue
            ok = said["ok"]
            raw = frame.raw[at : at + ok["size"]]
            at += ok["size"]
            encoding = options["encoding"] or "utf-8"
            result = Result(stdout=raw[: ok["stdout"]].decode(encoding, "replace"),
                            stderr=raw[ok["stdout"] :].decode(encoding, "replace"),
                            exited=-1 if ok["exit"] is None else ok["exit"], **fields)
            for name in ("stdout", "stderr"):
                stream = options["out_stream" if name == "stdout" else "err_stream"]
                if stream is not None or (name not in options["hidden"] and not engine.within_fab):
                    write(stream if stream is not None else getattr(sys, name), getattr(result, name))
            if not result.ok and not options["warn"]:
                results[connection] = _mixed(UnexpectedExit(result), "UnexpectedExit")
            else:
                results[connection] = result
        return results

    def _in_turn_at_once(self, method, args, kwargs):
        """What has to be done by the thread that asks, or differs between hosts: threads, as Fabric 3 has them."""
        import threading

        results, lock = GroupResult(), threading.Lock()
        found = {}

        def work(number, connection):
            try:
                value = getattr(connection, method)(*args, **kwargs)
            except BaseException as error:
                value = error
            with lock:
                found[number] = value

        threads = [threading.Thread(target=work, args=pair) for pair in enumerate(self)]
        for thread in threads:
            thread.daemon = True
            thread.start()
        for thread in threads:
            thread.join()
        for number, connection in enumerate(self):
            results[connection] = found[number]
        return _finished(results)
