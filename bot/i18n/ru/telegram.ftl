# Что бот говорит только в Telegram.

telegram-unreadable = Я понимаю текст и неподвижные картинки, но не такие сообщения.
telegram-still = (Я вижу один кадр, а не всё видео.)
telegram-new-prompt = ответьте на это сообщение новым описанием:
telegram-handed-over = Я отправил это вам в личный чат.
telegram-write-first = Сначала напишите мне лично ({ $bot }), тогда я смогу отправить это туда.

## Почему бот где-то не может писать

telegram-forbidden-blocked = Вы заблокировали бота в Telegram.
telegram-forbidden-deactivated = Этого аккаунта Telegram больше нет.
telegram-forbidden-write-first = Сначала напишите боту в Telegram.
telegram-forbidden-kicked = Бота удалили из этой группы Telegram.
telegram-forbidden-no-member = Бот не состоит в этом чате Telegram.
telegram-forbidden-deleted = Эта группа Telegram удалена.
telegram-forbidden-photos = Боту нельзя отправлять фотографии в этой группе Telegram; администратор может разрешить это в её настройках.
telegram-forbidden-files = Боту нельзя отправлять файлы в этой группе Telegram; администратор может разрешить это в её настройках.
telegram-forbidden-pictures = Боту нельзя отправлять картинки в этой группе Telegram; администратор может разрешить это в её настройках.
telegram-forbidden-right = У бота нет нужного права в этой группе Telegram; его может дать администратор.
telegram-forbidden-writing = Боту нельзя писать в этой группе Telegram; администратор может разрешить это в её настройках.
telegram-forbidden-topic-closed = Эта тема Telegram закрыта; администратор может её открыть.
telegram-forbidden-topic-gone = Этой темы Telegram больше нет.
telegram-forbidden-gone = Этого чата Telegram больше нет, или из него боту не писали.

## Inline-режим

telegram-inline-draw = Нарисовать это
telegram-inline-start = Картинки приходят сюда через наш личный чат
telegram-inline-write-first = Сначала напишите мне лично ({ $bot }): Telegram разрешает показывать здесь картинки только через наш личный чат.
