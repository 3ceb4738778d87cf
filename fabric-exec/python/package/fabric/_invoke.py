"""What Fabric 2 and 3 have of Invoke: configuration, contexts, results, watchers, tasks and collections."""

import copy
import inspect
import os
import re
import sys
from contextlib import contextmanager

from . import _engine
from ._wire import EngineError
from .exceptions import also

engine = _engine.engine


# -- exceptions -----------------------------------------------------------------------------------------------------


class CollectionNotFound(Exception):
    def __init__(self, name, start):
        self.name, self.start = name, start


class Failure(Exception):
    """A command failed. ``result`` has what came of it, ``reason`` why where that is an exception."""

    def __init__(self, result, reason=None):
        self.result = result
        self.reason = reason
        super(Failure, self).__init__(result, reason)

    def __reduce__(self):
        return (_rebuilt, (type(self).__name__, self.result, {"reason": self.reason}))

    def streams_for_display(self):
        already = " already printed"
        if "stdout" not in self.result.hide:
            stdout = already
        else:
            stdout = self.result.tail("stdout")
        if self.result.pty:
            stderr = " n/a (PTYs have no stderr)"
        elif "stderr" not in self.result.hide:
            stderr = already
        else:
            stderr = self.result.tail("stderr")
        return stdout, stderr

    def __repr__(self):
        return self._repr()

    def _repr(self, **kwargs):
        extra = "".join(" %s=%s" % pair for pair in sorted(kwargs.items()))
        return "<%s: cmd=%r%s>" % (type(self).__name__, self.result.command, extra)


class UnexpectedExit(Failure):
    """A command ended with a status other than 0."""

    _fabric_quiet = True

    def __str__(self):
        stdout, stderr = self.streams_for_display()
        return "Encountered a bad command exit code!\n\nCommand: %r\n\nExit code: %s\n\nStdout:%s\n\nStderr:%s\n" % (
            self.result.command, self.result.exited, stdout, stderr)

    def __repr__(self):
        return self._repr(exited=self.result.exited)


class CommandTimedOut(Failure):
    """A command took longer than ``timeout`` seconds."""

    def __init__(self, result, timeout):
        super(CommandTimedOut, self).__init__(result)
        self.timeout = timeout

    def __reduce__(self):
        return (_rebuilt, ("CommandTimedOut", self.result, {"timeout": self.timeout}))

    def __str__(self):
        stdout, stderr = self.streams_for_display()
        return "Command did not complete within %s seconds!\n\nCommand: %r\n\nStdout:%s\n\nStderr:%s\n" % (
            self.timeout, self.result.command, stdout, stderr)

    def __repr__(self):
        return self._repr(timeout=self.timeout)


class AuthFailure(Failure):
    """``sudo`` refused the password."""

    def __init__(self, result, prompt):
        super(AuthFailure, self).__init__(result)
        self.prompt = prompt

    def __reduce__(self):
        return (_rebuilt, ("AuthFailure", self.result, {"prompt": self.prompt}))

    def __str__(self):
        return "The password submitted to prompt %r was rejected." % self.prompt


def _rebuilt(name, result, fields):
    return globals()[name](result, **fields)


class ParseError(Exception):
    def __init__(self, msg, context=None):
        super(ParseError, self).__init__(msg)
        self.context = context


class Exit(Exception):
    """Ends the program, with a message or a status."""

    def __init__(self, message=None, code=None):
        self.message = message
        self._code = code
        super(Exit, self).__init__(message, code)

    @property
    def code(self):
        return self._code if self._code is not None else (1 if self.message else 0)

    @property
    def exit_code(self):
        return self.code

    _fabric_quiet = True

    def __str__(self):
        return self.message or ""


class PlatformError(Exception):
    pass


class AmbiguousEnvVar(Exception):
    pass


class UncastableEnvVar(Exception):
    pass


class UnknownFileType(Exception):
    pass


class UnpicklableConfigMember(Exception):
    pass


class SubprocessPipeError(Exception):
    pass


class WatcherError(Exception):
    """A watcher failed."""


class ResponseNotAccepted(WatcherError):
    """What a watcher answered was refused."""


class ThreadException(Exception):
    def __init__(self, exceptions):
        self.exceptions = tuple(exceptions)
        super(ThreadException, self).__init__(self.exceptions)


# -- watchers -------------------------------------------------------------------------------------------------------


