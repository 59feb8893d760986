"""Discovery of plugins."""


def register_third_party_plugins() -> None:
    """Import installed plugins; there are none beside the fake."""
