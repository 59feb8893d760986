"""Tasks in scenes that users bring as MJCF with a TOML file."""
