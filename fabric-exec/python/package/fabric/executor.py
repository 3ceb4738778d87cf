"""In Fabric 3 what runs tasks; here ``fab`` does."""


class Executor(object):
    """Tasks are run by ``fab``."""

    def __init__(self, collection=None, config=None, core=None):
        self.collection, self.config, self.core = collection, config, core

    def execute(self, *tasks):
        raise NotImplementedError("Executor.execute: tasks are run by the program fab")
