"""`python -m bot` is `janus-bot`."""

from bot.cli import main

if __name__ == "__main__":
    main()
