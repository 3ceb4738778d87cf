"""Doubles of Fabric 3's for tests are made of Paramiko's classes, which are not here."""


def __getattr__(name):
    raise NotImplementedError("fabric.testing.%s: its doubles are made of Paramiko, which is not below this Fabric; fab has an in-memory "
                              "fleet for tests in Rust, and unittest.mock patches Connection.run" % name)