class StreamWatcher(object):
    """Watches what a command prints: ``submit`` is given all of it so far, and gives what to write to the command."""

    def submit(self, stream):
        raise NotImplementedError


class Responder(StreamWatcher):
    """Answers each match of ``pattern`` with ``response``."""

    def __init__(self, pattern, response):
        self.pattern = pattern
        self.response = response
        self.index = 0

    def pattern_matches(self, stream, pattern, index_attr):
        index = getattr(self, index_attr)
        new = stream[index:]
        matches = re.findall(pattern, new, re.S)
        if matches:
            setattr(self, index_attr, index + len(new))
        return matches

    def submit(self, stream):
        for _ in self.pattern_matches(stream, self.pattern, "index"):
            yield self.response


class FailingResponder(Responder):
    """A ``Responder`` whose answer may be refused: ``sentinel`` is what is printed then."""

    def __init__(self, pattern, response, sentinel):
        super(FailingResponder, self).__init__(pattern, response)
        self.sentinel = sentinel
        self.failure_index = 0
        self.tried = False

    def submit(self, stream):
        response = list(super(FailingResponder, self).submit(stream))
        failed = self.pattern_matches(stream, self.sentinel, "failure_index")
        if self.tried and failed:
            raise ResponseNotAccepted(
                "Auto-response to r\"%s\" failed with %r!" % (self.pattern, self.sentinel))
        if response:
            self.tried = True
        return response


# -- results --------------------------------------------------------------------------------------------------------


class Result(object):
    """What came of a command."""

    def __init__(self, stdout="", stderr="", encoding=None, command="", shell="", env=None, exited=0, pty=False, hide=(),
                 connection=None):
        self.stdout = stdout
        self.stderr = stderr
        self.encoding = encoding or "utf-8"
        self.command = command
        self.shell = shell
        self.env = {} if env is None else env
        self.exited = exited
        self.pty = pty
        self.hide = hide
        if connection is not None:
            self.connection = connection

    @property
    def return_code(self):
        return self.exited

    @property
    def ok(self):
        return bool(self.exited == 0)

    @property
    def failed(self):
        return not self.ok

    def __bool__(self):
        return self.ok

    __nonzero__ = __bool__

    def __str__(self):
        if self.exited is not None:
            text = ["Command exited with status %s." % self.exited]
        else:
            text = ["Command was not fully executed due to watcher error."]
        for name in ("stdout", "stderr"):
            value = getattr(self, name)
            text.append("=== %s ===\n%s\n" % (name, value.rstrip()) if value else "(no %s)" % name)
        return "\n".join(text)

    def __repr__(self):
        return "<Result cmd=%r exited=%s>" % (self.command, self.exited)

    def tail(self, stream, count=10):
        return "\n\n" + "\n".join(getattr(self, stream).splitlines()[-count:])


class Promise(Result):
    """A command that goes on: ``join`` waits for it."""

    def __init__(self, start, **kwargs):
        super(Promise, self).__init__(**kwargs)
        self._start = start

    def join(self):
        return self._start()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.join()


# -- configuration --------------------------------------------------------------------------------------------------


class DataProxy(object):
    """A dictionary whose keys are attributes too, at all depths."""

    def __init__(self, data=None):
        object.__setattr__(self, "_data", data if data is not None else {})

    def _config(self):
        return self._data

    def __getattr__(self, key):
        if key.startswith("__"):
            raise AttributeError(key)
        data = self._config()
        if key in data:
            return _proxied(data[key])
        raise AttributeError("No attribute or config key found for %r\n\nValid keys: %r" % (key, sorted(map(str, data))))

    def __setattr__(self, key, value):
        if key in type(self).__dict__ or any(key in vars(base) for base in type(self).__mro__) or key in self.__dict__:
            object.__setattr__(self, key, value)
        else:
            self[key] = value

    def __delattr__(self, key):
        if key in self.__dict__:
            object.__delattr__(self, key)
        else:
            del self._config()[key]

    def __getitem__(self, key):
        return _proxied(self._config()[key])

    def __setitem__(self, key, value):
        self._config()[key] = value._config() if isinstance(value, DataProxy) and type(value) is DataProxy else value

    def __delitem__(self, key):
        del self._config()[key]

    def __iter__(self):
        return iter(self._config())

    def __len__(self):
        return len(self._config())

    def __contains__(self, key):
        return key in self._config()

    def __eq__(self, other):
        theirs = other._config() if isinstance(other, DataProxy) else other
        return self._config() == theirs

    def __ne__(self, other):
        return not self == other

    __hash__ = None

    def __repr__(self):
        return "<%s: %r>" % (type(self).__name__, self._config())

    def keys(self):
        return self._config().keys()

    def values(self):
        return self._config().values()

    def items(self):
        return self._config().items()

    def get(self, key, default=None):
        return self[key] if key in self else default

    def update(self, *args, **kwargs):
        self._config().update(*args, **kwargs)

    def setdefault(self, key, default=None):
        return _proxied(self._config().setdefault(key, default))

    def pop(self, key, *default):
        return self._config().pop(key, *default)

    def clear(self):
        self._config().clear()


