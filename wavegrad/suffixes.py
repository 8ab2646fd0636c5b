"""What is looked for in folders, by suffix; a file named outright may have any."""

AUDIO = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
MELS = (".npy", ".pt")
