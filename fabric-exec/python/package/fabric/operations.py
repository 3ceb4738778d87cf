"""Commands, files and questions (Fabric 1)."""

import os
import re
import sys
import time
from contextlib import closing, contextmanager  # noqa: F401
from glob import glob  # noqa: F401

from . import _calls
from .context_managers import char_buffered, hide, settings  # noqa: F401
from .exceptions import CommandTimeout, NetworkError
from .network import needs_host, normalize, parse_host_string  # noqa: F401
from .state import connections, default_channel, env, output, win32  # noqa: F401
from .utils import abort, apply_lcwd, error, handle_prompt_abort, indent, puts, warn  # noqa: F401


class _AttributeString(str):
    """A text with attributes."""

    @property
    def stdout(self):
        return str(self)


class _AttributeList(list):
    """A list with attributes."""


class _stdoutString(str):
    """Standard output of a local command."""


def require(*keys, **kwargs):
    """Gives up unless ``env`` has these keys; ``used_for`` and ``provided_by`` say why, and which task sets them."""
    missing = [key for key in keys if key not in env or (isinstance(env[key], (dict, list, tuple, set)) and not env[key])]
    if not missing:
        return
    multiple = len(missing) > 1
    msg = "\nThe command '%s' failed because the\nfollowing required environment %s not defined:\n" % (
        env.command or "<unknown>",
        "variables were" if multiple else "variable was",
    )
    msg += indent("\n".join(missing))
    if "used_for" in kwargs:
        msg += "\n\nThese were used for: %s" % kwargs["used_for"] if multiple else "\n\nThis variable was used for: %s" % kwargs["used_for"]
    provided_by = kwargs.get("provided_by")
    if provided_by:
        funcs = provided_by if isinstance(provided_by, (list, tuple)) else [provided_by]
        names = [getattr(func, "name", None) or getattr(func, "__name__", None) or str(func) for func in funcs]
        msg += "\n\nTry running %s prior to this one, to fix the problem:\n" % (
            "one of the following commands" if len(names) > 1 else "the following command"
        )
        msg += indent("\n".join(names))
    abort(msg)


def prompt(text, key=None, default="", validate=None):
    """Asks a person, and gives the answer; ``key`` is where in ``env`` it is kept."""
    handle_prompt_abort("a user-specified prompt() call")
    previous = env.get(key) if key else None
    shown = "%s " % text.strip() + ("[%s] " % str(default).strip() if default != "" else "")
    if key and not default and previous is not None and default == "":
        pass
    while True:
        _calls._engine.flush()
        value = input(shown) or default
        if not validate:
            break
        if callable(validate):
            try:
                value = validate(value)
                break
            except Exception as failure:
                print("Validation failed for the following reason:")
                print(indent(str(failure)) + "\n")
        else:
            pattern = validate
            if not pattern.startswith("^"):
                pattern = "^" + pattern
            if not pattern.endswith("$"):
                pattern += "$"
            if re.search(pattern, str(value)):
                break
            print("Regular expression validation failed: '%s' does not match '%s'\n" % (value, pattern))
    if key:
        env[key] = value
        if previous is not None and previous != value:
            warn("overwrote previous env variable '%s'; used to be '%s', is now '%s'." % (key, previous, value))
    return value


def _prefix_commands(command, which):
    """A command with ``prefix()`` and ``cd()`` before it, as a text."""
    prefixes = list(env.command_prefixes)
    cwd = env.cwd if which == "remote" else env.lcwd
    redirect = " >/dev/null" if not win32 else ""
    if cwd:
        prefixes.insert(0, "cd %s%s" % (cwd.replace(" ", "\\ "), redirect))
    glue = " && "
    prefix = (glue.join(prefixes) + glue) if prefixes else ""
    return prefix + command


def _shell_escape(string):
    for char in ('"', "$", "`"):
        string = string.replace(char, r"\%s" % char)
    return string


