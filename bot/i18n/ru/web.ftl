# Что говорит веб-чат, кроме того, что бот говорит везде. Простой текст, без Markdown.
# { $name }, { $number } и { $what } страница может подставлять сама.

web-stand-in = Автономная замена: модели здесь нет. Она измеряет ваши картинки и рисует эскизы сама; настоящий Space подключает janus-bot run.

## Доступ

web-login-why = Этот чат закрыт для посторонних. Его токен доступа записан в конфигурации бота.
web-login-token = Токен доступа
web-login-open = Открыть чат
web-token-wrong = Это не тот токен доступа.
web-token-needed = Нужен токен доступа: откройте начальную страницу или пошлите его как Bearer.
web-name-refused = Под этим именем веб-чат не отвечает.
web-page-refused = Другая страница не может пользоваться веб-чатом.
web-many-pages = Открыто слишком много страниц. Закройте некоторые из них.

## Сообщения и нажатия кнопок, которые не приняты

web-form-empty = Напишите что-нибудь или добавьте картинку.
web-form-type = Сообщение посылается как multipart/form-data.
web-form-fields = У сообщения есть поля id, text и file; у рисунка вместо text могут быть prompt, seed и guidance.
web-form-id = В id сообщения от 8 до 64 букв, цифр, знаков - или _.
web-form-broken = Это не форма multipart.
web-form-slow = Загрузка шла слишком долго. Попробуйте картинку поменьше.
web-form-text = В сообщении может быть не больше { $most } КиБ текста.
web-form-picture = В картинке может быть не больше { $most } МиБ.
web-form-pictures = { $most ->
    [one] В сообщении может быть не больше { $most } картинки.
   *[other] В сообщении может быть не больше { $most } картинок.
}
web-press-form = Нажатие посылается как JSON: id и действие кнопки.
web-file-gone = Этого файла здесь уже нет. Попросите его ещё раз.

## Страница

web-new-chat = Новый чат
web-reconnecting = восстанавливаю связь…
web-welcome = Покажите мне что-нибудь или попросите нарисовать
web-welcome-more = Спросите о картинке, поговорите или опишите, что хотите увидеть. Рисунков будет пять, на выбор.
web-example-draw = Нарисовать
web-example-draw-what = a red fox in fresh snow, soft morning light
web-example-again = Нарисовать то же ещё раз
web-example-again-what = a lighthouse in a storm, oil painting --seed 42
web-example-ask = Спросить о картинке
web-example-ask-what = Что на этой картинке и что в ней необычного?
web-conversation = Беседа
web-to-newest = К самому новому сообщению
web-adding = Картинки к отправке
web-drawing = Рисунок с этими параметрами
web-add = Добавить картинку
web-message = Сообщение
web-message-hint = Вопрос или /imagine
web-commands = Команды
web-send = Отправить
web-stop = Стоп
web-enter-sends = отправить
web-enter-breaks = новая строка
web-escape-stops = остановить
web-drop-anywhere = картинки можно перетащить или вставить
web-drop-here = Отпустите, чтобы добавить картинки
web-picture = Картинка
web-download = Скачать
web-close = Закрыть
web-previous = Предыдущая картинка
web-next = Следующая картинка
web-needs-script = Этому чату нужен JavaScript; весь он приходит отсюда же.
web-your-picture = Ваша картинка
web-open = Открыть: { $name }
web-remove = Убрать { $name }
web-not-a-picture = «{ $name }» — не картинка.
web-picture-too-large = «{ $name }» — слишком большой файл: можно не больше { $most } МиБ.
web-too-many = { $most ->
    [one] В одном сообщении не больше { $most } картинки.
   *[other] В одном сообщении не больше { $most } картинок.
}
web-too-long = Этот текст слишком длинный для одного сообщения.
web-unreachable = Бот недоступен.
web-status-error = Бот ответил ошибкой ({ $number }).
web-not-sent = Не отправлено. { $what }
web-send-again = Отправить ещё раз
web-change = Изменить
web-sending = Отправляю…
web-sent = Отправлено
web-progress = Ход работы
web-copy = Копировать
web-copied = Скопировано
web-again = Ещё раз
web-try-again = Попробовать ещё раз
web-removed = Убрано
web-note = От бота
web-working = В работе
web-done = Готово
web-failed = Не получилось
web-stopped = Остановлено
web-pictures-ready = Картинки готовы
web-answer-there = Ответ готов

## Что делают кнопки бота: говорят программы чтения с экрана и всплывающие подсказки

web-hint-stop = Остановить это
web-hint-retry = Попробовать это ещё раз
web-hint-again = Нарисовать те же слова с другим seed
web-hint-edit = Изменить слова, оставить seed
web-hint-less = Меньше guidance, тот же seed
web-hint-more = Больше guidance, тот же seed
web-hint-full = Сохранить картинку { $number }, какой она была сделана
web-hint-delete = Убрать этот ответ
