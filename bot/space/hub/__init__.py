"""The Space as one on Hugging Face: `app.py` and the files beside it are its repository."""