def _prefix_env_vars(command, local=False):
    """A command with ``path()`` and ``shell_env()`` before it, as a text."""
    variables = {}
    path = env.path
    if path:
        if env.path_behavior == "append":
            path = '$PATH:"%s"' % path
        elif env.path_behavior == "prepend":
            path = '"%s":$PATH' % path
        else:
            path = '"%s"' % path
        variables["PATH"] = path
    variables.update({key: _shell_escape(str(value)) for key, value in env.shell_env.items()})
    if variables:
        exports = " ".join('%s="%s"' % (key, value) for key, value in variables.items())
        return "export %s && %s" % (exports, command)
    return command


def _shell_wrap(command, shell_escape, shell=True, sudo_prefix=None):
    shell = env.shell + " " if shell and env.use_shell else ""
    sudo_prefix = sudo_prefix or ""
    if shell:
        if shell_escape:
            command = _shell_escape(command)
        command = '"%s"' % command
    return sudo_prefix + shell + command


def _sudo_prefix_argument(argument, value):
    if value is None:
        return ""
    if str(value).isdigit():
        value = "#%s" % value
    return ' %s "%s"' % (argument, value)


def _sudo_prefix(user, group=None):
    prefix = env.sudo_prefix % env
    if user is not None or group is not None:
        return "%s%s%s " % (prefix, _sudo_prefix_argument("-u", user), _sudo_prefix_argument("-g", group))
    return prefix


def _result(text, header, stdout, stderr, command):
    out = _AttributeString(text)
    code = header.get("exit")
    out.return_code = code if code is not None else -1
    out.failed = code not in env.ok_ret_codes
    out.succeeded = not out.failed
    out.stderr = stderr
    out.command = command
    out.real_command = header.get("real_command", command)
    return out


def _failed(out, what, command):
    msg = "%s() received nonzero return code %s while executing" % (what, out.return_code)
    if env.warn_only:
        msg += " '%s'!" % command
    else:
        msg += "!\n\nRequested: %s\nExecuted: %s" % (command, out.real_command)
    error(message=msg, stdout=out, stderr=out.stderr)


def _run_command(command, shell=True, pty=True, combine_stderr=True, sudo=False, user=None, quiet=False, warn_only=False,
                 stdin=None, stdout=None, stderr=None, group=None, timeout=None, shell_escape=None,
                 capture_buffer_size=None):
    managers = []
    if quiet:
        managers.append(hide("everything"))
    if quiet or warn_only:
        managers.append(settings(warn_only=True))
    with settings(*managers):
        which = "sudo" if sudo else "run"
        command = str(command)
        _calls.needs_host()
        header = {
            "shell": bool(shell and env.use_shell),
            "pty": bool(pty and env.always_use_pty and stdin is None),
            "combine_stderr": bool(env.combine_stderr if combine_stderr is None else combine_stderr),
        }
        if shell_escape is None:
            shell_escape = env.get("shell_escape", True)
        if not shell_escape:
            header["shell_escape"] = False
        if sudo:
            user = user if user is not None else env.sudo_user
            for name, value in (("user", user), ("group", group)):
                if value is not None:
                    header[name] = "#%s" % value if str(value).isdigit() else str(value)
        if timeout is not None:
            header["timeout"] = float(timeout)
        if capture_buffer_size is not None:
            header["capture"] = int(capture_buffer_size)
        raw = None
        if stdin is not None and hasattr(stdin, "read"):
            raw = stdin.read()
            header["stdin"] = raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")
        if not _calls.engine.within_fab and (output.running or output.debug):
            print("[%s] %s: %s" % (env.host_string, which, command))
        answer, out_bytes, err_bytes, any_output = _calls.execute(which, command, header, stdout, stderr)
        out = _result(_text(out_bytes).strip(), answer, None, _text(err_bytes).strip(), command)
        if not _calls.engine.within_fab and output.running and any_output:
            print("")
        if out.failed:
            _failed(out, which, command)
        return out


def _text(raw):
    return raw.decode("utf-8", "replace")


