# What the bot says on Telegram only.

telegram-unreadable = I can read text and still pictures, not this kind of message.
