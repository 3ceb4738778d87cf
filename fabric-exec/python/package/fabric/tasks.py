"""Tasks and ``execute`` (Fabric 1)."""

import inspect
import os
import pickle
import sys
import textwrap
import traceback
from functools import wraps

from . import _engine
from .context_managers import settings
from .exceptions import NetworkError
from .state import connections, env, output  # noqa: F401
from .utils import abort, error, warn


def get_task_details(task):
    """What ``--display`` says of a task."""
    details = [textwrap.dedent(task.__doc__) if task.__doc__ else "No docstring provided"]
    argspec = inspect.getfullargspec(task)
    count = len(argspec.args) - len(argspec.defaults or ())
    parts = argspec.args[:count] + ["%s=%r" % pair for pair in zip(argspec.args[count:], argspec.defaults or ())]
    details.append("Arguments: %s" % ", ".join(parts))
    return "\n".join(details)


class Task(object):
    """The base of tasks that are objects: ``name``, and ``run`` with the work."""

    name = "undefined"
    use_task_objects = True
    aliases = None
    is_default = False

    def __init__(self, alias=None, aliases=None, default=False, name=None, *args, **kwargs):
        if alias is not None:
            self.aliases = [alias]
        if aliases is not None:
            self.aliases = aliases
        if name is not None:
            self.name = name
        self.is_default = default

    def __details__(self):
        return get_task_details(self.run)

    def run(self):
        raise NotImplementedError

    def get_hosts_and_effective_roles(self, arg_hosts, arg_roles, arg_exclude_hosts, env=None):
        """The hosts of a call, and the roles that named them."""
        env = env or {"hosts": [], "roles": [], "exclude_hosts": []}
        roledefs = env.get("roledefs", {})
        if arg_hosts or arg_roles:
            return merge(arg_hosts, arg_roles, arg_exclude_hosts, roledefs), arg_roles
        func_hosts, func_roles = getattr(self, "hosts", []), getattr(self, "roles", [])
        if func_hosts or func_roles:
            return merge(func_hosts, func_roles, arg_exclude_hosts, roledefs), func_roles
        return merge(env["hosts"], env["roles"], env["exclude_hosts"], roledefs), env["roles"]

    def get_pool_size(self, hosts, default):
        size = getattr(self, "pool_size", None) or int(default or 0) or len(hosts)
        return min(int(size), len(hosts))


class WrappedCallableTask(Task):
    """A function that is a task."""

    def __init__(self, callable, *args, **kwargs):
        super(WrappedCallableTask, self).__init__(*args, **kwargs)
        self.wrapped = callable
        self.__name__ = self.name = kwargs.get("name") or getattr(callable, "name", None) or callable.__name__
        if hasattr(callable, "__doc__"):
            self.__doc__ = callable.__doc__
        self.__module__ = getattr(callable, "__module__", None)

    def __call__(self, *args, **kwargs):
        return self.run(*args, **kwargs)

    def run(self, *args, **kwargs):
        return self.wrapped(*args, **kwargs)

    def __getattr__(self, name):
        if name == "wrapped":
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def __details__(self):
        orig = self
        while hasattr(orig, "wrapped"):
            orig = orig.wrapped
        return get_task_details(orig)


def merge(hosts, roles, exclude, roledefs):
    """Hosts, and those of roles, without the excluded ones, each once."""
    missing = [role for role in roles if role not in roledefs]
    if missing:
        abort("The following specified roles do not exist:\n%s" % "\n".join("    %s" % role for role in missing))
    hosts = [hosts] if isinstance(hosts, str) else list(hosts)
    for role in roles:
        value = roledefs[role]
        if isinstance(value, dict):
            value = value["hosts"]
        if callable(value):
            value = value()
        hosts += list(value)
    hosts = [host.strip() for host in hosts]
    if not env.get("dedupe_hosts", True):
        return [host for host in hosts if host not in exclude]
    seen = []
    for host in hosts:
        if host not in seen and host not in exclude:
            seen.append(host)
    return seen


_merge = merge


def _is_task(value):
    return isinstance(value, Task)


