# What the bot says on Telegram only.

telegram-unreadable = I can read text and still pictures, not this kind of message.
telegram-still = (I see one still of this, not the whole film.)
telegram-new-prompt = reply to this message with the new prompt:
telegram-handed-over = I sent it to you in our private chat.
telegram-write-first = Write to me in private first ({ $bot }), then I can send it to you there.

## Why the bot may not write somewhere

telegram-forbidden-blocked = You have blocked the bot on Telegram.
telegram-forbidden-deactivated = This Telegram account does not exist any more.
telegram-forbidden-write-first = You have to write to the bot on Telegram first.
telegram-forbidden-kicked = The bot was removed from this Telegram group.
telegram-forbidden-no-member = The bot is not a member of this Telegram chat.
telegram-forbidden-deleted = This Telegram group was deleted.
telegram-forbidden-photos = The bot may not send photos in this Telegram group; an administrator can allow it in the group's permissions.
telegram-forbidden-files = The bot may not send files in this Telegram group; an administrator can allow it in the group's permissions.
telegram-forbidden-pictures = The bot may not send pictures in this Telegram group; an administrator can allow it in the group's permissions.
telegram-forbidden-right = The bot lacks a right in this Telegram group; an administrator can grant it.
telegram-forbidden-writing = The bot may not write in this Telegram group; an administrator can allow it in the group's permissions.
telegram-forbidden-topic-closed = This Telegram topic is closed; an administrator can reopen it.
telegram-forbidden-topic-gone = This Telegram topic does not exist any more.
telegram-forbidden-gone = This Telegram chat does not exist any more, or never wrote to the bot.

## Inline mode

telegram-inline-draw = Draw this
telegram-inline-start = Pictures come here by way of our private chat
telegram-inline-write-first = Write to me in private first ({ $bot }): Telegram lets me show pictures here only by way of our private chat.
