"""Builds the wheel: the package, its stand-ins, and the program `fab`, which cargo builds (PEP 517).

`FABRIC_WHEEL_FAB` names a program that is built already.
"""

import base64
import hashlib
import os
import subprocess
import sysconfig
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NAME, VERSION = "fabric_rs", "0.1.0"

METADATA = """Metadata-Version: 2.1
Name: fabric-rs
Version: %s
Summary: Fabric: commands, deploys and maintenance on one server or ten thousand, over SSH
License: MIT OR Apache-2.0
Requires-Python: >=3.6
""" % VERSION

ENTRY_POINTS = "[console_scripts]\nfab = fabric.main:main\n"


def get_requires_for_build_wheel(config_settings=None):
    return []


def get_requires_for_build_sdist(config_settings=None):
    return []


def _fab():
    given = os.environ.get("FABRIC_WHEEL_FAB")
    if given:
        return given
    subprocess.check_call(["cargo", "build", "--release", "--locked", "-p", "fabric-cli", "--bin", "fab"], cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, "release", "fab")


def _sources():
    """Names in the wheel, and files."""
    package = os.path.join(HERE, "package")
    for folder, dirs, names in os.walk(package):
        dirs[:] = sorted(name for name in dirs if name != "__pycache__")
        for name in sorted(names):
            if name.endswith((".py", ".pyi", ".typed")):
                path = os.path.join(folder, name)
                inside = os.path.relpath(path, package).replace(os.sep, "/")
                if inside.startswith("standins/"):
                    inside = "fabric/_standins/" + inside[len("standins/") :]
                yield inside, path


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = "py3-none-%s" % platform
    info = "%s-%s.dist-info" % (NAME, VERSION)
    wheel = "%s-%s-%s.whl" % (NAME, VERSION, tag)
    record = []
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name, content, mode=0o644):
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
            record.append("%s,sha256=%s,%d" % (name, digest, len(content)))

        for name, path in _sources():
            with open(path, "rb") as file:
                add(name, file.read())
        with open(_fab(), "rb") as file:
            add("fabric/_engine/fab", file.read(), 0o755)
        # Behind all that is installed, so that the real ones win.
        add("fabric_standins.pth", b"fabric/_standins\n")
        add(info + "/METADATA", METADATA.encode("utf-8"))
        add(info + "/WHEEL", ("Wheel-Version: 1.0\nGenerator: fabric\nRoot-Is-Purelib: false\nTag: %s\n" % tag).encode("utf-8"))
        add(info + "/entry_points.txt", ENTRY_POINTS.encode("utf-8"))
        record.append("%s/RECORD,," % info)
        archive.writestr(info + "/RECORD", "\n".join(record) + "\n")
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError("there is no source distribution: pip install . in the repository")