def run(command, shell=True, pty=True, combine_stderr=None, quiet=False, warn_only=False, stdin=None, stdout=None,
        stderr=None, timeout=None, shell_escape=None, capture_buffer_size=None):
    """Runs a command on the host.

    Gives what it printed, as a ``str`` with the attributes ``stdout``, ``stderr``, ``return_code``, ``failed``,
    ``succeeded``, ``command`` and ``real_command``. A failure aborts, unless ``warn_only`` (or ``env.warn_only``).
    """
    return _run_command(command, shell, pty, combine_stderr, quiet=quiet, warn_only=warn_only, stdin=stdin, stdout=stdout,
                        stderr=stderr, timeout=timeout, shell_escape=shell_escape, capture_buffer_size=capture_buffer_size)


def sudo(command, shell=True, pty=True, combine_stderr=None, user=None, quiet=False, warn_only=False, stdin=None,
         stdout=None, stderr=None, group=None, timeout=None, shell_escape=None, capture_buffer_size=None):
    """The same by ``sudo``, as ``user`` and ``group``."""
    return _run_command(command, shell, pty, combine_stderr, sudo=True, user=user, group=group, quiet=quiet,
                        warn_only=warn_only, stdin=stdin, stdout=stdout, stderr=stderr, timeout=timeout,
                        shell_escape=shell_escape, capture_buffer_size=capture_buffer_size)


def local(command, capture=False, shell=None, pty=True, encoding="utf-8"):
    """Runs a command on this machine, in ``lcd()``; ``capture`` gives what it printed instead of showing it.

    It has this program's terminal and environment, as in Fabric 1.
    """
    import subprocess

    command = str(command)
    if _calls.engine.dry_run:
        answer = _calls.execute("local", command, {})[0]
        return _result("", answer, None, "", command)
    real = _prefix_commands(_prefix_env_vars(command, local=True), "local")
    if output.debug:
        print("[localhost] local: %s" % real)
    elif output.running:
        print("[localhost] local: %s" % command)
    _calls._engine.flush()
    if capture:
        out_stream = err_stream = subprocess.PIPE
    else:
        out_stream = None if output.stdout else subprocess.DEVNULL
        err_stream = None if output.stderr else subprocess.DEVNULL
    options = {} if pty else {"stdin": subprocess.PIPE, "start_new_session": True}
    process = subprocess.Popen(real, shell=True, stdout=out_stream, stderr=err_stream, executable=shell, close_fds=True, **options)
    stdout, stderr = process.communicate()
    binary = encoding == "binary"
    if binary:
        out, err = stdout or b"", stderr or b""
        out = _AttributeBytes(out)
    else:
        out = _AttributeString(stdout.decode(encoding, "replace").strip() if stdout else "")
        err = stderr.decode(encoding, "replace").strip() if stderr else ""
    out.command, out.real_command = command, real
    out.stderr = err
    out.return_code = process.returncode
    out.failed = process.returncode not in env.ok_ret_codes
    out.succeeded = not out.failed
    if out.failed:
        msg = "local() encountered an error (return code %s) while executing '%s'" % (process.returncode, command)
        error(message=msg, stdout=out, stderr=err)
    return out


class _AttributeBytes(bytes):
    """Bytes with attributes."""

    @property
    def stdout(self):
        return bytes(self)


def _transfer(answer, prefix, failed_side):
    paths = _AttributeList(answer.get(prefix, []))
    paths.failed = [path for path, _ in answer.get("failed", [])]
    paths.succeeded = not paths.failed
    return paths


def _said(error):
    return error if isinstance(error, str) else str(error)


