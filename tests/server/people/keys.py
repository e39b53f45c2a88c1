"""Real keys, made and used by the real ssh-keygen."""

import subprocess
from pathlib import Path


def make_key(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return key


def public(key: Path) -> str:
    """The type and the key, without its comment: what a line of a file of signers ends with."""
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


def sign(key: Path, text: str, *, namespace: str = "gatewright") -> bytes:
    command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key)]
    return subprocess.run(command, input=text.encode(), check=True, capture_output=True).stdout
