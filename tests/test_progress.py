import io
import os
import signal

from gan_da_jax import progress


def test_plain_lines_for_a_log_file(capsys):
    bar = progress.Progress("training", total=100, done=20, every=0.0)
    bar.advance(30, "D 0.5")
    bar.advance(70)
    bar.close()
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("training: 50/100 images, ") and "left" in first and first.endswith("D 0.5")
    assert last.startswith("training: 100/100 images, ") and " 0:00:00 left" in last


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    bar = progress.Progress("training", total=100)
    bar.advance(40)
    bar.advance(60, "D 0.5")
    bar.close()
    assert "100/100" in terminal.getvalue() and "images/s" in terminal.getvalue()


def test_the_first_request_is_noted_and_the_second_acts():
    before = signal.getsignal(signal.SIGINT)
    with progress.stop_requests() as requests:
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        os.kill(os.getpid(), signal.SIGINT)
        assert requests == [signal.SIGTERM, signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) == before
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_request_that_comes_while_the_block_begins_is_noted(monkeypatch):
    install = signal.signal

    def interrupted(number, handler):
        found = install(number, handler)
        if number == signal.SIGINT and not sent:
            sent.append(number)
            signal.raise_signal(number)
        return found

    sent: list[int] = []
    monkeypatch.setattr(signal, "signal", interrupted)
    with progress.stop_requests() as requests:
        assert requests == sent == [signal.SIGINT]
