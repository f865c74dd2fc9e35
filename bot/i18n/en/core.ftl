# What the bot says on every platform. Texts are Markdown.

## While a reply is being made

status-accepted = Got it…
status-connecting = Asking the Space…
status-starting = The model is starting; that can take some minutes
status-waking = The Space is waking up; that can take some minutes
status-fetching = Fetching the pictures…
status-queue = In the Space's queue
status-queue-place = Place { $place } in the Space's queue
status-queue-place-of = Place { $place } of { $size } in the Space's queue
status-working = Working
status-running = { $what }…
remaining-seconds = about { $seconds } s
remaining-minutes = about { $minutes } min
status-restarting = The bot is restarting. Your request is kept and goes on by itself.
status-resumed = Restarted; your request goes on.
status-parked = The Space's free GPU time is used up for now. I go on by myself in { $remaining }; /stop ends it.
status-parked-soon = The Space's free GPU time is used up for now. I go on in a moment; /stop ends it.

ahead-next = You are next
ahead-here = { $mine ->
    [0] { $turns } ahead in this chat
   *[other] { $turns } ahead in this chat, { $mine } of them yours
}
ahead-here-mine = { $turns ->
    [1] 1 ahead in this chat, it is yours
   *[other] { $turns } ahead in this chat, all yours
}
ahead-of-you = { $mine ->
    [0] { $turns } ahead of you
   *[other] { $turns } ahead of you, { $mine } of them yours
}
ahead-of-you-mine = { $turns ->
    [1] 1 ahead of you, it is yours
   *[other] { $turns } ahead of you, all yours
}
ahead-space-queue = { $line } · { $queue } in the Space's own queue

ahead-gpu-time = { $count ->
    [0] { $line } · no GPU time left for a drawing
    [one] { $line } · GPU time for about one more drawing
   *[other] { $line } · GPU time for about { $count } more drawings
}

## What a reply ends with

answer-empty = (The model had nothing to say. Ask in other words, or send /retry.)
answer-none = (no answer)
answer-stopped = Stopped.
answer-caption = { $prompt }
    seed { $seed } · guidance { $guidance }
