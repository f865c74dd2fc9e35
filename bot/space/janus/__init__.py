"""Janus-Pro itself: what it needs, its weights, its decode step, and the loop that serves it.

`shape`, `plan` and `files` are pure and cheap to import; everything else imports torch.
"""
