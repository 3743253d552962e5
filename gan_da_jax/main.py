"""The command line: flags -> checked values -> a verb. No machine learning here."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags
from absl import logging as absl_logging
from ml_collections import ConfigDict
from ml_collections.config_flags import config_flags

import gan_da_jax
from gan_da_jax import configs
from gan_da_jax.data.sources.images import shown
from gan_da_jax.devices import hosts, resources
from gan_da_jax.errors import Failure, UserError, did_you_mean
from gan_da_jax.pipeline.train import follow
from gan_da_jax.runs.config import check, require_field
from gan_da_jax.verbs.table import VERBS
from gan_da_jax.verbs.verb import CONFIG, DRY_RUN, PROCESSES, Flag, Verb

_USAGE = "gan-da VERB --config=configs/NAME.py --workdir=DIR [--config.field=value ...] [--dry_run]"


def main(arguments: list[str]) -> int:
    """Run one command; return its exit status: 0 done, 2 the input is wrong, 1 anything else."""
    absl_logging.set_verbosity(absl_logging.FATAL)  # of libraries: what matters of it they also raise
    try:
        if arguments[:1] in (["--help"], ["-h"], ["help"]):
            print(_help())
            return 0
        if arguments[:1] == ["--version"]:
            print(f"gan_da_jax {gan_da_jax.__version__}")
            return 0
        verb = _verb(arguments)
        if {"--help", "-h"} & {*arguments}:
            print(_help_of(arguments[0], verb))
            return 0
        given = _parse(arguments[0], verb, arguments[1:])
        if "config" in given:
            check(given["config"])
        resources.keep_compiled()
        with _processes(given) as leads, resources.enough_memory():
            if leads:
                verb.run(**given)
            else:
                with contextlib.redirect_stdout(None):  # process 0 says how far the work is
                    follow()
    except UserError as error:
        print(f"error: {_line(str(error))}", file=sys.stderr)
        return 2
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that may not be written to
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room, or choose another place" if full else "check that path, or choose another place"
        print(f"error: {_line(f'{where}{error.strerror or error}; {advice}')}", file=sys.stderr)
        return 2
    return 0


def _help() -> str:
    verbs = "\n".join(f"  {name:10}{verb.does}" for name, verb in VERBS.items())
    return (
        f"gan_da_jax {gan_da_jax.__version__}\n\n{_USAGE}\n\nVerbs:\n{verbs}\n\n"
        "gan-da VERB --help lists the flags of a verb; gan-da --version prints the version."
    )


def _help_of(name: str, verb: Verb) -> str:
    def rows(title: str, listed: tuple[Flag, ...]) -> list[str]:
        lines = [f"  --{flag.name + _VALUES[flag.kind]:28}{flag.help}" for flag in listed]
        return ["", f"{title}:", *lines] if listed else []

    lines = [f"gan-da {name}: {verb.does}", *rows("Needs", verb.needs), *rows("Takes", (*verb.takes, DRY_RUN))]
    if CONFIG in (*verb.needs, *verb.takes):
        lines += ["", "Any field of the config can be set after it, as in --config.seed=1."]
    return "\n".join(lines)


_VALUES = {"config": "=FILE.py", "path": "=PATH", "file": "=FILE", "text": "=TEXT", "number": "=N", "switch": ""}


def _verb(arguments: list[str]) -> Verb:
    if not arguments or arguments[0] not in VERBS:
        given = f"{arguments[0]!r} is not a verb" if arguments else "no verb given"
        raise UserError(
            f"{given}: {did_you_mean(' '.join(arguments[:1]), VERBS)}the verbs are {', '.join(VERBS)}; usage: {_USAGE}"
        )
    return VERBS[arguments[0]]


def _define(listed: tuple[Flag, ...], arguments: list[str]) -> flags.FlagValues:
    """Define flags, which are not parsed yet."""
    values = flags.FlagValues()
    for flag in listed:
        match flag.kind:
            case "config":
                config_flags.DEFINE_config_file(flag.name, None, flag.help, flag_values=values, sys_argv=arguments)
            case "number":
                flags.DEFINE_integer(flag.name, None, flag.help, flag_values=values)
            case "switch":
                flags.DEFINE_bool(flag.name, None, flag.help, flag_values=values)
            case _:
                flags.DEFINE_string(flag.name, None, flag.help, flag_values=values)
    values.set_gnu_getopt(True)  # flags may follow words
    return values


def _parse(name: str, verb: Verb, arguments: list[str]) -> dict[str, Any]:
    """Read what follows a verb: its function's keyword arguments; a `UserError` says what is wrong."""
    if "--config" in arguments[:-1]:  # given as two words; from here on there is one form
        at = arguments.index("--config")
        arguments = [*arguments[:at], "=".join(arguments[at : at + 2]), *arguments[at + 2 :]]
    arguments = ["gan_da_jax", *map(_locate, arguments)]
    known = (*verb.needs, *verb.takes, DRY_RUN)
    others = {flag.name: flag for other in VERBS.values() for flag in (*other.needs, *other.takes)}
    others = {flag: value for flag, value in others.items() if flag not in {one.name for one in known}}
    values = _define((*known, *others.values()), arguments)  # flags of other verbs, to say that they are
    try:
        rest = values(arguments)[1:]
        config = values.config if "config" in values else None
        if config is not None and not isinstance(config, ConfigDict):
            with contextlib.suppress(AttributeError):
                config.seed  # noqa: B018  ml_collections keeps an OSError of a config file back until here
            raise TypeError("get_config() does not return a ConfigDict")
    except (Exception, SystemExit) as error:  # a config file is the user's own code, and may fail in any way
        raise UserError(f"the command line or its config cannot be used: {_reason(error)}") from None
    for word in rest[verb.words :]:
        where = f"after {' '.join([name, *rest[: verb.words]])}" if verb.words else "after the verb"
        raise UserError(f"{word!r} is not understood; everything {where} is a flag, as in --dry_run")
    for flag in sorted(others):
        if values[flag].value is not None:
            takes = ", ".join(f"--{one.name}" for one in known)
            raise UserError(f"--{flag} is not a flag of {name}, which takes {takes}")
    given = {flag.name: _value(flag, values[flag.name].value) for flag in known if values[flag.name].value is not None}
    for needed in verb.needs:
        if not given.get(needed.name):
            raise UserError(f"{name} needs --{needed.name}, as in {needed.example}")
    return {DRY_RUN.name: False} | given | ({"words": rest} if verb.words else {})


