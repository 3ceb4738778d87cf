"""Forwarded ports: ``Connection.forward_local`` and ``forward_remote``."""
