"""Saying things, and giving up (Fabric 1)."""

import os
import struct
import sys
import textwrap
from traceback import format_exc

from . import _engine
from .state import env, output, win32


def _colour(name, text):
    if env.get("colorize_errors"):
        from . import colors

        return getattr(colors, name)(text)
    return text


def abort(msg):
    """Ends this task, and with it the program: ``SystemExit``, or ``env.abort_exception``."""
    if not env.get("colorize_errors"):
        red = lambda text: text
    else:
        from .colors import red
    if output.aborts:
        _engine.flush()
        sys.stderr.write(red("\nFatal error: %s\n" % _said(msg)))
        sys.stderr.write(red("\nAborting.\n"))
        sys.stderr.flush()
    if env.abort_exception:
        raise env.abort_exception(msg)
    error = SystemExit(1)
    error.message = msg
    raise error


def _said(msg):
    return msg if isinstance(msg, str) else str(msg)


def warn(msg):
    """Prints a warning, and goes on."""
    if output.warnings:
        _engine.flush()
        sys.stderr.write(_colour("magenta", "\nWarning: %s\n\n" % _said(msg)))
        sys.stderr.flush()


def indent(text, spaces=4, strip=False):
    """A text, or lines, moved to the right; ``strip`` first takes off what all lines begin with."""
    if isinstance(text, (list, tuple)):
        text = "\n".join(text)
    if strip:
        text = textwrap.dedent(text)
    prefix = " " * spaces
    return "\n".join(prefix + line for line in text.splitlines()) + ("\n" if text.endswith("\n") else "")


def puts(text, show_prefix=None, end="\n", flush=False):
    """Prints, with the host in front (``env.output_prefix``), unless ``user`` is hidden."""
    if show_prefix is None:
        show_prefix = env.output_prefix
    if output.user:
        prefix = "[%s] " % env.host_string if env.host_string and show_prefix else ""
        sys.stdout.write(prefix + str(text) + end)
        if flush:
            sys.stdout.flush()


def fastprint(text, show_prefix=False, end="", flush=True):
    """Prints at once, and nothing else than the text."""
    return puts(text=text, show_prefix=show_prefix, end=end, flush=flush)


def handle_prompt_abort(prompt_for):
    """Ends the task where nothing may be asked."""
    reason = "Needed to prompt for %s (host: %s), but %%s" % (prompt_for, env.host_string)
    if env.abort_on_prompts:
        abort(reason % "abort-on-prompts was set to True")
    if env.parallel:
        abort(reason % "input would be ambiguous in parallel mode")


def _pty_size():
    """Rows and columns of the terminal, or 24 and 80."""
    rows, cols = 24, 80
    if not win32:
        try:
            import fcntl
            import termios

            if sys.stdout.isatty():
                seen = struct.unpack("HHHH", fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8))
                rows, cols = seen[0] or rows, seen[1] or cols
        except (AttributeError, OSError, ImportError, ValueError):
            pass
    return rows, cols


def _format_error_output(header, body):
    term_width = _pty_size()[1]
    header_side_length = max(0, (term_width - (len(header) + 2)) // 2)
    mark = "=" * header_side_length
    return "\n\n%s %s %s\n\n%s\n\n%s" % (mark, header, mark, body, "=" * term_width)


def error(message, func=None, exception=None, stdout=None, stderr=None):
    """Gives up by ``func``: ``abort``, or ``warn`` where ``env.warn_only`` says so."""
    if func is None:
        func = warn if env.warn_only else abort
    if sys.exc_info()[0] is not None and (output.exceptions or output.debug):
        message += "\n\n" + format_exc()
    elif exception is not None:
        underlying = getattr(exception, "strerror", None) or exception
        if isinstance(underlying, BaseException) and not str(underlying):
            underlying = repr(underlying)
        message += "\n\nUnderlying exception:\n" + indent(str(underlying))
    if func is abort:
        if stdout and not output.stdout:
            message += _format_error_output("Standard output", stdout)
        if stderr and not output.stderr:
            message += _format_error_output("Standard error", stderr)
    return func(message)


def apply_lcwd(path, env):
    """A local path below ``lcd()``."""
    if not os.path.isabs(path) and env.lcwd:
        path = os.path.join(env.lcwd, path)
    return path
