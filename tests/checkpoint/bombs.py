"""A pickle that runs code when it is read."""

import os


class Bomb:
    """Writes the canary when it is unpickled."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)
