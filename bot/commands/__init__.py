"""The commands of `janus-bot`; each is loaded when it is asked for."""
