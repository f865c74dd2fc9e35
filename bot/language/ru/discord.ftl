# Что бот говорит только в Discord.

discord-no-image = В этом сообщении нет картинки.
discord-no-channel = Discord не сказал мне, где это. Попробуйте в другом канале.
discord-lacking = { $count ->
    [one] Я не могу отвечать в этом канале: мне не хватает права { $names }. Тот, кто управляет сервером, может дать его в настройках канала.
   *[other] Я не могу отвечать в этом канале: мне не хватает прав { $names }. Тот, кто управляет сервером, может дать их в настройках канала.
}
discord-age-restricted = Я рисую только в каналах с возрастным ограничением. Попросите меня там или в личных сообщениях.
discord-failed = Внутри бота что-то сломалось. Подробности в его журнале; попробуйте ещё раз.
discord-slow = Не удалось посмотреть это вовремя. Попробуйте ещё раз.
discord-file-too-large = { $name } занимает { $size } МБ, а таких больших файлов Discord здесь не принимает.
discord-pictures-too-large = { $count ->
    [one] ({ $count } картинка слишком велика для Discord.)
    [few] ({ $count } картинки слишком велики для Discord.)
   *[other] ({ $count } картинок слишком велики для Discord.)
}

## Команды в списках Discord: 100 знаков для параметра, 32 для пункта меню

discord-option-prompt = Что нарисовать
discord-option-seed = Тот же seed снова даёт те же картинки
discord-option-guidance = Насколько точно следовать описанию
discord-option-question = Что вы хотите узнать
discord-option-image = Картинка, о которой вопрос
discord-option-setting = Какая настройка; без неё — все
discord-option-value = Новое значение; - убирает его
discord-option-everywhere = Для всех каналов этого сервера
discord-menu-ask = Спросить об этой картинке
discord-menu-recipe = Показать рецепт

## Окно для нового описания: по 45 знаков

discord-form-title = Нарисовать с тем же seed
discord-form-prompt = Описание

## Почему бот где-то не может писать

discord-forbidden-gone = Этого канала больше нет, или я его не вижу.
discord-forbidden-view = Я не вижу этот канал: мне нужно право «Просматривать каналы».
discord-forbidden-foreign = Я не могу изменить чужое сообщение.
discord-forbidden-direct = Ваши настройки не разрешают мне писать вам личные сообщения.
discord-forbidden-permission = Мне не хватает права: «Отправлять сообщения», «Прикреплять файлы» или «Отправлять сообщения в ветках».
discord-forbidden-history = Я не могу здесь ответить: мне нужно право «Читать историю сообщений».
discord-forbidden-locked = Эта ветка закрыта.
discord-forbidden-late = Discord принимает здесь мои ответы только 15 минут.
