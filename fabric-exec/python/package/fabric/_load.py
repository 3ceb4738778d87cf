"""What is in a fabfile."""

import inspect
import os
import sys
import types

from . import _engine
from ._wire import EngineError

_SKIP = None


class Tree(dict):
    """Tasks and modules by name; ``default`` is the task that the name of it all stands for."""

    default = None
    doc = None


class Fabfile(object):
    """A fabfile that has been loaded."""

    def __init__(self, header):
        from . import state

        self.path = header["path"]
        self.converts = header.get("python2") == "convert"
        self.start(header, state)
        self.modern = False
        module = self.imported()
        self.module = module
        self.tree = Tree()
        self.tree.doc = _doc(module)
        self.of_modern(module) if self.is_modern(module) else self.of_classic(module)
        self.keys = {}
        state.commands.clear()
        state.commands.update(self.tree)

    def start(self, header, state):
        """``env`` as the command line and files have it."""
        env = state.env
        sys.argv = ["fab"] + list(header.get("args", []))
        for name, value in (header.get("env") or {}).items():
            if value is None and name in env:
                continue
            if name == "port":
                value = str(value)
            elif isinstance(value, float) and value == int(value):
                value = int(value)
            env[name] = value
        for group, shown in (header.get("output") or {}).items():
            state.output[group] = shown
        env.real_fabfile = os.path.abspath(self.path)
        env.tasks = list(header.get("tasks", []))
        state._known.clear()
        import copy

        state._known.update(copy.deepcopy(dict(env)))
        _engine.engine.dry_run = bool(header.get("dry_run"))

    # -- importing --------------------------------------------------------------------------------------------------

    def imported(self):
        path = os.path.abspath(self.path)
        folder, name = os.path.split(path)
        if folder not in sys.path or sys.path[0] != folder:
            sys.path.insert(0, folder)
        package = os.path.isdir(path)
        if self.converts:
            from . import _convert

            _convert.import_converted(path if package else folder)
        name = name if package else os.path.splitext(name)[0]
        if name in sys.modules:
            # It has the name of another module, of Python's own for example, which stays.
            name = "_fabfile_" + name
        import importlib.util

        if package:
            spec = importlib.util.spec_from_file_location(
                name, os.path.join(path, "__init__.py"), loader=self.loader(name, os.path.join(path, "__init__.py")),
                submodule_search_locations=[path],
            )
        else:
            spec = importlib.util.spec_from_file_location(name, path, loader=self.loader(name, path))
        if spec is None:
            raise EngineError({"kind": "usage", "message": "%s is no Python file: its name must end in .py" % path})
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return sys.modules.get(name, module)

    def loader(self, name, path):
        """What loads the file, where that is not as usual."""
        if not self.converts:
            return None
        from ._convert import Converting

        return Converting(name, path)

    def is_modern(self, module):
        for name, value in vars(module).items():
            if _is_modern(value) or name in ("ns", "namespace") and type(value).__name__ == "Collection":
                return True
        return False

    # -- tasks ------------------------------------------------------------------------------------------------------

    def of_classic(self, module):
        from .tasks import Task

        names = vars(module)
        listed = names.get("__all__")
        if listed is not None:
            names = {name: names[name] for name in listed if name in names}
        new_style, classic = self.extracted(names, [], Task)
        from .state import env

        env.new_style_tasks = bool(new_style)
        if new_style:
            tree = new_style
        else:
            tree = classic
        self.tree.update(tree)
        self.tree.default = tree.default

    def extracted(self, names, seen, Task):
        new_style, classic = Tree(), Tree()
        for name, value in names.items():
            if isinstance(value, Task) and not (name == "Task"):
                self.note(new_style, name, value)
            elif isinstance(value, types.ModuleType):
                if value in seen or not self.is_ours(value):
                    continue
                seen.append(value)
                inner = vars(value)
                if inner.get("__all__") is not None:
                    inner = {one: inner[one] for one in inner["__all__"] if one in inner}
                tree, _ = self.extracted(inner, seen, Task)
                if tree:
                    tree.doc = _doc(value)
                    new_style[name] = tree
            elif self.is_classic(name, value):
                classic[name] = value
        return new_style, classic

    def note(self, tree, name, task):
        from .tasks import WrappedCallableTask

        own = task.name if task.name and task.name != "undefined" else name
        if isinstance(task, WrappedCallableTask) and own == "<lambda>":
            own = name
        if task.name in (None, "undefined"):
            task.name = own
        tree[own] = task
        for alias in task.aliases or ():
            tree[alias] = task
        if task.is_default:
            tree.default = task

    def is_ours(self, module):
        """Modules of Fabric and of Python have no tasks."""
        name = getattr(module, "__name__", "")
        return name.split(".")[0] not in ("fabric", "fabric2", "invoke", "paramiko", "builtins", "sys")

    def is_classic(self, name, value):
        if name.startswith("_") or not callable(value):
            return False
        if isinstance(value, type) and issubclass(value, BaseException):
            return False
        if _is_of_fabric(value):
            return False
        return True

    # -- modern -----------------------------------------------------------------------------------------------------

    def of_modern(self, module):
        self.modern = True
        collection = None
        for name in ("ns", "namespace"):
            found = vars(module).get(name)
            if type(found).__name__ == "Collection":
                collection = found
        if collection is None:
            from ._invoke import Collection

            collection = Collection.from_module(module)
        self.collection = collection
        self.tree = _tree_of(collection)
        self.tree.doc = _doc(module)
        # Tasks of Fabric 1 in the same file.
        from .tasks import Task

        names = {name: value for name, value in vars(module).items() if isinstance(value, Task)}
        for name, task in names.items():
            self.note(self.tree, name, task)

    # -- listing ----------------------------------------------------------------------------------------------------

    def listing(self):
        from .state import _changed, _known, _OF_CALLS, _OF_TASKS, env

        changed = _changed(_OF_CALLS + _OF_TASKS)
        if changed.get("disable_known_hosts"):
            sys.stderr.write("Warning: %s sets env.disable_known_hosts: host keys are not checked\n" % self.path)
        if not self.modern and not env.use_ssh_config:
            changed["use_ssh_config"] = False
        shared = {}
        from ._boot import _plain

        for name, value in env.items():
            if name and isinstance(name, str) and name not in _known and not name.startswith("_"):
                plain = _plain(value, quiet=True)
                if plain is not None:
                    shared[name] = plain
        roles = {}
        for name, value in (env.roledefs or {}).items():
            if isinstance(value, dict):
                value = value.get("hosts")
            fixed = isinstance(value, (list, tuple)) and all(isinstance(host, str) for host in value)
            roles[str(name)] = [host.strip() for host in value] if fixed else None
        result = self.described(self.tree, "")
        result.update(env=changed, shared=shared, roledefs=roles, modern=self.modern, file=os.path.abspath(self.path))
        return result

    def described(self, tree, prefix):
        tasks, namespaces, seen = [], {}, {}
        for name, value in tree.items():
            if isinstance(value, Tree):
                namespaces[name] = self.described(value, prefix + name + ".")
                continue
            number = id(value)
            if number in seen:
                seen[number]["aliases"].append(name)
                continue
            key = prefix + name
            self.keys[key] = value
            one = _describe(name, value)
            one["key"] = key
            one["default"] = tree.default is value
            seen[number] = one
            tasks.append(one)
        return {"doc": tree.doc, "tasks": tasks, "namespaces": namespaces}

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self, header):
        task = self.keys[header["task"]]
        args, kwargs = _arguments(task, header.get("args") or {})
        if _is_modern(task):
            from ._invoke import run_task

            return run_task(task, header, args, kwargs)
        from .context_managers import settings
        from .state import env

        around = {
            "command": header.get("command"),
            "all_hosts": header.get("all_hosts") or [],
            "effective_roles": header.get("effective_roles") or [],
            "clean_revert": True,
        }
        if header.get("host") is not None:
            around.update(
                host_string=header["host"],
                host=header.get("name"),
                user=header.get("user"),
                port=str(header.get("port") or env.port),
            )
        else:
            env.host_string = env.get("host_string")
        with settings(**around):
            return task.run(*args, **kwargs) if hasattr(task, "run") else task(*args, **kwargs)