answer-failed = { $reason } (#{ $turn })
answer-failed-retry = { $reason } Send /retry to try again. (#{ $turn })
answer-failed-wait = { $reason } It should work again in { $wait }; then send /retry. (#{ $turn })
answer-broken = Something went wrong inside the bot. It is written down for its operator as #{ $turn }. Send /retry to try again.
answer-too-old = I was away for more than a day, so I did not go on with this. Send /retry if you still want it. (#{ $turn })
answer-given-up = I tried { $attempts } times, and each time the bot was restarted before the end. Send /retry to try again. (#{ $turn })
answer-undeliverable = I could not answer you there. { $reason } Ask somebody who can change that, or ask me here. (#{ $turn })
answer-picture = **Picture { $number }**
answer-pictures-missing = { $count ->
    [one] (One more picture was drawn, but could not be fetched.)
   *[other] ({ $count } more pictures were drawn, but could not be fetched.)
}
answer-pictures-left-out = (I looked at the first { $count } pictures.)
answer-history-left-out = (I could not take all of our conversation along; /reset starts afresh.)
alt-number-of = { $prompt } ({ $number } of { $count })
alt-preview = Not finished: { $prompt }

span-seconds = { $count } s
span-minutes = { $count } min
span-hours = { $count } h

## Errors; `said` is what the Space or the platform said, in English

error-image-too-large = { $said }
error-image-unreadable = { $said }
error-space-unreachable = { $said }
error-space-asleep = { $said }
error-space-building = { $said }
error-space-paused = { $said }
error-space-broken = { $said }
error-space-not-found = { $said }
error-credentials-refused = The Space does not accept the token that I have for it. My operator finds out more with /doctor.
error-model-starting = The model behind me is still starting.
error-model-not-served = The model behind me cannot be started. My operator finds the reason in the log, or with /doctor.
error-queue-full = { $said }
error-quota-exceeded = { $said }
error-no-gpu = { $said }
error-gpu-aborted = { $said }
error-bad-input = { $said }
error-generation-failed = { $said }
error-stream-lost = { $said }
error-generation-timeout = { $said }
error-generation-cancelled = { $said }
error-other = { $said }

## Short answers

help =
    I chat, look at pictures and draw, with Janus-Pro-7B.

    - Write to me, or send a picture with a question. Without words I describe it. Your next questions are about the same picture.
    - `/imagine a red fox in the snow` draws five pictures. Add `--seed 42` to get the same ones again, `--guidance 7` to follow your words more strictly (1 to 10).
    - `/retry` answers again, `/stop` stops, `/reset` starts afresh.
    - `/recipe` tells how a picture was made, `/settings` changes how I work here, `/privacy` says what I keep.

    The pictures are 384 pixels, enlarged to 768, and the model makes mistakes.
reset-done = Done: I start afresh here. Nothing is deleted.
stop-nothing = Nothing of yours is running here.
stop-stopping = Stopping.
retry-nothing = There is nothing to answer again yet. Ask me something first.
retry-still-working = I am still working on the last request. Send /stop first if you want another try.
no-storage = I cannot write anything down right now, so I cannot take requests. Please try again later; my operator can see why in the log.
restarting = I am just restarting. Please send that again in a moment.

## Limits

limit-queued = { $count ->
    [one] You have a request waiting already. Please wait for an answer, or /stop one.
   *[other] You have { $count } requests waiting already. Please wait for an answer, or /stop one.
}
limit-minute = { $count ->
    [one] That is one request within a minute, which is the limit here. Please try again in { $wait }.
   *[other] That is { $count } requests within a minute, which is the limit here. Please try again in { $wait }.
}
limit-images = { $count ->
    [one] You have used today's one drawing. The next one is free in { $wait }; questions still work.
   *[other] You have used today's { $count } drawings. The next one is free in { $wait }; questions still work.
}

limit-images-total = { $count ->
    [one] Today's one drawing for everybody is used up. The next one is free in { $wait }; questions still work.
   *[other] Today's { $count } drawings for everybody are used up. The next one is free in { $wait }; questions still work.
}
access-denied = This bot is private. Its operator can let you in; you are { $person }.
images-off = Drawing is switched off in this channel.

## Buttons

button-stop = Stop
button-retry = Try again
button-again = New
button-edit = Prompt
button-less = Guidance
button-more = Guidance
button-delete = Delete
buttons-alone = More of this:
press-gone = That is not stored here any more.
press-not-yours = Only the person who asked for this can do that.
press-deleted = Removed.
press-full = Picture { $number }, as it was made.
press-picture-gone = This picture is not stored here any more.
press-guidance-limit = The guidance goes from 1 to 10, and is at its end.

## /recipe

recipe-told =
    {"**"}{ $prompt }**
    seed { $seed } · guidance { $guidance } · temperature { $temperature }
    picture { $number } of { $count }, drawn by { $space }

    The same again: { $command }
recipe-none = I have not drawn anything here yet. Try /imagine a red fox.
recipe-none-there = I did not draw that, or it is not stored any more.

## /settings

settings-heading = How I work in this channel:
settings-how = Press a button, or write `/settings NAME VALUE`, for example `/settings persona You are a pirate.` `/settings server.NAME VALUE` is for all channels of a server; `-` as value takes a setting away.
settings-not-yours = Only admins of this channel can change this.
settings-no-server = There is no server here, only this channel.
settings-unknown = There is no setting { $name }. There are: { $names }.
settings-one =
    {"**"}{ $name }**: { $value }
    { $about }
settings-default = Default
settings-back = ← All settings
settings-language = Language
settings-persona = Persona
settings-guidance = Guidance
settings-temperature = Temperature
settings-images = Drawing
settings-previews = Previews
settings-history = History
settings-retention = Days kept
settings-changers = Who changes this
settings-empty-language = each person's own
settings-empty-persona = none
settings-about-language = The language that I speak here. The model itself understands English best.
settings-about-persona = What I tell the model before every conversation.
settings-about-guidance = How strictly drawings follow their words, 1 to 10.
settings-about-temperature = How much drawings vary, above 0 to 1.
settings-about-images = Whether I draw here: on or off.
settings-about-previews = Whether I show drawings while I make them, where the Space can do that: on, off, or private for private chats and the web chat only.
settings-about-history = How many earlier messages a question takes along; 0 for none.
settings-about-retention = How many days I keep messages and pictures; 0 for ever.
settings-about-changers = admins or everyone.
settings-bad-language = I speak: { $languages }.
settings-bad-persona = A persona has 2000 characters at most.
settings-bad-guidance = The guidance is a number from 1 to 10.
settings-bad-temperature = The temperature is a number above 0 and up to 1.
settings-bad-images = Write on or off.
settings-bad-previews = Write on, private or off.
settings-bad-history = That is a whole number; 0 for none.
settings-bad-retention = That is a whole number of days; 0 for ever.
settings-bad-changers = Write admins or everyone.

## /stats, /privacy, /export, /forget, /doctor

stats-nothing = Nothing was asked here yet.
stats-here = Here: { $questions } questions, { $drawings } drawings
stats-people = { $people ->
    [one] One person asked
   *[other] { $people } people asked
}
stats-pictures = { $pictures } pictures, { $size }
stats-mine = Of these yours: { $questions } questions, { $drawings } drawings
stats-gpu-left = { $space }: { $seconds } s of GPU time left, about { $count } drawings
stats-gpu-anonymous = { $space }: asked without a token, and a call asks for { $seconds } s: about one request a day
stats-gpu-unknown = { $space }: it is not known how much GPU time is left; /doctor says why
privacy-what = I keep what is asked and answered, with the name of who asked, and the pictures that were shown or drawn. Questions and pictures go to the Space that answers them, and nowhere else.
privacy-here = In this channel: { $turns } requests, { $pictures } pictures
privacy-mine = Of you, in all channels: { $turns } requests, { $pictures } pictures
privacy-kept-days = { $days ->
    [one] Kept for one day
   *[other] Kept for { $days } days
}
privacy-kept-for-ever = Kept until somebody deletes it
privacy-how = `/export` hands it out, `/forget` deletes it.
export-here = Everything that I keep about this channel: { $turns } requests, with all pictures.
export-nothing = I keep nothing about this channel.
export-not-yours = Several people wrote here, so only admins of this channel can get all of it.
forget-offer = This deletes for good, and cannot be taken back:
forget-mine = all that is kept of you, in all channels: { $turns } requests
forget-here = all that is kept about this channel: { $turns } requests
forget-button-person = Delete all of mine
forget-button-channel = Delete this channel's
forget-busy = A request is just being worked on. Wait for its answer or /stop it, then try again.
forget-not-yours = Only admins of this channel can do that.
forget-done-person = Deleted: { $turns } requests of yours, { $pictures } pictures, { $size }.
forget-done-channel = Deleted: { $turns } requests of this channel, { $pictures } pictures, { $size }.
doctor-not-yours = Only admins of the bot can do that. Its operator names them in the configuration.

## Commands

command-imagine = Draw five pictures from a description
command-ask = Ask a question, about a picture if you like
command-retry = Answer the last request again
command-stop = Stop the reply that is being made
command-reset = Start the conversation afresh
command-recipe = How a picture was made
command-settings = How the bot works in this channel
command-stats = What was asked and drawn here
command-privacy = What the bot keeps, and for how long
command-export = Get everything that is kept about this channel
command-forget = Delete what is kept about you, or about this channel
command-help = What I can do
command-doctor = Check that everything works (for admins)
unknown-command = I do not know this command. /help lists what I can do.
ask-needs-question = Ask me something, or send a picture. /help lists what I can do.
imagine-needs-prompt = Tell me what to draw, for example: /imagine a red fox in the snow
imagine-bad-seed = The seed is a whole number from 0 to { $most }.
imagine-bad-guidance = The guidance is a number from { $least } to { $most }.
