"""Alone, all of it does nothing; two processes on this machine hear, answer and stop each other.

Training in several processes is in tests/end_to_end/test_distributed.py.
"""

import runpy
import subprocess
import sys
import time

import jax
import pytest

from gan_da_jax.devices import hosts
from gan_da_jax.errors import UserError
from helpers import FORKS, free_port


def test_one_process_leads_and_has_nobody_to_talk_to():
    assert hosts.leads() and not hosts.asked_to_stop()
    hosts.tell("anything")
    hosts.require_answers()
    with hosts.dismissing(), hosts.together(task=1), hosts.in_step():
        pass


@pytest.mark.parametrize("error", [ValueError("Gloo"), jax.errors.JaxRuntimeError("gone"), KeyError("x")])
def test_what_fails_in_one_process_is_its_own_fault(error):
    with pytest.raises(type(error)) as caught, hosts.dismissing(), hosts.together(), hosts.in_step():
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("here", 2, 0), "--coordinator_address=here is not HOST:PORT"),
        (("10.0.0.1:", 2, 0), "--coordinator_address=10.0.0.1: is not HOST:PORT"),
        (("10.0.0.1:-1", 2, 0), "is not HOST:PORT"),
        (("10.0.0.1:1", 2, 2), "--process_id=2"),
        ((None, 2, -1), "--process_id=-1"),
        ((None, None, -1), "--process_id=-1"),
        (("10.0.0.1:1", 0, None), "--num_processes=0"),
        (("10.0.0.1:1", -3, None), "--num_processes=-3"),
    ],
)
def test_what_cannot_be_is_named_before_anybody_is_waited_for(given, says, monkeypatch):
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **__: pytest.fail("waits"))
    with pytest.raises(UserError) as caught:
        hosts.connect(**dict(zip(("coordinator_address", "num_processes", "process_id"), given, strict=True)))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def lead(reports):
    """Process 0: gives two tasks, the second of which process 1 cannot do, and lets it go once it asks to stop."""
    assert hosts.leads()
    with hosts.dismissing():
        with hosts.together(workdir="a b", steps=[1, 2]):
            hosts.require_answers()
            hosts.tell("go", 3)
        try:
            with hosts.together(workdir="gone"):
                hosts.require_answers()
        except UserError as error:
            reports.put(("refused", str(error)))
        while not hosts.asked_to_stop():
            time.sleep(0.01)


def follow(reports):
    """Process 1: says what it hears."""
    assert not hosts.leads() and not hosts.asked_to_stop()
    heard = [hosts.hear()]
    hosts.answer()
    heard += [hosts.hear() for _ in range(3)]
    hosts.answer("gone is not there")
    heard.append(hosts.hear())
    hosts.ask_to_stop()
    heard.append(hosts.hear())
    reports.put(("heard", heard))


def test_two_processes_hear_answer_and_stop_each_other():
    address, reports = f"127.0.0.1:{free_port()}", FORKS.Queue()
    processes = [
        FORKS.Process(target=runpy.run_path, args=(__file__, {"given": (address, number, reports)}, "__main__"))
        for number in range(2)
    ]
    try:
        for process in processes:
            process.start()
        found = dict(reports.get(timeout=hosts.HEARTBEAT_SECONDS + 100) for _ in range(2))
        for process in processes:
            process.join(hosts.SHUTDOWN_SECONDS + 100)
            assert process.exitcode == 0
    finally:
        for process in processes:
            process.kill()
    assert found == {
        "refused": "process 1: gone is not there",
        "heard": [
            ["start", {"workdir": "a b", "steps": [1, 2]}],
            ["go", 3],
            ["end"],
            ["start", {"workdir": "gone"}],
            ["end"],
            ["leave", True],
        ],
    }


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


def test_messages_that_everybody_has_heard_are_deleted():
    address = f"127.0.0.1:{free_port()}"
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


if __name__ == "__main__":  # one of the two processes
    address, number, reports = globals()["given"]
    jax.config.update("jax_platforms", "cpu")
    hosts.connect(coordinator_address=address, num_processes=2, process_id=number)
    (follow if number else lead)(reports)
    hosts.disconnect()