def _doc(module):
    doc = getattr(module, "__doc__", None)
    return inspect.cleandoc(doc) if doc and doc.strip() else None


def _is_of_fabric(value):
    name = getattr(value, "__module__", None) or ""
    return name.split(".")[0] in ("fabric", "fabric2", "invoke", "paramiko") or value is print


def _is_modern(value):
    return hasattr(value, "body") and hasattr(value, "pre") and hasattr(value, "post") and callable(value)


def _tree_of(collection):
    tree = Tree()
    for name, task in collection.tasks.items():
        tree[collection.transform(name)] = task
    for alias, name in getattr(collection.tasks, "aliases", {}).items():
        if name in collection.tasks:
            tree[collection.transform(alias)] = collection.tasks[name]
    for name, inner in collection.collections.items():
        tree[collection.transform(name)] = _tree_of(inner)
        if collection.default == name:
            tree.default = tree[collection.transform(name)].default
    if collection.default in collection.tasks:
        tree.default = collection.tasks[collection.default]
    tree.doc = inspect.cleandoc(collection.__doc__) if getattr(collection, "__doc__", None) and collection.__doc__ != type(collection).__doc__ else None
    return tree


def _innermost(task):
    """The function that a person wrote."""
    while True:
        if hasattr(task, "body"):
            task = task.body
        elif "wrapped" in getattr(task, "__dict__", {}):
            task = task.wrapped
        elif hasattr(task, "__wrapped__"):
            task = task.__wrapped__
        else:
            return task


