"""Records a conversation between a client and a server as a test script.

`RecordingProxy` forwards the bytes, a `Recorder` for each protocol translates them into
commands, and `Recording` holds the script.
"""