def _value(flag: Flag, value: Any) -> Any:
    if flag.kind not in ("path", "file") or not value:
        return value
    path = os.path.expanduser(value)
    if path.startswith("~"):
        raise UserError(f"--{flag.name}={path}: there is no such home folder; write ./{path} if that is its name")
    return Path(path) if flag.kind == "path" else path


def _locate(argument: str) -> str:
    """Let `--config=configs/NAME.py` name a config of the package where the current folder has no such file."""
    name, _, value = argument.partition("=")
    path, _, preset = value.partition(":")
    shipped = Path(str(configs.__file__)).parent / Path(path).name
    if name.lstrip("-").startswith("config."):
        require_field(name.lstrip("-").removeprefix("config.").partition("[")[0])
    if name.lstrip("-") != "config":
        return argument
    if Path(path).is_file():
        if not path.endswith(".py"):  # it would be run, whatever it is
            raise UserError(
                f"--config={path} is not a Python file; a config is a .py file such as configs/quickstart.py"
            )
        return argument
    if str(Path(path).parent) == "configs" and shipped.is_file():
        return f"{name}={shipped}{preset and ':' + preset}"
    known = ", ".join(sorted(f"configs/{file.name}" for file in shipped.parent.glob("[a-z]*.py")))
    raise UserError(f"--config={path} is not a file; give your own, or one of: {known}")


def _reason(error: BaseException) -> str:
    """Say what has gone wrong in a config file or on the command line, in one line."""
    if isinstance(error, SyntaxError):
        return f"{error.msg}, line {error.lineno} of {error.filename}"
    text = str(error.args[0] if error.args else "")
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()] or [type(error).__name__]
    if "Traceback" in text:  # ml_collections puts the traceback of the config file into the message
        return lines[-1]
    return (
        " ".join(lines).encode().decode("unicode_escape", "replace") if isinstance(error, KeyError) else " ".join(lines)
    )


@contextlib.contextmanager
def _processes(given: dict[str, Any]) -> Iterator[bool]:
    """Join the other processes of the command, take the flags that say how, and say whether this one runs it."""
    distributed, *names = (flag.name for flag in PROCESSES)
    where = {name: given.pop(name, None) for name in names}
    if not given.pop(distributed, False):
        for flag, value in where.items():
            if value is not None:
                raise UserError(f"--{flag} is for several processes; give --distributed as well, or leave it out")
        yield True
        return
    hosts.connect(**where)
    try:
        with hosts.dismissing() if hosts.leads() else contextlib.nullcontext():
            yield hosts.leads()
    except hosts.Lost as lost:
        print(lost, file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1)  # in good order, this process would wait for the one that has gone
    finally:
        hosts.disconnect()  # here, since `__main__` does not always end in good order


def _line(message: str) -> str:
    """Write a message on one line that any terminal can show, without the middle of what is longer than a page."""
    text = shown(" ".join(message.split()))
    return text if len(text) <= 3000 else f"{text[:2000]} ... {text[-900:]}"