def _signature(task):
    inner = _innermost(task)
    from .tasks import Task

    if isinstance(inner, Task):
        inner = inner.run
    try:
        parameters = list(inspect.signature(inner).parameters.values())
    except (TypeError, ValueError):
        return [], inner
    if _is_modern(task):
        parameters = parameters[1:]
    return parameters, inner


def _describe(name, task):
    modern = _is_modern(task)
    parameters, inner = _signature(task)
    params = []
    for parameter in parameters:
        one = {"name": parameter.name, "kind": "text"}
        if parameter.kind == parameter.VAR_POSITIONAL:
            one.update(kind="rest", default=[], optional=True)
        elif parameter.kind == parameter.VAR_KEYWORD:
            one.update(kind="named", default={}, optional=True)
        elif parameter.default is not parameter.empty:
            default = parameter.default
            plain = default if isinstance(default, (str, bool, int, float, type(None))) else repr(default)
            one.update(default=plain, optional=True)
        if modern:
            _of_modern(task, parameter, one)
        params.append(one)
    doc = getattr(task, "__doc__", None)
    if doc == type(task).__doc__ and not modern and type(task).__name__ == "WrappedCallableTask":
        doc = None
    if doc is None:
        doc = getattr(inner, "__doc__", None)
    code = getattr(inner, "__code__", None)
    mode = "parallel" if getattr(task, "parallel", False) else ("serial" if getattr(task, "serial", False) else None)
    hosts = getattr(task, "hosts", None) or []
    pool_size = getattr(task, "pool_size", None)
    return {
        "name": name,
        "aliases": [],
        "help": inspect.cleandoc(doc) if doc and doc.strip() else None,
        "params": params,
        "hosts": [_host(host) for host in ([hosts] if isinstance(hosts, str) else hosts)],
        "roles": [str(role) for role in getattr(task, "roles", None) or []],
        "runs_once": bool(getattr(task, "runs_once", False)),
        "mode": mode,
        "pool_size": int(pool_size) if pool_size else None,
        "file": getattr(code, "co_filename", None),
        "line": getattr(code, "co_firstlineno", None),
        "modern": modern,
    }


def _host(host):
    if isinstance(host, dict):
        text = host.get("host", "")
        if host.get("user"):
            text = "%s@%s" % (host["user"], text)
        return "%s:%s" % (text, host["port"]) if host.get("port") else text
    return str(host)


def _of_modern(task, parameter, one):
    name = parameter.name
    default = one.get("default")
    if name in (getattr(task, "iterable", None) or ()):
        one.update(kind="list", default=[], optional=True)
    elif name in (getattr(task, "incrementable", None) or ()):
        one.update(kind="integer", count=True)
    elif isinstance(default, bool):
        one["kind"] = "bool"
    elif isinstance(default, int):
        one["kind"] = "integer"
    elif isinstance(default, float):
        one["kind"] = "number"
    elif isinstance(parameter.default, list):
        one.update(kind="list", default=[])
    help_ = (getattr(task, "help", None) or {}) if isinstance(getattr(task, "help", None), dict) else {}
    text = help_.get(name) or help_.get(name.replace("_", "-")) or help_.get(name.rstrip("_"))
    if text:
        one["help"] = str(text)


