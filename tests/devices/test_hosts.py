"""Messages between processes, through the coordination service of whichever JAX is installed."""

import socket
import subprocess
import sys

import pytest

from gan_da_jax.devices import hosts
from gan_da_jax.errors import UserError

TALK = """
import sys
from gan_da_jax.devices import hosts
from gan_da_jax.errors import UserError

address, process, messages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
hosts.connect(coordinator_address=address, num_processes=2, process_id=process)
if hosts.leads():
    asked = hosts.asked_to_stop()
    for number in range(messages):
        hosts.tell(number)
    try:
        hosts.require_answers()
    except UserError as error:
        print(error, asked, hosts.asked_to_stop())
else:
    heard = [hosts.hear() for _ in range(messages)]
    hosts.ask_to_stop()
    hosts.answer(f"heard {heard == [[number] for number in range(messages)]}")
hosts.disconnect()
"""


def test_what_one_process_tells_the_other_hears_and_answers():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    messages = str(hosts._KEPT + 3)  # the first are deleted meanwhile
    processes = [
        subprocess.Popen([sys.executable, "-c", TALK, address, process, messages], stdout=subprocess.PIPE, text=True)
        for process in "01"
    ]
    said = [process.communicate(timeout=hosts.CONNECT_SECONDS + 60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert said == ["process 1: heard True False True", ""]


def test_a_jax_without_the_service_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax._src.distributed", None)
    with pytest.raises(UserError, match="--distributed does not work with JAX"):
        hosts.connect(coordinator_address="127.0.0.1:1", num_processes=1, process_id=0)