def requires_parallel(task):
    """Whether a task runs on its hosts at the same time."""
    return bool((env.parallel and not getattr(task, "serial", False)) or getattr(task, "parallel", False))


def parse_kwargs(kwargs):
    """Takes what names hosts out of a call's arguments."""
    new_kwargs = {}
    hosts, roles, exclude_hosts = [], [], []
    for key, value in kwargs.items():
        if key == "host":
            hosts = [value]
        elif key == "hosts":
            hosts = value
        elif key == "role":
            roles = [value]
        elif key == "roles":
            roles = value
        elif key == "exclude_hosts":
            exclude_hosts = value
        else:
            new_kwargs[key] = value
    return new_kwargs, hosts or [], roles or [], exclude_hosts or []


def execute(task, *args, **kwargs):
    """Runs a task on its hosts: a function, a task, or a name. Gives what it returned, by host.

    ``host``, ``hosts``, ``role``, ``roles`` and ``exclude_hosts`` say where, and are not passed on.
    """
    my_env = {"clean_revert": True}
    is_callable = callable(task) or _is_task(task)
    if not is_callable:
        from . import state

        found = _crawl(task, state.commands)
        if found is None:
            message = "%r is not callable or a valid task name" % (task,)
            if env.get("skip_unknown_tasks"):
                warn(message)
                return
            abort(message)
        my_env["command"], task = task, found
    else:
        my_env["command"] = getattr(task, "name", None) or getattr(task, "__name__", None)
    if not _is_task(task):
        task = WrappedCallableTask(task)
        if my_env["command"] is None:
            my_env["command"] = task.name
    new_kwargs, hosts, roles, exclude_hosts = parse_kwargs(kwargs)
    host_list, effective = task.get_hosts_and_effective_roles(hosts, roles, exclude_hosts, env)
    host_list = list(host_list)
    my_env["all_hosts"], my_env["effective_roles"] = host_list, effective
    results = {}
    if not host_list:
        with settings(**my_env):
            results["<local-only>"] = task.run(*args, **new_kwargs)
        return results
    if requires_parallel(task):
        return _in_parallel(task, host_list, my_env, args, new_kwargs)
    for host in host_list:
        try:
            results[host] = _execute(task, host, my_env, args, new_kwargs)
        except NetworkError as problem:
            results[host] = problem
            if env.use_exceptions_for["network"]:
                raise
            error(problem.message, func=warn if env.skip_bad_hosts else abort, exception=problem.wrapped)
        if env.eagerly_disconnect:
            from .network import disconnect_all

            disconnect_all()
    return results


def _crawl(name, mapping):
    """The task of a dotted name."""
    for part in str(name).split("."):
        if not isinstance(mapping, dict):
            return None
        mapping = mapping.get(part)
    if isinstance(mapping, dict):
        return getattr(mapping, "default", None)
    return mapping


def _says_once(task):
    inner = task
    while inner is not None:
        if "return_value" in getattr(inner, "__dict__", {}):
            return True
        inner = getattr(inner, "wrapped", None)
    return False


def _environment(host, my_env):
    from .network import normalize

    user, name, port = normalize(host)
    return dict(my_env, host_string=host, host=name, user=user, port=port)


def _execute(task, host, my_env, args, kwargs):
    local_env = _environment(host, my_env)
    if output.running and not _says_once(task):
        print("[%s] Executing task '%s'" % (host, my_env["command"]))
    with settings(**local_env):
        return task.run(*args, **kwargs)