def _arguments(task, given):
    """What was typed, as a call has it; what was not is the function's own business."""
    parameters, _ = _signature(task)
    args, kwargs, by_name = [], {}, False
    for parameter in parameters:
        value = given.get(parameter.name)
        if parameter.kind == parameter.VAR_POSITIONAL:
            args.extend(value or ())
        elif parameter.kind == parameter.VAR_KEYWORD:
            kwargs.update(value or {})
        elif parameter.name not in given or _is_default(parameter, value):
            by_name = True
        elif by_name or parameter.kind == parameter.KEYWORD_ONLY:
            kwargs[parameter.name] = value
        else:
            args.append(value)
    return args, kwargs


def _is_default(parameter, value):
    default = parameter.default
    if default is parameter.empty:
        return False
    plain = default if isinstance(default, (str, bool, int, float, type(None))) else repr(default)
    return type(value) is type(plain) and value == plain or (isinstance(default, list) and value == [] and not default)


# -- what keeps a fabfile from being loaded --------------------------------------------------------------------------


def why_not_loaded(error, path):
    from .tasks import format_error

    if type(error).__name__ == "CantConvert":
        return {"kind": "python2", "message": str(error)}
    if isinstance(error, SyntaxError):
        two = python2(error)
        if two is not None:
            return two
    _engine.flush()
    sys.stderr.write("".join(format_error(type(error), error, error.__traceback__)))
    sys.stderr.flush()
    fields = {"kind": "broken", "message": "%s can't be loaded: %s: %s" % (path, type(error).__name__, error)}
    if isinstance(error, ImportError) and getattr(error, "name", None):
        fields["message"] = "%s can't be loaded: %s has no module %r (fab --explain python says why it is this one)" % (
            path,
            sys.executable,
            error.name,
        )
        new = _SUCCESSORS.get(error.name.split(".")[0])
        if new:
            fields["message"] += "; %s is of Python 2: %s" % (error.name, new)
    return fields


_SUCCESSORS = {
    "boto": "boto3 came after it",
    "ConfigParser": "it is configparser now",
    "StringIO": "it is io.StringIO now",
    "cStringIO": "it is io.StringIO now",
    "urllib2": "it is urllib.request now",
    "urlparse": "it is urllib.parse now",
    "Queue": "it is queue now",
    "md5": "it is hashlib.md5 now",
    "cPickle": "it is pickle now",
    "httplib": "it is http.client now",
    "commands": "it is subprocess now",
    "xmlrpclib": "it is xmlrpc.client now",
    "__builtin__": "it is builtins now",
}


def python2(error):
    """What to say of a file in Python 2, if it is one."""
    path = getattr(error, "filename", None)
    if not path or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        text = file.read().decode("utf-8", "replace")
    line = error.lineno or 1
    lines = text.splitlines()
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else (error.text or "").strip()
    if not _looks_old(error, shown, text):
        return None
    return {
        "kind": "python2",
        "message": "%s:%d: this is Python 2: %s\n"
        "  Python 3, which runs fabfiles, can't read it (%s). Two ways on:\n"
        "  fab --to-python3 %s   converts it, shows what changes, and keeps the old file as %s2\n"
        "  python2 = \"convert\"    in fabric.toml converts it in memory, each time"
        % (path, line, shown, error.msg, os.path.relpath(path), os.path.basename(path)),
    }


def _looks_old(error, shown, text):
    import re

    words = (error.msg or "").lower()
    if "print" in words and "parenthes" in words or "exec" in words and "parenthes" in words:
        return True
    if "octal" in words or "leading zeros" in words or "multiple exception types" in words or "tab" in words and isinstance(error, TabError):
        return True
    old = (
        r"^\s*print\s+[^(=\s]", r"^\s*print\s*>>", r"^\s*print$", r"^\s*except\s+[\w.()\s]+,\s*\w+\s*:", r"^\s*raise\s+\w+\s*,",
        r"<>", r"\bur?'", r"`[^`]+`", r"^\s*exec\s+[^(]", r"\b0[0-7]+\b", r"\d+[lL]\b",
    )
    if any(re.search(pattern, shown) for pattern in old):
        return True
    return bool(re.search(r"(?m)^\s*print\s+[\"'\w]", text)) and not re.search(r"(?m)^\s*print\s*\(", text)
