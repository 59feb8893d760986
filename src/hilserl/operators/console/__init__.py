"""The operator's console: MuJoCo Studio's viewer, in a browser or a window, with our panel; keys in, pictures out."""
