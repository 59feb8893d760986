"""Control of an arm in real time."""