def _proxied(value):
    return DataProxy(value) if isinstance(value, dict) else value


def merge_dicts(base, updates):
    """Puts ``updates`` over ``base``, table by table."""
    for key, value in (updates or {}).items():
        if isinstance(value, DataProxy):
            value = value._config()
        if isinstance(base.get(key), dict) and isinstance(value, dict):
            merge_dicts(base[key], value)
        else:
            base[key] = copy.copy(value) if not isinstance(value, dict) else merge_dicts({}, value)
    return base


def _user():
    import getpass

    try:
        return getpass.getuser()
    except Exception:
        return None


class Config(DataProxy):
    """The settings of connections and commands. Files, variables and ssh_config are read by the engine; what is here comes
    above them."""

    prefix = "invoke"
    file_prefix = None
    env_prefix = None

    @staticmethod
    def global_defaults():
        return {
            "run": {
                "asynchronous": False, "disown": False, "dry": False, "echo": False,
                "echo_format": "\033[1;37m{command}\033[0m", "echo_stdin": None, "encoding": None, "env": {},
                "err_stream": None, "fallback": True, "hide": None, "in_stream": None, "out_stream": None, "pty": False,
                "replace_env": False, "shell": "/bin/bash", "warn": False, "watchers": [],
            },
            "runners": {},
            "sudo": {"password": None, "prompt": "[sudo] password: ", "user": None},
            "tasks": {
                "auto_dash_names": True, "collection_name": "tasks", "dedupe": True, "executor_class": None,
                "ignore_unknown_help": False, "search_root": None,
            },
            "timeouts": {"command": None},
        }

    def __init__(self, overrides=None, defaults=None, system_prefix=None, user_prefix=None, project_location=None,
                 runtime_path=None, lazy=False, **kwargs):
        for name in ("ssh_config", "system_ssh_path", "user_ssh_path"):
            if kwargs.get(name) is not None:
                raise NotImplementedError("Config(%s=..): the engine reads ssh_config; ssh_config_path names another file" % name)
        data = merge_dicts({}, self.global_defaults() if defaults is None else defaults)
        if kwargs.get("runtime_ssh_path") is not None:
            data["ssh_config_path"] = kwargs["runtime_ssh_path"]
        object.__setattr__(self, "_overrides", merge_dicts({}, overrides))
        object.__setattr__(self, "_options", dict(kwargs, runtime_path=runtime_path))
        object.__setattr__(self, "_data", merge_dicts(data, overrides))

    def clone(self, into=None):
        cls = into or type(self)
        new = cls.__new__(cls)
        object.__setattr__(new, "_overrides", merge_dicts({}, self._overrides))
        object.__setattr__(new, "_options", dict(self._options))
        base = merge_dicts({}, cls.global_defaults())
        object.__setattr__(new, "_data", merge_dicts(base, self._data))
        return new

    def load_overrides(self, data, merge=True):
        merge_dicts(self._overrides, data)
        merge_dicts(self._data, data)

    def load_defaults(self, data, merge=True):
        merged = merge_dicts(merge_dicts({}, data), self._data)
        self._data.clear()
        self._data.update(merged)

    def load_collection(self, data, merge=True):
        self.load_defaults(data)

    def load_base_conf_files(self):
        pass

    def load_shell_env(self):
        pass

    def load_runtime(self, merge=True):
        pass

    def load_project(self, merge=True):
        pass

    def load_user(self, merge=True):
        pass

    def load_system(self, merge=True):
        pass

    def set_runtime_path(self, path):
        self._options["runtime_path"] = path

    def set_project_location(self, path):
        pass

    def merge(self):
        pass

    def __reduce__(self):
        return (_config_of, (type(self), self._data, self._overrides))

    def __deepcopy__(self, memo):
        return self.clone()


