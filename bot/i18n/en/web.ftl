# What the web chat says, apart from what the bot says everywhere. Plain text, no Markdown.
# { $name }, { $number } and { $what } may be filled in by the page itself.

web-stand-in = Offline stand-in: no model answers here. It measures your pictures and sketches its own; connect the real Space with janus-bot run.

## Access

web-login-why = This chat is private. Its access token is in the bot's configuration.
web-login-token = Access token
web-login-open = Open the chat
web-token-wrong = That is not the access token.
web-token-needed = The access token is needed: open the start page, or send it as Bearer.
web-name-refused = The web chat does not answer to this name.
web-page-refused = Another page may not use the web chat.
web-many-pages = Too many pages are open. Close some of them.

## Messages and button presses that are refused

web-form-empty = Write something, or add a picture.
web-form-type = A message is sent as multipart/form-data.
web-form-fields = A message has the fields id, text and file; a drawing may have prompt, seed and guidance instead of text.
web-form-id = The id of a message has 8 to 64 letters, digits, - or _.
web-form-broken = This is not a multipart form.
web-form-slow = The upload took too long. Try a smaller picture.
web-form-text = A message may have { $most } KiB of text at most.
web-form-picture = A picture may have { $most } MiB at most.
web-form-pictures = { $most ->
    [one] A message may have one picture at most.
   *[other] A message may have { $most } pictures at most.
}
web-press-form = A press is sent as JSON: an id, and the action of the button.
web-file-gone = This file is not here any more. Ask for it again.

## The page

web-new-chat = New chat
web-reconnecting = reconnecting…
web-welcome = Show me something, or let me draw
web-welcome-more = Ask about a picture, chat, or describe what you would like to see. Drawing gives you five pictures to choose from.
web-example-draw = Draw
web-example-draw-what = a red fox in fresh snow, soft morning light
web-example-again = Draw it the same again
web-example-again-what = a lighthouse in a storm, oil painting --seed 42
web-example-ask = Ask about a picture
web-example-ask-what = What is in this picture, and what is unusual about it?
web-conversation = Conversation
web-to-newest = Go to the newest message
web-adding = Pictures to send
web-drawing = Drawing with these options
web-add = Add a picture
web-message = Message
web-message-hint = Ask, or /imagine something
web-commands = Commands
web-send = Send
web-stop = Stop
web-enter-sends = sends
web-enter-breaks = new line
web-escape-stops = stops
web-drop-anywhere = drop or paste pictures anywhere
web-drop-here = Drop pictures to add them
web-picture = Picture
web-download = Download
web-close = Close
web-previous = Previous picture
web-next = Next picture
web-needs-script = This chat needs JavaScript; it is all served from here.
web-your-picture = Your picture
web-open = Open: { $name }
web-remove = Remove { $name }
web-not-a-picture = “{ $name }” is not a picture.
web-picture-too-large = { $most ->
    [one] “{ $name }” is too large: one MiB at most.
   *[other] “{ $name }” is too large: { $most } MiB at most.
}
web-too-many = { $most ->
    [one] One picture at most in one message.
   *[other] { $most } pictures at most in one message.
}
web-too-long = This text is too long for one message.
web-unreachable = The bot cannot be reached.
web-status-error = The bot answered with an error ({ $number }).
web-not-sent = Not sent. { $what }
web-send-again = Send again
web-change = Change it
web-sending = Sending…
web-sent = Sent
web-progress = Progress
web-copy = Copy
web-copied = Copied
web-again = Again
web-try-again = Try again
web-removed = Removed
web-note = From the bot
web-working = In progress
web-done = Done
web-failed = Did not work
web-stopped = Stopped
web-pictures-ready = The pictures are ready
web-answer-there = The answer is there

## What the bot's buttons do: for screen readers, and shown when the pointer rests on a button

web-hint-stop = Stop this
web-hint-retry = Try this again
web-hint-again = Draw the same words with another seed
web-hint-edit = Change the words and keep the seed
web-hint-less = Less guidance, same seed
web-hint-more = More guidance, same seed
web-hint-full = Save picture { $number } as it was made
web-hint-delete = Remove this answer
