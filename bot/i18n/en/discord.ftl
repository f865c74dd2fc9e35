# What the bot says on Discord only.

discord-no-image = There is no picture in this message.
discord-no-channel = Discord did not tell me where this is. Try it in another channel.
discord-lacking = { $count ->
    [one] I cannot answer in this channel: I lack the permission { $names }. Somebody who manages this server can give it to me in the channel's settings.
   *[other] I cannot answer in this channel: I lack the permissions { $names }. Somebody who manages this server can give them to me in the channel's settings.
}
discord-age-restricted = I draw in age-restricted channels only. Ask me there, or in a direct message.
discord-failed = Something went wrong inside the bot. It is in the bot's log; try again.
discord-slow = I could not look that up in time. Try again.
discord-external-apps = Only you see the answer: in this server you lack the permission Use External Apps. Somebody who manages it can give it to you, or invite me as a member.
discord-file-too-large = { $name } has { $size } MB, and Discord takes no file of that size here.
discord-pictures-too-large = { $count ->
    [one] (One picture is too large for Discord here.)
   *[other] ({ $count } pictures are too large for Discord here.)
}

## Commands as Discord lists them: 100 characters for an option, 32 for an entry of a menu

discord-option-prompt = What to draw
discord-option-seed = The same seed draws the same pictures again
discord-option-guidance = How closely to follow the description
discord-option-question = What you want to know
discord-option-image = The picture that it is about
discord-option-setting = Which one; all of them if left out
discord-option-value = What to set it to; - takes it away
discord-option-everywhere = For all channels of this server
discord-menu-ask = Ask about this image
discord-menu-recipe = Show recipe

## The form for a new prompt: 45 characters each

discord-form-title = Draw with the same seed
discord-form-prompt = Prompt

## Why the bot may not write somewhere

discord-forbidden-gone = This channel does not exist any more, or I cannot see it.
discord-forbidden-view = I cannot see this channel: I lack the permission View Channel.
discord-forbidden-foreign = I cannot change a message that somebody else wrote.
discord-forbidden-direct = Your settings do not let me send you direct messages.
discord-forbidden-permission = I lack a permission here: Send Messages, Attach Files or Send Messages in Threads.
discord-forbidden-history = I cannot reply here: I lack the permission Read Message History.
discord-forbidden-locked = This thread is locked.
discord-forbidden-late = Discord takes my answers here for 15 minutes only.
