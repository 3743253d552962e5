"""The devices and the processes that a command works with."""
