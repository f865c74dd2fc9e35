# Что бот говорит на всех платформах. Тексты размечены Markdown.

## Пока ответ готовится

status-accepted = Принято…
status-connecting = Обращаюсь к Space…
status-starting = Модель запускается; это может занять несколько минут
status-waking = Space просыпается; это может занять несколько минут
status-fetching = Забираю картинки…
status-queue = В очереди Space
status-queue-place = Место { $place } в очереди Space
status-queue-place-of = Место { $place } из { $size } в очереди Space
status-working = Работаю
status-running = { $what }…
remaining-seconds = около { $seconds } с
remaining-minutes = около { $minutes } мин
status-restarting = Бот перезапускается. Запрос сохранён и продолжится сам.
status-resumed = Перезапуск завершён; запрос продолжается.
status-parked = Бесплатное время GPU у Space пока исчерпано. Продолжу сам через { $remaining }; /stop отменяет.
status-parked-soon = Бесплатное время GPU у Space пока исчерпано. Вот-вот продолжу; /stop отменяет.

ahead-next = Вы следующий в очереди
ahead-here = { $mine ->
    [0] { $turns ->
        [one] Впереди { $turns } запрос в этом чате
        [few] Впереди { $turns } запроса в этом чате
       *[other] Впереди { $turns } запросов в этом чате
    }
   *[other] { $turns ->
        [one] Впереди { $turns } запрос в этом чате, из них ваших: { $mine }
        [few] Впереди { $turns } запроса в этом чате, из них ваших: { $mine }
       *[other] Впереди { $turns } запросов в этом чате, из них ваших: { $mine }
    }
}
ahead-here-mine = { $turns ->
    [one] Впереди { $turns } запрос в этом чате, он ваш
    [few] Впереди { $turns } запроса в этом чате, все ваши
   *[other] Впереди { $turns } запросов в этом чате, все ваши
}
ahead-of-you = { $mine ->
    [0] { $turns ->
        [one] Перед вами { $turns } запрос
        [few] Перед вами { $turns } запроса
       *[other] Перед вами { $turns } запросов
    }
   *[other] { $turns ->
        [one] Перед вами { $turns } запрос, из них ваших: { $mine }
        [few] Перед вами { $turns } запроса, из них ваших: { $mine }
       *[other] Перед вами { $turns } запросов, из них ваших: { $mine }
    }
}
ahead-of-you-mine = { $turns ->
    [one] Перед вами { $turns } запрос, он ваш
    [few] Перед вами { $turns } запроса, все ваши
   *[other] Перед вами { $turns } запросов, все ваши
}
ahead-space-queue = { $line } · в очереди самого Space: { $queue }

ahead-gpu-time = { $count ->
    [0] { $line } · на рисунок времени GPU не осталось
   *[other] { $line } · времени GPU хватит ещё на рисунков: { $count }
}

## Чем кончается ответ

answer-empty = (Модели нечего сказать. Спросите иначе или отправьте /retry.)
answer-none = (нет ответа)
answer-stopped = Остановлено.
answer-caption = { $prompt }
    seed { $seed } · guidance { $guidance }