def put(local_path=None, remote_path=None, use_sudo=False, mirror_local_mode=False, mode=None, use_glob=True, temp_dir=None):
    """Puts files, a directory, what a pattern matches, or a file-like object on the host.

    Gives the paths that were written, as a list with ``failed`` and ``succeeded``.
    """
    local_path = local_path if local_path is not None else os.getcwd()
    is_path = not hasattr(local_path, "read")
    header = {"use_sudo": bool(use_sudo), "glob": bool(use_glob), "mirror": bool(mirror_local_mode)}
    if mode is not None:
        header["mode"] = int(mode, 8) if isinstance(mode, str) else int(mode)
    if temp_dir is not None:
        header["temp_dir"] = str(temp_dir)
    shown = None
    if is_path:
        local_path = apply_lcwd(os.path.expanduser(str(local_path)), env)
        names = glob(local_path) if use_glob else ([local_path] if os.path.exists(local_path) else [])
        if not names and os.path.exists(local_path):
            names, header["glob"] = [local_path], False
        if not names:
            raise ValueError("'%s' is not a valid local path or glob." % local_path)
        shown = os.path.abspath(names[0])
        if not os.path.isabs(local_path):
            local_path = os.path.join(os.getcwd(), local_path)
    elif not remote_path:
        raise ValueError("put() of a file-like object needs a remote path")
    _calls.needs_host()
    # As in Fabric 1: the login directory, also within cd().
    remote_path = remote_path or "~"
    if not _calls.engine.within_fab and output.running:
        print("[%s] put: %s -> %s" % (env.host_string, shown or getattr(local_path, "name", "<file obj>"), remote_path))
    try:
        answer = _calls.put(local_path, str(remote_path), header)
    except OSError as problem:
        error("put() encountered an exception while uploading '%s'" % (shown or "<file obj>"), exception=problem)
        answer = {"remote": [], "failed": [[shown or "<file obj>", str(problem)]]}
    else:
        for path, reason in answer.get("failed", []):
            error("put() encountered an exception while uploading '%s'\n\n%s" % (path, reason))
    return _transfer(answer, "remote", "local")


def get(remote_path, local_path=None, use_sudo=False, temp_dir=None):
    """Gets files from the host, into ``local_path`` (``%(host)s/%(path)s``) or a file-like object.

    Gives the paths that were written, as a list with ``failed`` and ``succeeded``.
    """
    header = {"use_sudo": bool(use_sudo), "glob": True}
    if temp_dir is not None:
        header["temp_dir"] = str(temp_dir)
    host = (_calls.needs_host() or "").replace(":", "-")
    if local_path is None:
        local_path = "%(host)s/%(path)s"
    if not hasattr(local_path, "write"):
        local_path = apply_lcwd(os.path.expanduser(str(local_path)), env)
        if not os.path.isabs(local_path):
            local_path = os.path.join(os.getcwd(), local_path)
        local_path = _as_template(local_path, host)
    if not _calls.engine.within_fab and output.running:
        print("[%s] download: %s <- %s" % (env.host_string, getattr(local_path, "name", local_path), remote_path))
    try:
        answer = _calls.get(str(remote_path), local_path, header)
    except OSError as problem:
        error("get() encountered an exception while downloading '%s'" % remote_path, exception=problem)
        answer = {"local": [], "failed": [[str(remote_path), str(problem)]]}
    else:
        for path, reason in answer.get("failed", []):
            error("get() encountered an exception while downloading '%s'\n\n%s" % (path, reason))
    paths = _transfer(answer, "local", "remote")
    if hasattr(local_path, "write"):
        del paths[:]
    return paths


def _as_template(path, host):
    """The engine's template for one of Fabric 1."""
    path = path.replace("{", "{{").replace("}", "}}")
    for name in ("path", "basename", "dirname"):
        path = path.replace("%%(%s)s" % name, "{%s}" % name)
    return path.replace("%(host)s", host)


def open_shell(command=None):
    """An interactive shell on the host; ``command`` is typed first."""
    _calls.ask("open_shell", {"line": command})


def reboot(wait=120, command="reboot", use_sudo=True):
    """Reboots the host, and waits until it can be connected to again: at most ``wait`` seconds."""
    _calls.needs_host()
    with settings(hide("running"), timeout=5, connection_attempts=max(1, int(wait) // 5)):
        try:
            (sudo if use_sudo else run)(command, warn_only=True)
        except (NetworkError, CommandTimeout, RuntimeError):
            # The connection went with the host.
            pass
        host = env.host_string
        time.sleep(5)
        connections[host].close()
        connections.connect(host)


rsync_project = None
del rsync_project
_ = sys
