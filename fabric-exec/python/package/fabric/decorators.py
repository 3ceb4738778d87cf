"""What is said about a task (Fabric 1)."""

import types  # noqa: F401
from functools import wraps

from . import tasks
from .context_managers import settings


def task(*args, **kwargs):
    """Makes a function a task: ``@task``, or ``@task(alias=.., aliases=.., default=.., name=.., task_class=..)``."""
    invoked = bool(not args or kwargs)
    task_class = kwargs.pop("task_class", tasks.WrappedCallableTask)
    func = None
    if not invoked:
        func, args = args[0], ()

    def wrapper(func):
        return task_class(func, *args, **kwargs)

    return wrapper if invoked else wrapper(func)


def _wrap_as_new(original, new):
    if isinstance(original, tasks.Task):
        return tasks.WrappedCallableTask(new)
    return new


def _list_annotating_decorator(attribute, *values):
    def attach_list(func):
        @wraps(func)
        def inner_decorator(*args, **kwargs):
            return func(*args, **kwargs)

        items = values
        if len(items) == 1 and not isinstance(items[0], str) and hasattr(items[0], "__iter__"):
            items = items[0]
        setattr(inner_decorator, attribute, list(items))
        if isinstance(func, tasks.Task):
            inner_decorator = _wrap_as_new(func, inner_decorator)
            for name in ("name", "aliases", "is_default"):
                setattr(inner_decorator, name, getattr(func, name))
        return inner_decorator

    if len(values) == 1 and not isinstance(values[0], str) and hasattr(values[0], "__iter__"):
        # A generator is read once, when it is given.
        values = (list(values[0]),)
    return attach_list


def hosts(*host_list):
    """On which hosts a function runs, unless its call says so."""
    return _list_annotating_decorator("hosts", *host_list)


def roles(*role_list):
    """On the hosts of which roles a function runs, unless its call says so."""
    return _list_annotating_decorator("roles", *role_list)


def runs_once(func):
    """Runs once in a process; further calls give what the first one gave."""

    @wraps(func)
    def decorated(*args, **kwargs):
        if not hasattr(decorated, "return_value"):
            decorated.return_value = func(*args, **kwargs)
        return decorated.return_value

    decorated = _wrap_as_new(func, decorated)
    decorated.runs_once = True
    decorated = serial(decorated)
    decorated.runs_once = True
    return decorated


def serial(func):
    """Runs on its hosts one after another, whatever ``env.parallel`` says."""
    if not getattr(func, "parallel", False):
        func.serial = True
    return _wrap_as_new(func, func) if not isinstance(func, tasks.Task) else func


def parallel(pool_size=None):
    """Runs on its hosts at the same time, on at most ``pool_size``."""
    called_without_args = callable(pool_size) or isinstance(pool_size, tasks.Task)

    def real_decorator(func):
        if isinstance(func, tasks.Task):
            inner = func
        else:

            @wraps(func)
            def inner(*args, **kwargs):
                return func(*args, **kwargs)

        inner.parallel = True
        inner.serial = False
        inner.pool_size = None if called_without_args else pool_size
        return inner

    if called_without_args:
        return real_decorator(pool_size)
    return real_decorator


def with_settings(*arg_settings, **kw_settings):
    """Runs a function within ``settings(..)``."""

    def outer(func):
        @wraps(func)
        def inner(*args, **kwargs):
            with settings(*arg_settings, **kw_settings):
                return func(*args, **kwargs)

        return _wrap_as_new(func, inner)

    return outer
