"""Tasks of one's own scenes: MJCF with objects beside a TOML file."""