answer-failed = { $reason } (#{ $turn })
answer-failed-retry = { $reason } Отправьте /retry, чтобы попробовать ещё раз. (#{ $turn })
answer-failed-wait = { $reason } Должно заработать через { $wait }; тогда отправьте /retry. (#{ $turn })
answer-broken = Внутри бота что-то сломалось. Для его владельца это записано как #{ $turn }. Отправьте /retry, чтобы попробовать ещё раз.
answer-too-old = Меня не было больше суток, поэтому я не стал продолжать. Отправьте /retry, если это ещё нужно. (#{ $turn })
answer-given-up = { $attempts ->
    [one] Я пытался { $attempts } раз, и бот перезапустился до конца.
    [few] Я пытался { $attempts } раза, и каждый раз бот перезапускался до конца.
   *[other] Я пытался { $attempts } раз, и каждый раз бот перезапускался до конца.
} Отправьте /retry, чтобы попробовать ещё раз. (#{ $turn })
answer-undeliverable = Я не смог ответить вам там. { $reason } Попросите того, кто может это изменить, или спросите меня здесь. (#{ $turn })
answer-picture = **Картинка { $number }**
answer-pictures-missing = (Нарисованных картинок, которые не удалось получить: { $count }.)
answer-pictures-left-out = { $count ->
    [one] (Я посмотрел только первую картинку.)
    [few] (Я посмотрел первые { $count } картинки.)
   *[other] (Я посмотрел первые { $count } картинок.)
}
answer-history-left-out = (Вся наша беседа не поместилась; /reset начинает её заново.)
alt-number-of = { $prompt } ({ $number } из { $count })
alt-preview = Ещё не готово: { $prompt }

span-seconds = { $count } с
span-minutes = { $count } мин
span-hours = { $count } ч

## Ошибки; `said` — что сказал Space или платформа, по-английски

error-image-too-large = Картинка слишком большая. Уменьшите её и пришлите снова.
error-image-unreadable = Картинку не удалось прочитать: файл повреждён, это не картинка или её формат не подходит. Пришлите её снова или возьмите другую.
error-space-unreachable = Space недоступен.
error-space-asleep = Space спит и не проснулся вовремя.
error-space-building = Space собирается или запускается.
error-space-paused = Автор приостановил Space.
error-space-broken = Space сломан: он отвечает, но не работает.
error-space-not-found = Такого Space нет, или он закрыт.
error-credentials-refused = Space не принимает мой токен. Подробности мой владелец узнает командой /doctor.
error-model-starting = Модель, которая мне отвечает, ещё запускается.
error-model-not-served = Модель, которая мне отвечает, не запускается. Мой владелец найдёт причину в журнале или командой /doctor.
error-queue-full = Space пока не принимает новых запросов.
error-quota-exceeded = Квота GPU для этого Space исчерпана.
error-no-gpu = На Space сейчас нет свободного GPU.
error-gpu-aborted = Space прервал задачу на GPU: она шла слишком долго или была снята.
error-bad-input = Space отверг значение: { $said }
error-generation-failed = Space не справился: { $said }
error-stream-lost = Связь со Space прервалась до конца ответа.
error-generation-timeout = Space работал слишком долго.
error-generation-cancelled = Space отменил запрос.
error-other = { $said }

## Короткие ответы

help =
    Я разговариваю, смотрю картинки и рисую, с помощью Janus-Pro-7B.

    - Напишите мне или пришлите картинку с вопросом. Без слов я её опишу. Следующие вопросы — о той же картинке.
    - `/imagine a red fox in the snow` рисует пять картинок. Добавьте `--seed 42`, чтобы получить те же снова, `--guidance 7`, чтобы я строже следовал словам (от 1 до 10). Лучше всего модель понимает английский.
    - `/retry` отвечает ещё раз, `/stop` останавливает, `/reset` начинает заново.
    - `/recipe` говорит, как сделана картинка, `/settings` меняет, как я здесь работаю, `/privacy` говорит, что я храню.

    Картинки размером 384 пикселя увеличены до 768, и модель ошибается.
reset-done = Готово: здесь я начинаю заново. Ничего не удалено.
stop-nothing = Здесь нет ваших запросов в работе.
stop-stopping = Останавливаю.
retry-nothing = Пока не на что отвечать ещё раз. Сначала спросите меня о чём-нибудь.
retry-still-working = Я ещё работаю над последним запросом. Сначала отправьте /stop, если нужна другая попытка.
no-storage = Сейчас я ничего не могу записать, поэтому не принимаю запросы. Попробуйте позже; владелец бота увидит причину в журнале.
restarting = Я как раз перезапускаюсь. Отправьте это ещё раз через минуту.

## Ограничения

limit-queued = { $count ->
    [one] У вас уже ждёт { $count } запрос. Дождитесь ответа или остановите его командой /stop.
    [few] У вас уже ждут { $count } запроса. Дождитесь ответа или остановите один командой /stop.
   *[other] У вас уже ждут { $count } запросов. Дождитесь ответа или остановите один командой /stop.
}
limit-minute = { $count ->
    [one] Это { $count } запрос за минуту, больше здесь нельзя. Попробуйте через { $wait }.
    [few] Это { $count } запроса за минуту, больше здесь нельзя. Попробуйте через { $wait }.
   *[other] Это { $count } запросов за минуту, больше здесь нельзя. Попробуйте через { $wait }.
}
limit-images = { $count ->
    [one] Сегодняшний { $count } рисунок израсходован. Следующий можно через { $wait }; вопросы работают.
    [few] Сегодняшние { $count } рисунка израсходованы. Следующий можно через { $wait }; вопросы работают.
   *[other] Сегодняшние { $count } рисунков израсходованы. Следующий можно через { $wait }; вопросы работают.
}

limit-images-total = { $count ->
    [one] Сегодняшний { $count } рисунок на всех израсходован. Следующий можно через { $wait }; вопросы работают.
    [few] Сегодняшние { $count } рисунка на всех израсходованы. Следующий можно через { $wait }; вопросы работают.
   *[other] Сегодняшние { $count } рисунков на всех израсходованы. Следующий можно через { $wait }; вопросы работают.
}
access-denied = Это закрытый бот. Его владелец может впустить вас; вы — { $person }.
images-off = Рисование в этом канале выключено.

## Кнопки

button-stop = Стоп
button-retry = Ещё раз
button-again = Новые
button-edit = Текст
button-less = Guidance
button-more = Guidance
button-delete = Удалить
buttons-alone = Что ещё можно:
press-gone = Это здесь уже не хранится.
press-not-yours = Это может только тот, кто об этом просил.
press-deleted = Убрано.
press-full = Картинка { $number }, какой она была сделана.
press-picture-gone = Эта картинка здесь уже не хранится.
press-guidance-limit = Guidance бывает от 1 до 10, дальше некуда.

## /recipe

recipe-told =
    {"**"}{ $prompt }**
    seed { $seed } · guidance { $guidance } · temperature { $temperature }
    картинка { $number } из { $count }, нарисовал { $space }

    То же самое ещё раз: { $command }
recipe-none = Я здесь ещё ничего не рисовал. Попробуйте /imagine a red fox.
recipe-none-there = Это рисовал не я, или оно уже не хранится.

## /settings

settings-heading = Как я работаю в этом канале:
settings-how = Нажмите кнопку или напишите `/settings ИМЯ ЗНАЧЕНИЕ`, например `/settings persona You are a pirate.` `/settings server.ИМЯ ЗНАЧЕНИЕ` — для всех каналов сервера; `-` вместо значения убирает настройку.
settings-not-yours = Менять это могут только администраторы канала.
settings-no-server = Здесь нет сервера, только этот канал.
settings-unknown = Настройки { $name } нет. Есть: { $names }.
settings-one =
    {"**"}{ $name }**: { $value }
    { $about }
settings-default = Как обычно
settings-back = ← Все настройки
settings-language = Язык
settings-persona = Роль
settings-guidance = Guidance
settings-temperature = Temperature
settings-images = Рисование
settings-previews = Наброски
settings-history = История
settings-retention = Хранить дней
settings-changers = Кто меняет
settings-empty-language = у каждого свой
settings-empty-persona = нет
settings-about-language = Язык, на котором я здесь говорю. Сама модель лучше всего понимает английский.
settings-about-persona = Что я говорю модели перед каждой беседой.
settings-about-guidance = Насколько строго рисунки следуют словам, от 1 до 10.
settings-about-temperature = Насколько рисунки разнообразны, больше 0 и до 1.
settings-about-images = Рисую ли я здесь: on или off.
settings-about-previews = Показываю ли я рисунки, пока они создаются, если Space это умеет: on, off или private — только в личных чатах и в веб-чате.
settings-about-history = Сколько прежних сообщений берёт с собой вопрос; 0 — нисколько.
settings-about-retention = Сколько дней я храню сообщения и картинки; 0 — всегда.
settings-about-changers = admins (администраторы) или everyone (все).
settings-bad-language = Я говорю на: { $languages }.
settings-bad-persona = Роль — не больше 2000 знаков.
settings-bad-guidance = Guidance — число от 1 до 10.
settings-bad-temperature = Temperature — число больше 0 и до 1.
settings-bad-images = Напишите on или off.
settings-bad-previews = Напишите on, private или off.
settings-bad-history = Это целое число; 0 — нисколько.
settings-bad-retention = Это целое число дней; 0 — всегда.
settings-bad-changers = Напишите admins или everyone.

## /stats, /privacy, /export, /forget, /doctor

stats-nothing = Здесь ещё ничего не спрашивали.
stats-here = Здесь вопросов: { $questions }, рисунков: { $drawings }
stats-people = Спрашивали людей: { $people }
stats-pictures = Картинок: { $pictures }, { $size }
stats-mine = Из них ваших вопросов: { $questions }, рисунков: { $drawings }
stats-gpu-left = { $space }: осталось { $seconds } с времени GPU, рисунков примерно: { $count }
stats-gpu-anonymous = { $space }: без токена, а вызов просит { $seconds } с: примерно один запрос в день
stats-gpu-unknown = { $space }: сколько времени GPU осталось, неизвестно; почему, скажет /doctor
privacy-what = Я храню вопросы и ответы с именем того, кто спросил, и картинки, которые мне показали или которые я нарисовал. Вопросы и картинки уходят в Space, который на них отвечает, и больше никуда.
privacy-here = В этом канале запросов: { $turns }, картинок: { $pictures }
privacy-mine = Ваших, во всех каналах: запросов { $turns }, картинок { $pictures }
privacy-kept-days = { $days ->
    [one] Хранится { $days } день
    [few] Хранится { $days } дня
   *[other] Хранится { $days } дней
}
privacy-kept-for-ever = Хранится, пока кто-нибудь не удалит
privacy-how = `/export` отдаёт это, `/forget` удаляет.
export-here = Всё, что я храню об этом канале: запросов { $turns }, со всеми картинками.
export-nothing = Об этом канале я ничего не храню.
export-not-yours = Здесь писали несколько человек, поэтому получить всё могут только администраторы канала.
forget-offer = Это удаляет навсегда, вернуть нельзя:
forget-mine = всё ваше, во всех каналах: запросов { $turns }
forget-here = всё об этом канале: запросов { $turns }
forget-button-person = Удалить всё моё
forget-button-channel = Удалить всё об этом канале
forget-busy = Запрос как раз в работе. Дождитесь ответа или остановите его командой /stop и попробуйте снова.
forget-not-yours = Это могут только администраторы канала.
forget-done-person = Удалено ваших запросов: { $turns }, картинок: { $pictures }, { $size }.
forget-done-channel = Удалено запросов этого канала: { $turns }, картинок: { $pictures }, { $size }.
doctor-not-yours = Это могут только администраторы бота. Владелец называет их в конфигурации.

## Команды

command-imagine = Нарисовать пять картинок по описанию
command-ask = Задать вопрос, можно о картинке
command-retry = Ответить на последний запрос ещё раз
command-stop = Остановить ответ, который готовится
command-reset = Начать беседу заново
command-recipe = Как сделана картинка
command-settings = Как бот работает в этом канале
command-stats = Что здесь спрашивали и рисовали
command-privacy = Что бот хранит и как долго
command-export = Получить всё, что хранится об этом канале
command-forget = Удалить то, что хранится о вас или об этом канале
command-help = Что я умею
command-doctor = Проверить, что всё работает (для администраторов)
unknown-command = Я не знаю такой команды. /help перечисляет, что я умею.
ask-needs-question = Спросите о чём-нибудь или пришлите картинку. /help перечисляет, что я умею.
imagine-needs-prompt = Скажите, что нарисовать, например: /imagine a red fox in the snow
imagine-bad-seed = Seed — целое число от 0 до { $most }.
imagine-bad-guidance = Guidance — число от { $least } до { $most }.