def plain(config):
    """A configuration of Invoke's own as a dictionary."""
    items = config.items() if hasattr(config, "items") else {}.items()
    return {key: plain(value) if hasattr(value, "items") else value for key, value in items}


def _config_of(cls, data, overrides):
    config = cls.__new__(cls)
    object.__setattr__(config, "_overrides", overrides)
    object.__setattr__(config, "_options", {})
    object.__setattr__(config, "_data", data)
    return config


# -- running --------------------------------------------------------------------------------------------------------

_HIDE = {None: (), False: (), "out": ("stdout",), "stdout": ("stdout",), "err": ("stderr",), "stderr": ("stderr",),
         "both": ("stdout", "stderr"), True: ("stdout", "stderr")}

_KWARGS = ("asynchronous", "disown", "dry", "echo", "echo_format", "echo_stdin", "encoding", "env", "err_stream", "fallback",
           "hide", "in_stream", "out_stream", "pty", "replace_env", "shell", "timeout", "warn", "watchers")


class _Stream(object):
    """Output on its way to a stream of Python, and what watchers say to it."""

    def __init__(self, encoding, target, watchers):
        import codecs

        self.decoder = codecs.getincrementaldecoder(encoding)("replace")
        self.target = target
        self.watchers = watchers
        self.seen = ""

    def feed(self, raw, last=False):
        text = self.decoder.decode(raw, last)
        if not text:
            return []
        if self.target is not None:
            from ._calls import write

            write(self.target, text)
        if not self.watchers:
            return []
        self.seen += text
        answers = []
        for watcher in self.watchers:
            answers.extend(watcher.submit(self.seen))
        return answers


def normalize_hide(value, out_stream=None, err_stream=None):
    if value not in _HIDE:
        raise ValueError("'hide' got %r which is not in %r" % (value, (None, False, "out", "stdout", "err", "stderr", "both", True)))
    hide = list(_HIDE[value])
    if out_stream is not None and "stdout" in hide:
        hide.remove("stdout")
    if err_stream is not None and "stderr" in hide:
        hide.remove("stderr")
    return tuple(hide)


def run_options(config, kwargs, remote):
    options = {}
    for name in _KWARGS:
        if name == "timeout":
            options[name] = kwargs.pop(name) if name in kwargs else _of(config, "timeouts", "command")
            continue
        value = kwargs.pop(name, None)
        if name == "replace_env" and value is None and remote:
            value = True
        options[name] = _of(config, "run", name) if value is None else value
    if kwargs:
        raise TypeError("run() got an unexpected keyword argument %r" % sorted(kwargs)[0])
    if options["asynchronous"] and options["disown"]:
        raise ValueError("Cannot give both 'asynchronous' and 'disown' at the same time!")
    options["hidden"] = normalize_hide(options["hide"], options["out_stream"], options["err_stream"])
    if options["hide"] is True:
        options["echo"] = False
    if options["dry"]:
        options["echo"] = True
    return options


