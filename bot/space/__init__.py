"""A Gradio Space of our own with the functions of deepseek-ai/Janus-Pro-7B."""
