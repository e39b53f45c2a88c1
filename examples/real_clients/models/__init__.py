"""The model APIs that the clients speak, one file each; `wire` says what such a file holds."""
