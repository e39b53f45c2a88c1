"""What a person signs, and how OpenSSH verifies it.

The statement is text that names no repository's path, so that it can be signed on another machine and verified again
by anybody: `ssh-keygen -Y sign -n gatewright -f KEY statement.txt`.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from ...gates.machine.approvals import OpenApproval
from ...gates.text import clean_text, last_lines
from ...schemas import refusals
from ...schemas.decisions import ApprovalAsked
from ...schemas.refusals import Refused

NAMESPACE = "gatewright"
PROGRAM = "ssh-keygen"
VERIFY_TIMEOUT_S = 20.0
SIGNATURE_BYTES_MAX = 20_000
SIGNERS_BYTES_MAX = 200_000

# Looked at before the PATH, which whoever calls has in his hand.
SYSTEM_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin", "/opt/homebrew/bin", "/run/current-system/sw/bin")
# Who signs, as the file of signers says it: no pattern, no option, no blank.
IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,127}")
_ARMOUR = re.compile(r"-----BEGIN SSH SIGNATURE-----.*?-----END SSH SIGNATURE-----", re.DOTALL)
_GOOD = re.compile(r"^Good \"gatewright\" signature for .* with .* key (SHA256:[A-Za-z0-9+/=]+)\s*$", re.MULTILINE)


def statement(asked: OpenApproval | ApprovalAsked, *, is_given: bool, note: str) -> str:
    """The text that is signed, byte for byte: one `key: value` a line, the note as JSON, which keeps to its line."""
    lines = {
        "change": asked.change,
        "stage": asked.stage,
        "gate": asked.gate,
        "number": asked.number,
        "commit": asked.commit,
        "target": asked.target,
        "decision": "approve" if is_given else "reject",
        "note": json.dumps(note),
    }
    return "\n".join(["gatewright approval 1", *(f"{key}: {value}" for key, value in lines.items())]) + "\n"


def verify(text: str, *, signature: bytes, signers: bytes, identity: str) -> str:
    """The fingerprint of the key with which `identity` signed the text; raises `Refused`. Blocking: a program is run.

    Who may sign, until when and in which namespaces is for `signers` to say and for OpenSSH to judge.
    """
    if not IDENTITY.fullmatch(identity):
        raise Refused(refusals.bad_argument("--as names an identity of the signers' file, such as ann@example.org"))
    program = _find_program()
    with tempfile.TemporaryDirectory(prefix="gatewright-") as folder:
        allowed, signed = Path(folder) / "allowed_signers", Path(folder) / "signature"
        allowed.write_bytes(signers)
        signed.write_bytes(signature)
        command = [program, "-Y", "verify", "-f", str(allowed), "-I", identity, "-n", NAMESPACE, "-s", str(signed)]
        try:
            done = subprocess.run(
                command,
                input=text.encode(),
                capture_output=True,
                timeout=VERIFY_TIMEOUT_S,
                cwd=folder,
                env={"LC_ALL": "C", "PATH": os.defpath, "HOME": folder},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise Refused(refusals.store_unavailable(f"{program} could not verify: {exc}.")) from exc
    good = _GOOD.search(done.stdout.decode("utf-8", "replace"))
    if done.returncode != 0 or good is None:
        said = clean_text(last_lines((done.stderr or done.stdout).decode("utf-8", "replace"))).strip().rstrip(".")
        raise Refused(refusals.signature_wrong(identity, said, NAMESPACE))
    return good[1]


def armour_of(signature: bytes) -> str:
    """The signature itself, without what may stand before or after it in its file."""
    found = _ARMOUR.search(signature.decode("ascii", "replace"))
    return found[0] if found is not None else ""


def _find_program() -> str:
    own = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if Path(folder).is_absolute()]
    found = shutil.which(PROGRAM, path=os.pathsep.join([*SYSTEM_FOLDERS, *own]))
    if found is None:
        raise Refused(refusals.verifier_missing(PROGRAM))
    return found
