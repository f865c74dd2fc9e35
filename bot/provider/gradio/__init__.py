"""A client of Gradio servers, 4.44 to 6, as far as a queue of long calls needs it."""
