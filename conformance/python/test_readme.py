"""The README's first program does what it says."""

import pathlib
import re
import subprocess
import sys

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def test_the_first_program(own_server):
    program = re.search(r"```python\n(.*?)```", README.read_text(), re.S)[1]
    assert "http://127.0.0.1:19530" in program
    program = program.replace("http://127.0.0.1:19530", own_server.uri)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "Harbour lights", ran.stderr