def _of(config, *path):
    value = config._config()
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def execute(verb, command, options, ask, connection=None, sudo=None):
    """Runs a command: a ``Result``, or what went wrong."""
    encoding = options["encoding"] or "utf-8"
    hidden = options["hidden"]
    watchers = list(options["watchers"] or ())
    if options["echo"]:
        print((options["echo_format"] or "{command}").format(command=command))
        _engine.flush()
    result = dict(command=command, shell=options["shell"], env=dict(options["env"] or {}), pty=bool(options["pty"]),
                  hide=hidden, encoding=encoding, connection=connection)
    if options["dry"]:
        return Result(exited=0, **result)
    header = {"command": command, "pty": bool(options["pty"]), "combine_stderr": False, "shell": False,
              "variables": {str(key): str(value) for key, value in (options["env"] or {}).items()}}
    if verb == "local":
        header["shell"] = str(options["shell"]) + " -c" if options["shell"] else False
        header["replace_env"] = bool(options["replace_env"])
    if sudo:
        header.update(sudo)
    if options["timeout"] is not None:
        header["timeout"] = float(options["timeout"])
    streams = {}
    within = engine.within_fab
    header["hide"] = list(hidden)
    header["stream"] = []
    for name, given in (("stdout", options["out_stream"]), ("stderr", options["err_stream"])):
        shown = name not in hidden
        target = given if given is not None else (getattr(sys, name) if shown and not within else None)
        if target is not None or watchers:
            streams[name] = _Stream(encoding, target, watchers)
            header["stream"].append(name)
        if (given is not None or not within) and name not in header["hide"]:
            header["hide"].append(name)
    if not within:
        header["quiet"] = True
    raw = b""
    source = options["in_stream"]
    if watchers:
        header["input"] = True
    elif source is None and connection is not None and _typed():
        header["inherit"] = True
    elif source is not None and source is not False and hasattr(source, "read"):
        content = source.read()
        header["stdin"] = content if isinstance(content, str) else content.decode("utf-8", "surrogateescape")
    refused = []

    def on_data(number, frame):
        stream = streams.get(frame.header.get("stream"))
        if stream is None:
            return
        try:
            for answer in stream.feed(frame.raw):
                engine.channel.data(number, answer.encode(encoding))
        except Exception as error:
            if _is_watchers(error):
                refused.append(error)
            raise

    if options["disown"]:
        ask(verb, dict(header, disown=True), raw, None)
        return None

    def go():
        try:
            frame = ask(verb, header, raw, on_data)
        except EngineError as error:
            raise failure(error, Result(stdout=error.fields.get("stdout", ""), stderr=error.fields.get("stderr", ""), exited=-1,
                                        **result), options)
        except Exception as error:
            if not _is_watchers(error):
                raise
            raise _mixed(Failure(Result(exited=None, **result), reason=error), "Failure")
        for stream in streams.values():
            stream.feed(b"", True)
        size = frame.header.get("stdout", 0)
        code = frame.header.get("exit")
        outcome = Result(stdout=frame.raw[:size].decode(encoding, "replace"), stderr=frame.raw[size:].decode(encoding, "replace"),
                         exited=-1 if code is None else code, **result)
        if not outcome.ok and not options["warn"]:
            raise _mixed(UnexpectedExit(outcome), "UnexpectedExit")
        return outcome

    if options["asynchronous"]:
        return _asynchronous(go, result)
    return go()


def _typed():
    from ._calls import typed

    return typed()


def _is_watchers(error):
    """Whether it is a ``WatcherError``: ours, or that of Invoke."""
    return any(base.__name__ == "WatcherError" for base in type(error).__mro__)


def _asynchronous(go, result):
    import threading

    box = []

    def work():
        try:
            box.append((True, go()))
        except BaseException as error:
            box.append((False, error))

    thread = threading.Thread(target=work)
    thread.daemon = True
    thread.start()

    def join():
        thread.join()
        good, value = box[0]
        if good:
            return value
        raise value

    return Promise(join, **result)


def _mixed(error, *names):
    return also(error, *names)


def failure(error, result=None, options=None):
    """The exception of Fabric 3 for what the engine says."""
    import socket

    kind, fields, message = error.kind, error.fields, str(error)
    if kind == "timeout" and result is not None:
        made = _mixed(CommandTimedOut(result, (options or {}).get("timeout") or fields.get("after")), "CommandTimedOut")
    elif kind == "sudo" and result is not None:
        made = _mixed(AuthFailure(result, "[sudo] password: "), "AuthFailure")
    elif kind == "auth":
        made = _mixed(AuthenticationException(message), "AuthenticationException")
    elif kind == "hostkey":
        made = _mixed(SSHException(message), "SSHException")
    elif kind == "key":
        made = _mixed(PasswordRequiredException(message), "PasswordRequiredException")
    elif kind == "name":
        made = socket.gaierror(socket.EAI_NONAME, message)
    elif kind == "connect" and "timed out" in message:
        made = socket.timeout(message)
    elif kind == "connect":
        made = _mixed(NoValidConnectionsError(message), "NoValidConnectionsError")
    elif kind == "interrupted":
        return KeyboardInterrupt(message)
    elif kind == "file" and fields.get("missing"):
        made = FileNotFoundError(2, message)
    elif kind == "file":
        made = OSError(message)
    elif kind == "usage":
        made = ValueError(message)
    else:
        made = _mixed(SSHException(message), "SSHException")
    made._fabric_error = fields.get("error")
    made.__suppress_context__ = True
    return made


class SSHException(Exception):
    """Something about SSH failed."""


class AuthenticationException(SSHException):
    """No way of logging in was accepted."""


