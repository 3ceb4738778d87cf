"""Looking into and changing files of hosts (Fabric 1)."""

import os
import re
from functools import partial  # noqa: F401
from io import BytesIO

from fabric.api import *  # noqa: F401,F403
from fabric.api import abort, env, hide, put, run, settings, sudo, warn
from fabric.operations import _AttributeList  # noqa: F401
from fabric.utils import apply_lcwd

try:
    import hashlib
except ImportError:  # pragma: no cover
    hashlib = None


def _expand_path(path):
    """A path in double quotes, in which ``~`` still is the home directory."""
    return path.replace(" ", r"\ ")


def _func(use_sudo):
    return sudo if use_sudo else run


def exists(path, use_sudo=False, verbose=False):
    """Whether there is something of this path."""
    with settings(hide("everything"), warn_only=True):
        return not _func(use_sudo)("stat %s" % _expand_path(path)).failed


def is_link(path, use_sudo=False, verbose=False):
    """Whether it is a link."""
    with settings(hide("everything"), warn_only=True):
        return not _func(use_sudo)("test -L %s" % _expand_path(path)).failed


def first(*args, **kwargs):
    """The first of these paths that is there."""
    for path in args:
        if exists(path, **kwargs):
            return path


def upload_template(filename, destination, context=None, use_jinja=False, template_dir=None, use_sudo=False, backup=True,
                    mirror_local_mode=False, mode=None, pty=None, keep_trailing_newline=False, temp_dir=""):
    """Puts a local file, filled in with ``context`` (``%(name)s``, or Jinja), on the host; the old one becomes ``.bak``."""
    func = _func(use_sudo)
    if pty is not None:
        func = partial(func, pty=pty)
    with settings(hide("everything"), warn_only=True):
        if func("test -d %s" % _expand_path(destination)).succeeded:
            destination = destination.rstrip("/") + "/" + os.path.basename(filename)
    if mirror_local_mode and mode is None:
        mode = os.stat(apply_lcwd(filename, env)).st_mode & 0o7777
        mirror_local_mode = False
    if use_jinja:
        try:
            template_dir = apply_lcwd(template_dir or os.getcwd(), env)
            from jinja2 import Environment, FileSystemLoader

            jenv = Environment(loader=FileSystemLoader(template_dir), keep_trailing_newline=keep_trailing_newline)
            text = jenv.get_template(filename).render(**(context or {}))
        except ImportError:
            import traceback

            abort("%s\nUnable to import Jinja2 -- see above." % traceback.format_exc())
    else:
        if template_dir:
            filename = os.path.join(template_dir, filename)
        with open(apply_lcwd(os.path.expanduser(filename), env)) as file:
            text = file.read()
        if context:
            text = text % context
    if backup and exists(destination, use_sudo=use_sudo):
        target = destination.replace(" ", r"\ ")
        func("cp %s %s.bak" % (target, target))
    return put(local_path=BytesIO(text.encode("utf-8")), remote_path=destination, use_sudo=use_sudo,
               mirror_local_mode=mirror_local_mode, mode=mode)


def sed(filename, before, after, limit="", use_sudo=False, backup=".bak", flags="", shell=False):
    """Replaces what a pattern matches, by ``sed``; what ``limit`` matches are the lines."""
    func = _func(use_sudo)
    for char in "/'":
        before = before.replace(char, r"\%s" % char)
        after = after.replace(char, r"\%s" % char)
    for char in "()":
        after = after.replace(char, r"\%s" % char)
    if limit:
        limit = r"/%s/ " % limit
    context = {
        "script": r"'%ss/%s/%s/%sg'" % (limit, before, after, flags),
        "filename": _expand_path(filename),
        "backup": backup,
    }
    with hide("running", "stdout"):
        platform = run("uname", shell=False, pty=False)
    if platform in ("NetBSD", "OpenBSD", "QNX"):
        temp = "/tmp/%s" % hashlib.sha1(("%s%s" % (env.host_string, filename)).encode("utf-8")).hexdigest()
        expr = r"""sed -r -e %s %s > %s && cp -p %s %s%s && cat %s > %s && rm %s""" % (
            context["script"], context["filename"], temp, context["filename"], context["filename"], backup or ".bak",
            temp, context["filename"], temp)
    else:
        context["extended_regex"] = "-E" if platform == "Darwin" else "-r"
        expr = r"sed -i%(backup)s %(extended_regex)s -e %(script)s %(filename)s" % context
    return func(expr, shell=shell)


def uncomment(filename, regex, use_sudo=False, char="#", backup=".bak", shell=False):
    """Takes the comment character, and a blank after it, off the lines that match."""
    return sed(filename, before=r"^([[:space:]]*)%s[[:space:]]?" % char, after=r"\1", limit=regex, use_sudo=use_sudo,
               backup=backup, shell=shell)


def comment(filename, regex, use_sudo=False, char="#", backup=".bak", shell=False):
    """Puts the comment character before the lines that match."""
    carot, dollar = "", ""
    if regex.startswith("^"):
        carot, regex = "^", regex[1:]
    if regex.endswith("$"):
        dollar, regex = "$", regex[:-1]
    regex = "%s(%s)%s" % (carot, regex, dollar)
    return sed(filename, before=regex, after=r"%s\1" % char, use_sudo=use_sudo, backup=backup, shell=shell)


def contains(filename, text, exact=False, use_sudo=False, escape=True, shell=False, case_sensitive=True):
    """Whether a file has lines with this text: a pattern of ``egrep`` where ``escape`` is false."""
    func = _func(use_sudo)
    if escape:
        text = _escape_for_regex(text)
        if exact:
            text = "^%s$" % text
    with settings(hide("everything"), warn_only=True):
        egrep_cmd = 'egrep "%s" %s' % (text, _expand_path(filename))
        if not case_sensitive:
            egrep_cmd = egrep_cmd.replace("egrep", "egrep -i", 1)
        return func(egrep_cmd, shell=shell).succeeded


def append(filename, text, use_sudo=False, partial=False, escape=True, shell=False):
    """Adds these lines to a file, but for those that it has; ``partial`` takes the beginning of a line for it."""
    func = _func(use_sudo)
    if isinstance(text, str):
        text = [text]
    for line in text:
        regex = "^" + _escape_for_regex(line) + ("" if partial else "$")
        if exists(filename, use_sudo=use_sudo) and line and contains(filename, regex, use_sudo=use_sudo, escape=False, shell=shell):
            continue
        line = line.replace("'", r"'\''") if escape else line
        func("echo '%s' >> %s" % (line, _expand_path(filename)))


def _escape_for_regex(text):
    """A text as ``egrep`` in double quotes has to have it."""
    escaped = re.escape(text)
    escaped = escaped.replace("\\\\", "\\\\\\")
    escaped = escaped.replace(r"\$", r"\\\$").replace(r"\`", r"\\\`")
    for char in ("'", '"', "/", " ", "=", "&", "%", "#", ":", ",", "@", "<", ">", ";", "!", "~", "-", "_"):
        escaped = escaped.replace("\\" + char, char)
    return escaped.replace('"', r'\"')


_ = (warn, env)
