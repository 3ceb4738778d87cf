"""The version that this Fabric answers to where one is asked for."""

VERSION = (1, 21, 0, "final", 0)

__version_info__ = (3, 2, 3)
__version__ = "3.2.3"


def get_version(form="short"):
    """``short`` and ``verbose`` are the version in words; all other forms give all of them."""
    forms = {"branch": "1.21", "tag": "1.21", "short": "1.21.0", "normal": "1.21.0", "verbose": "1.21.0 final", "all": VERSION}
    return forms if form == "all" else forms.get(form, "1.21.0")