def _in_parallel(task, hosts, my_env, args, kwargs):
    """Each host in a process of its own, with its own way to the engine."""
    pool = max(1, task.get_pool_size(hosts, env.pool_size))
    waiting, running, results, failed = list(hosts), {}, {}, {}
    command = my_env["command"]
    if output.running:
        for host in hosts:
            print("[%s] Executing task '%s'" % (host, command))
    while waiting or running:
        while waiting and len(running) < pool:
            # The last one first, as Fabric 1 does.
            host = waiting.pop()
            pid, reader = _fork(task, host, my_env, args, kwargs)
            running[reader] = (pid, host, bytearray())
        import select

        ready = select.select(list(running), [], [])[0]
        for reader in ready:
            pid, host, content = running[reader]
            part = os.read(reader, 1 << 16)
            if part:
                content.extend(part)
                continue
            os.close(reader)
            del running[reader]
            try:
                status = os.waitpid(pid, 0)[1]
            except OSError:
                status = 0
            try:
                kind, value = pickle.loads(bytes(content)) if content else ("exit", 1)
            except Exception as problem:
                kind, value = "raised", problem
            if status and kind == "returned" and not content:
                kind, value = "exit", 1
            results[host] = value if kind in ("returned", "raised", "bad") else None
            if kind in ("raised", "exit"):
                failed[host] = value if kind == "raised" else None
    for host in hosts:
        if host in failed:
            problem = failed[host]
            error("One or more hosts failed while executing task '%s'" % command, exception=problem)
    ordered = {}
    for host in hosts:
        ordered[host] = results.get(host)
    return ordered


def _fork(task, host, my_env, args, kwargs):
    """A child that runs the task on a host: its process id, and where it writes what came of it."""
    engine = _engine.engine
    _engine.flush()
    fd = engine.call("channel", {}).fds[0]
    reader, writer = os.pipe()
    pid = fork()
    if pid:
        os.close(writer)
        os.close(fd)
        return pid, reader
    code = 1
    try:
        os.close(reader)
        _adopt(fd)
        env.parallel = env.linewise = True
        connections.clear()
        try:
            with settings(**_environment(host, my_env)):
                outcome = ("returned", task.run(*args, **kwargs))
            code = 0
        except NetworkError as problem:
            kind = "bad" if env.skip_bad_hosts and not env.use_exceptions_for["network"] else "raised"
            outcome, code = (kind, problem), 0 if kind == "bad" else 1
        except SystemExit:
            outcome = ("exit", 1)
        except BaseException as problem:
            sys.stderr.write("!!! Parallel execution exception under host %r:\n" % host)
            sys.stderr.write(shown_traceback())
            outcome = ("raised", problem)
        try:
            content = pickle.dumps(outcome)
        except Exception:
            content = pickle.dumps((outcome[0], None))
        with os.fdopen(writer, "wb") as file:
            file.write(content)
    finally:
        _engine.flush()
        os._exit(code)


def fork():
    """A child that will adopt an end of its own."""
    engine = _engine.engine
    engine.forking = True
    try:
        return os.fork()
    finally:
        engine.forking = False


def _adopt(fd):
    """A child's own end."""
    import socket

    engine = _engine.engine
    within, call = engine.within_fab, engine.current
    old, engine.channel = engine.channel, None
    if old is not None:
        try:
            old.sock.close()
        except OSError:
            pass
    engine._process = None
    channel = engine.use(socket.socket(fileno=fd), within)
    engine.current = call
    channel.handshake(None)


def shown_traceback():
    """The traceback of what is being handled, without the frames of this package."""
    kind, value, trace = sys.exc_info()
    return "".join(format_error(kind, value, trace))


def format_error(kind, value, trace):
    """A traceback as Python prints it, without the frames of this package."""
    here = os.path.dirname(os.path.abspath(__file__)) + os.sep
    if isinstance(value, SyntaxError) and trace is not None:
        return traceback.format_exception_only(kind, value)
    try:
        summary = traceback.TracebackException(kind, value, trace)
        _strip(summary, here, 0)
        return list(summary.format())
    except Exception:
        return traceback.format_exception(kind, value, trace)


def _strip(summary, here, depth):
    if summary is None or depth > 20:
        return
    kept = [
        frame
        for frame in summary.stack
        if not frame.filename.startswith(here)
        and not frame.filename.startswith("<frozen importlib")
        and frame.filename != "<string>"
    ]
    if kept:
        summary.stack[:] = kept
    _strip(summary.__cause__, here, depth + 1)
    _strip(summary.__context__, here, depth + 1)


_ = (wraps, inspect)
