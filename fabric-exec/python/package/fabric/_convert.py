"""Fabfiles in Python 2, made Python 3: by lib2to3, which Python has up to 3.12, or fissix, its successor."""

import difflib
import os
import sys

#: What changes how a file is read, and old names that have new ones. Nothing that would change what code means beyond that.
FIXERS = (
    "print", "except", "numliterals", "raise", "exec", "repr", "ne", "tuple_params", "dict", "imports", "unicode",
    "raw_input", "urllib", "basestring", "long", "xrange", "has_key", "execfile", "throw", "ws_comma",
)  # fmt: skip


class CantConvert(Exception):
    """There is nothing to convert with, or it failed."""


def _refactoring():
    try:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from lib2to3 import refactor

        return refactor, "lib2to3.fixes.fix_"
    except ImportError:
        pass
    try:
        from fissix import refactor

        return refactor, "fissix.fixes.fix_"
    except ImportError:
        raise CantConvert(
            "%s has nothing to convert Python 2 with: `%s -m pip install fissix`, or --python with a Python up to 3.12"
            % (sys.executable, sys.executable)
        )


def converted(text, path):
    """The text in Python 3; lines keep their numbers as far as that goes."""
    refactor, prefix = _refactoring()
    tool = refactor.RefactoringTool([prefix + name for name in FIXERS if name != "ws_comma"])
    text = _spaces_for_tabs(text)
    if not text.endswith("\n"):
        text += "\n"
    try:
        return str(tool.refactor_string(text, path))
    except Exception as error:
        raise CantConvert("%s can't be converted: %s" % (path, error))


def _spaces_for_tabs(text):
    """Python 2 took tabs and blanks for one another."""
    lines = []
    for line in text.splitlines(True):
        rest = line.lstrip(" \t")
        indent = line[: len(line) - len(rest)]
        lines.append((indent.expandtabs(8) if "\t" in indent and " " in indent else indent) + rest)
    joined = "".join(lines)
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in joined.splitlines() if line.strip()]
    if any("\t" in one for one in indents) and any(one.startswith(" ") for one in indents):
        return "".join(
            (line[: len(line) - len(line.lstrip(" \t"))].expandtabs(8) + line.lstrip(" \t")) for line in joined.splitlines(True)
        )
    return joined


def main(paths):
    """Converts files, shows what changes, and keeps the old ones as ``.py2``. Gives a status."""
    status = 0
    for path in paths:
        try:
            with open(path, "rb") as file:
                raw = file.read()
            text = raw.decode("utf-8-sig")
            new = converted(text, path)
            compile(new, path, "exec")
        except (CantConvert, OSError, SyntaxError, ValueError) as error:
            sys.stderr.write("fab: %s\n" % error)
            status = 1
            continue
        if new == text:
            print("%s: nothing to convert" % path)
            continue
        old = os.path.splitext(path)[0] + ".py2"
        if os.path.exists(old):
            sys.stderr.write("fab: %s is there already: nothing was written\n" % old)
            status = 1
            continue
        sys.stdout.writelines(
            line if line.endswith("\n") else line + "\n"
            for line in difflib.unified_diff(text.splitlines(True), new.splitlines(True), os.path.basename(old), os.path.basename(path))
        )
        os.rename(path, old)
        with open(path, "wb") as file:
            file.write(new.encode("utf-8"))
        print("%s is Python 3 now; the old file is %s" % (path, old))
    return status


def import_converted(root):
    """From now on modules below ``root`` that are Python 2 are converted when they are imported."""
    import importlib.machinery

    hook = importlib.machinery.FileFinder.path_hook((Converting, [".py"]))

    def below(place):
        if not os.path.abspath(place or ".").startswith(root):
            raise ImportError(place)
        return hook(place)

    sys.path_hooks.insert(0, below)
    sys.path_importer_cache.clear()


def _loader():
    import importlib.machinery

    class Converting(importlib.machinery.SourceFileLoader):
        """Loads a module, which is converted if it is Python 2."""

        def source_to_code(self, data, path, **kwargs):
            base = super(Converting, self).source_to_code
            try:
                return base(data, path, **kwargs)
            except SyntaxError as error:
                from ._load import python2

                if python2(error) is None:
                    raise
                _old_names()
                text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
                return base(converted(text, path).encode("utf-8"), path, **kwargs)

        def get_code(self, fullname):
            # What is converted is not written beside the file.
            return self.source_to_code(self.get_data(self.path), self.path)

    return Converting


Converting = _loader()


def _old_names():
    """Modules that have another name now."""
    import importlib

    for old, new in (("StringIO", "io"), ("ConfigParser", "configparser"), ("Queue", "queue"), ("cPickle", "pickle"), ("urlparse", "urllib.parse")):
        if old not in sys.modules:
            sys.modules[old] = importlib.import_module(new)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
