"""The web chat, and the pages for operators beside it."""