class PasswordRequiredException(AuthenticationException):
    """A private key could not be used."""


class NoValidConnectionsError(ConnectionError):
    """No address of the host could be connected to."""

    errors = {}


# -- contexts -------------------------------------------------------------------------------------------------------


class Context(DataProxy):
    """Runs commands on this machine."""

    def __init__(self, config=None):
        object.__setattr__(self, "command_prefixes", [])
        object.__setattr__(self, "command_cwds", [])
        object.__setattr__(self, "_own_config", config if config is not None else Config())

    @property
    def config(self):
        return self._own_config

    @config.setter
    def config(self, value):
        object.__setattr__(self, "_own_config", value)

    def _config(self):
        return self._own_config._config()

    @property
    def cwd(self):
        if not self.command_cwds:
            return ""
        for number, path in reversed(list(enumerate(self.command_cwds))):
            if path.startswith(("~", "/")):
                break
        return os.path.join(*[path.replace(" ", "\\ ") for path in self.command_cwds[number:]])

    @contextmanager
    def cd(self, path):
        """In this directory, for the time of the block."""
        self.command_cwds.append(str(path))
        try:
            yield
        finally:
            self.command_cwds.pop()

    @contextmanager
    def prefix(self, command):
        """With this command before each command, for the time of the block."""
        self.command_prefixes.append(command)
        try:
            yield
        finally:
            self.command_prefixes.pop()

    def _prefix_commands(self, command):
        prefixes = list(self.command_prefixes)
        if self.cwd:
            prefixes.insert(0, "cd %s" % self.cwd)
        return " && ".join(prefixes + [command])

    def _ask(self, verb, header, raw=b"", on_data=None):
        return engine.call(verb, dict(header, env={"ok_ret_codes": [0]}), raw, on_data)

    def run(self, command, **kwargs):
        """Runs a command on this machine."""
        return self._local(command, kwargs)

    def _local(self, command, kwargs):
        options = run_options(self.config, dict(kwargs), remote=False)
        return execute("local", self._prefix_commands(str(command)), options, self._ask)

    def sudo(self, command, **kwargs):
        """Runs a command on this machine by ``sudo``."""
        password = kwargs.pop("password", None) or _of(self.config, "sudo", "password")
        user = kwargs.pop("user", None) or _of(self.config, "sudo", "user")
        prompt = _of(self.config, "sudo", "prompt") or "[sudo] password: "
        watchers = list(kwargs.pop("watchers", None) or _of(self.config, "run", "watchers") or ())
        if password is not None:
            watchers.append(FailingResponder(re.escape(prompt), "%s\n" % password, "Sorry, try again.\n"))
        flags = "-H -u %s " % user if user else ""
        text = "sudo -S -p '%s' %s%s" % (prompt, flags, self._prefix_commands(str(command)))
        options = run_options(self.config, dict(kwargs, watchers=watchers), remote=False)
        return execute("local", text, options, self._ask)


class MockContext(Context):
    """A context that runs nothing: ``run={command: Result or text}``."""

    def __init__(self, config=None, **kwargs):
        super(MockContext, self).__init__(config)
        object.__setattr__(self, "_results", kwargs)

    def run(self, command, **kwargs):
        return self._answer("run", command)

    def sudo(self, command, **kwargs):
        return self._answer("sudo", command)

    def _answer(self, method, command):
        results = self._results.get(method, {})
        value = results.get(command) if isinstance(results, dict) else results
        if value is None:
            raise NotImplementedError(command)
        return Result(value) if isinstance(value, str) else (Result(exited=0 if value else 1) if isinstance(value, bool) else value)


# -- tasks ----------------------------------------------------------------------------------------------------------


