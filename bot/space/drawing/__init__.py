"""Seeded pictures from the words of a prompt, drawn with Pillow alone.

`scene` reads the words, `compose` arranges five pictures, and the other modules draw what is in
them. All of it is deterministic: randomness comes from a `random.Random` that is passed in.
"""
