# What the bot says on Telegram only.

telegram-unreadable = I can read text and still pictures, not this kind of message.
telegram-still = (I see one still of this, not the whole film.)
telegram-new-prompt = reply to this message with the new prompt:
telegram-handed-over = I sent it to you in our private chat.
telegram-write-first = Write to me in private first ({ $bot }), then I can send it to you there.