class Task(object):
    """A function that is a task (Fabric 2 and 3)."""

    def __init__(self, body, name=None, aliases=(), positional=None, optional=(), default=False, auto_shortflags=True,
                 help=None, pre=None, post=None, autoprint=False, iterable=None, incrementable=None, hosts=None):
        self.body = body
        self.__doc__ = getattr(body, "__doc__", "")
        self.__name__ = getattr(body, "__name__", "")
        self.__module__ = getattr(body, "__module__", "")
        self._name = name
        self.aliases = list(aliases)
        self.positional = positional
        self.optional = tuple(optional or ())
        self.is_default = default
        self.auto_shortflags = auto_shortflags
        self.help = help or {}
        self.pre = list(pre or [])
        self.post = list(post or [])
        self.autoprint = autoprint
        self.iterable = list(iterable or ())
        self.incrementable = list(incrementable or ())
        self.hosts = hosts
        self.times_called = 0
        parameters = list(inspect.signature(body).parameters) if callable(body) else []
        if not parameters:
            raise TypeError("Tasks must have an initial Context argument!")

    @property
    def name(self):
        return self._name or self.__name__

    def __repr__(self):
        return "<Task %r>" % self.name

    def __eq__(self, other):
        return isinstance(other, Task) and self.name == other.name and self.body == other.body

    def __hash__(self):
        return hash(self.name)

    @property
    def called(self):
        return self.times_called > 0

    def __call__(self, *args, **kwargs):
        if not args or not isinstance(args[0], Context):
            raise TypeError("Called a Task without a Context, got %s instead!" % (type(args[0]) if args else None))
        result = self.body(*args, **kwargs)
        self.times_called += 1
        return result


def task(*args, **kwargs):
    """Makes a function a task. Its first parameter is a ``Connection`` where it runs on a host, else a ``Context``.

    ``hosts`` are those that it runs on where the command line names none; ``pre`` and ``post`` are tasks before and after.
    """
    klass = kwargs.pop("klass", Task)
    if len(args) == 1 and callable(args[0]) and not isinstance(args[0], Task):
        return klass(args[0], **kwargs)
    if args:
        if "pre" in kwargs:
            raise TypeError("May not give *args and 'pre' kwarg simultaneously!")
        kwargs["pre"] = args

    def inner(body):
        return klass(body, **kwargs)

    return inner


class Call(object):
    """A task, and the arguments to call it with."""

    def __init__(self, task, called_as=None, args=None, kwargs=None):
        self.task, self.called_as, self.args, self.kwargs = task, called_as, tuple(args or ()), dict(kwargs or {})

    def __getattr__(self, name):
        if name == "task":
            raise AttributeError(name)
        return getattr(self.task, name)

    def __repr__(self):
        return "<Call %r, args: %r, kwargs: %r>" % (self.task.name, self.args, self.kwargs)


def call(task, *args, **kwargs):
    """A task with arguments, for ``pre`` and ``post``."""
    return Call(task, args=args, kwargs=kwargs)


class _Lexicon(dict):
    aliases = None


class Collection(object):
    """Tasks and further collections, by names."""

    def __init__(self, *args, **kwargs):
        self.tasks = _Lexicon()
        self.tasks.aliases = {}
        self.collections = _Lexicon()
        self.default = None
        self.name = None
        self._configuration = {}
        self.loaded_from = kwargs.pop("loaded_from", None)
        self.auto_dash_names = kwargs.pop("auto_dash_names", None)
        if self.auto_dash_names is None:
            self.auto_dash_names = True
        args = list(args)
        if args and isinstance(args[0], str):
            self.name = self.transform(args.pop(0))
        for arg in args:
            self._add(arg)
        for name, value in kwargs.items():
            self._add(value, name)

    def _add(self, value, name=None):
        if _is_task(value):
            self.add_task(value, name)
        else:
            self.add_collection(value, name)

    def transform(self, name):
        """The name as it is typed: ``_`` is ``-``, but at the ends."""
        if not self.auto_dash_names:
            return name
        return ".".join(re.sub(r"(?<=[^_])_(?=[^_])|(?<=[^_])_(?=_+[^_])", "-", part) for part in str(name).split("."))

    def add_task(self, task, name=None, aliases=None, default=None):
        if name is None:
            name = task.name or getattr(task.body, "__name__", None)
        if not name:
            raise ValueError("Could not obtain a name for this task!")
        name = self.transform(name)
        if name in self.collections:
            raise ValueError("Name conflict: this collection has a sub-collection named %r already" % name)
        self.tasks[name] = task
        for alias in list(getattr(task, "aliases", ()) or ()) + list(aliases or ()):
            self.tasks.aliases[self.transform(alias)] = name
        if default is True or (default is None and getattr(task, "is_default", False)):
            if self.default:
                raise ValueError("%r cannot be the default because %r already is!" % (name, self.default))
            self.default = name

    def add_collection(self, coll, name=None, default=None):
        if inspect.ismodule(coll):
            coll = Collection.from_module(coll)
        name = name or coll.name
        if not name:
            raise ValueError("Non-root collections must have a name!")
        name = self.transform(name)
        if name in self.tasks:
            raise ValueError("Name conflict: this collection has a task named %r already" % name)
        self.collections[name] = coll
        if default:
            if self.default:
                raise ValueError("%r cannot be the default because %r already is!" % (name, self.default))
            self.default = name

    @classmethod
    def from_module(cls, module, name=None, config=None, loaded_from=None, auto_dash_names=None):
        short = module.__name__.split(".")[-1]
        found = None
        for candidate in ("ns", "namespace"):
            value = getattr(module, candidate, None)
            if value is not None and type(value).__name__ == "Collection":
                found = value
        if found is not None:
            new = cls(name or found.name or short, auto_dash_names=auto_dash_names)
            new.tasks.update(found.tasks)
            new.tasks.aliases.update(getattr(found.tasks, "aliases", {}))
            new.collections.update(found.collections)
            new.default = found.default
            new._configuration = merge_dicts({}, found._configuration)
        else:
            new = cls(name or short, auto_dash_names=auto_dash_names)
            for value in vars(module).values():
                if _is_task(value):
                    new.add_task(value)
        if config:
            new.configure(config)
        new.__doc__ = module.__doc__
        return new

    def configure(self, options):
        """Settings of these tasks, below all that files say."""
        merge_dicts(self._configuration, options)

    def configuration(self, taskpath=None):
        return merge_dicts({}, self._configuration)

    @property
    def task_names(self):
        names = {name: [] for name in self.tasks}
        for alias, name in self.tasks.aliases.items():
            names.setdefault(name, []).append(alias)
        for name, coll in self.collections.items():
            for inner, aliases in coll.task_names.items():
                names["%s.%s" % (name, inner)] = ["%s.%s" % (name, alias) for alias in aliases]
        return names

    def __getitem__(self, name=None):
        if not name:
            if self.default:
                return self[self.default]
            raise ValueError("This collection has no default task.")
        first, _, rest = str(name).partition(".")
        first = self.transform(first)
        if rest:
            return self.collections[first][rest]
        if first in self.collections:
            return self.collections[first][""]
        return self.tasks[self.tasks.aliases.get(first, first)]

    def __contains__(self, name):
        try:
            self[name]
            return True
        except (KeyError, ValueError):
            return False

    def __bool__(self):
        return bool(self.tasks or self.collections)

    def __repr__(self):
        return "<Collection %r: %s>" % (self.name, ", ".join(sorted(list(self.tasks) + list(self.collections))))


def _is_task(value):
    return hasattr(value, "body") and hasattr(value, "pre") and hasattr(value, "post")


#: The configuration that tasks of one run share.
_shared = []


def shared_config():
    if not _shared:
        from .config import Config as Ours

        _shared.append(Ours())
    return _shared[0]


def run_task(task, header, args, kwargs):
    """Runs a task for ``fab``: on the host that it says, or here."""
    config = shared_config()
    hosts = header.get("all_hosts") or [None]
    host = header.get("host")
    if host is not None:
        from .connection import Connection

        context = Connection._of_run(header, config)
    else:
        context = Context(config)
    # Once, however many hosts there are.
    if host in (None, hosts[0]):
        for before in task.pre:
            _around(before)
    result = task.body(context, *args, **kwargs)
    if host in (None, hosts[-1]):
        for after in task.post:
            _around(after)
    if getattr(task, "autoprint", False):
        print(result)
    return result


def _around(one):
    """A task before or after another one: on its own hosts, or here."""
    args, kwargs = getattr(one, "args", ()), getattr(one, "kwargs", {})
    inner = getattr(one, "task", one)
    for before in getattr(inner, "pre", ()):
        _around(before)
    contexts = [Context(shared_config())]
    if getattr(inner, "hosts", None):
        from .connection import Connection

        made = [dict(host) if isinstance(host, dict) else {"host": host} for host in inner.hosts]
        contexts = [Connection(**dict(options, config=shared_config())) for options in made]
    for context in contexts:
        inner.body(context, *args, **kwargs)
    for after in getattr(inner, "post", ()):
        _around(after)


def run(command, **kwargs):
    """Runs a command on this machine."""
    return Context().run(command, **kwargs)


def sudo(command, **kwargs):
    """Runs a command on this machine by ``sudo``."""
    return Context().sudo(command, **kwargs)
