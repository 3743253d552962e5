"""The command line: flags -> checked config -> stages. No machine learning here."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from absl import flags
from absl import logging as absl_logging
from ml_collections import ConfigDict
from ml_collections.config_flags import config_flags

import gan_da_jax
from gan_da_jax import configs
from gan_da_jax.augment import policy
from gan_da_jax.data.sources.images import shown
from gan_da_jax.devices import hosts
from gan_da_jax.errors import Failure, UserError, did_you_mean
from gan_da_jax.files import io
from gan_da_jax.pipeline import evaluate, prepare, train
from gan_da_jax.runs.config import augmented_count, check, generator_config, generator_workdir, require_field
from gan_da_jax.verbs import audit, compare, report, score, study, weights


def _define(arguments: list[str]) -> flags.FlagValues:
    """The flags of all verbs, not parsed yet."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config", None, "Config file, as in configs/quickstart.py.", flag_values=values, sys_argv=arguments
    )
    flags.DEFINE_string("workdir", None, "The folder of the run.", flag_values=values)
    flags.DEFINE_bool("dry_run", False, "Check everything, print the plan, stop.", flag_values=values)
    flags.DEFINE_string(
        "export", None, "prepare: an empty folder for the data set's images as PNGs.", flag_values=values
    )
    flags.DEFINE_string("only", None, "study: ARM or SOURCE/ARM, to do its runs alone.", flag_values=values)
    flags.DEFINE_integer("index", None, "study: the number of an arm, likewise, from 0.", flag_values=values)
    flags.DEFINE_string(
        "images",
        None,
        "score: a folder, .zip, .npz or .npy of images, or a .pth or .safetensors of a DCGAN's generator.",
        flag_values=values,
    )
    flags.DEFINE_string("reference", None, "score: what to compare them with, likewise.", flag_values=values)
    flags.DEFINE_string("classifier", None, "score: the network; inception_v3_2015 if not given.", flag_values=values)
    flags.DEFINE_string("weights", None, "score: its weight file; the published one if not given.", flag_values=values)
    flags.DEFINE_string("tap", None, "score: the layer that is compared; 2048 of Inception.", flag_values=values)
    flags.DEFINE_integer("splits", None, "score: parts of the Inception Score; 10 if not given.", flag_values=values)
    flags.DEFINE_integer("samples", None, "score: of a generator's weights; 1000 if not given.", flag_values=values)
    flags.DEFINE_bool("train", None, "compare: also train both, and score them.", flag_values=values)
    flags.DEFINE_string(
        "out",
        None,
        "score, compare, weights convert: the file to write; weights export: the folder.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "probabilities", None, "score: a .npz file for the class probabilities of each image.", flag_values=values
    )
    flags.DEFINE_integer("step", None, "audit: the checkpoint to train from again; 0: the start.", flag_values=values)
    flags.DEFINE_string("bundle", None, "audit: a .zip file for others to repeat it with.", flag_values=values)
    flags.DEFINE_bool("distributed", None, "train, evaluate, study: one of several processes.", flag_values=values)
    flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0.", flag_values=values)
    flags.DEFINE_integer("num_processes", None, "How many processes there are.", flag_values=values)
    flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.", flag_values=values)
    values.set_gnu_getopt(True)  # flags may follow words
    return values


def _prepare(config: ConfigDict, workdir: Path, *, dry_run: bool, export: Path | None = None) -> None:
    """Makes the data set; where the policy needs a GAN's images, that GAN comes first, as a run of its own."""
    if augmented_count(config) and "generated" in policy.pool_sizes(policy.parse(config.augment.policy), 1):
        if not (workdir / "dataset" / "manifest.json").exists():
            base, place = generator_config(config), generator_workdir(config, workdir)
            if place.absolute() == workdir.absolute():
                raise UserError("config.augment.generator is the workdir itself; name another folder, or none")
            if not dry_run:  # what is wrong with this run shows before hours go into the other one
                with contextlib.redirect_stdout(None):  # it would tell of a plan
                    prepare.main(config, workdir, dry_run=True, export=export)
            _train(base, place, dry_run=dry_run, wait=True)  # another arm may be training it
    prepare.main(config, workdir, dry_run=dry_run, export=export)


def _train(config: ConfigDict, workdir: Path, *, dry_run: bool, wait: bool = False) -> None:
    train.main(config, workdir, dry_run=True)
    _prepare(config, workdir, dry_run=dry_run)
    if not dry_run:
        train.main(config, workdir, wait=wait)


def _study(config: ConfigDict, workdir: Path, **given: Any) -> None:
    study.main(config, workdir, check=_check_originals, perform=_perform, report=report.main, **given)


def _check_originals(config: ConfigDict, workdir: Path) -> None:
    with contextlib.redirect_stdout(None):  # the study tells its own plan
        _train(generator_config(config), workdir, dry_run=True)


def _perform(config: ConfigDict, workdir: Path, *, trained: bool) -> None:
    _compilation_cache()  # a process that a study has started comes here first
    with _enough_memory():
        with contextlib.redirect_stdout(None) if trained else contextlib.nullcontext():
            _train(config, workdir, dry_run=False, wait=True)
        evaluate.main(config, workdir)


@contextlib.contextmanager
def _enough_memory() -> Iterator[None]:
    """Says what to lower where the memory of the device, or of the machine, is used up inside the block."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = " ".join(str(error).split())[:200] or "no more is to be had"
        raise UserError(
            f"the memory is used up ({reason}): lower config.train.batch_size, config.model.width, "
            "config.data.image_size or config.data.resident_mb, score smaller images, or end what else runs there"
        ) from None


def _report(workdir: Path, *, dry_run: bool, config: ConfigDict | None = None) -> None:
    """Reports; a config, which all verbs on a workdir may be given, decides nothing here."""
    report.main(workdir, dry_run=dry_run)


def _compare(config: ConfigDict, **given: Any) -> None:
    def perform(config: ConfigDict, workdir: Path, *, dry_run: bool = False) -> None:
        _train(config, workdir, dry_run=dry_run)
        if not dry_run:
            evaluate.main(config, workdir)

    compare.main(config, perform=perform, score=evaluate.main, **given)


class Verb(NamedTuple):
    """What a verb does, for a person; the function that does it; what it takes.

    The flags that it `needs`, and those that it `takes` as well; all verbs take --dry_run. A verb with `words` gets the
    list of what stands after it, up to so many.
    """

    does: str
    function: Callable[..., None]
    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()
    words: int = 0


_PROCESSES = ("distributed", "coordinator_address", "num_processes", "process_id")

VERBS = {
    "prepare": Verb(
        "source -> originals + manifest; --export=DIR also writes every image",
        _prepare,
        ("config", "workdir"),
        ("export",),
    ),
    "train": Verb(
        "prepares if needed, trains one run; continues where it stopped", _train, ("config", "workdir"), _PROCESSES
    ),
    "evaluate": Verb("checkpoints -> samples -> scores", evaluate.main, ("config", "workdir"), _PROCESSES),
    "study": Verb(
        "all arms x seeds, continues where it stopped, then the report",
        _study,
        ("config", "workdir"),
        ("only", "index", *_PROCESSES),
    ),
    "report": Verb(
        "the scores of a run, or of a folder of runs -> report/index.html, summary.json",
        _report,
        ("workdir",),
        ("config",),
    ),
    "score": Verb(
        "scores any images against any reference; needs no config",
        score.main,
        ("images",),
        ("reference", "classifier", "weights", "tap", "splits", "samples", "out", "probabilities"),
    ),
    "compare": Verb(
        "this package beside PyTorch: the same numbers? how fast? with --train, as good?",
        _compare,
        ("config",),
        ("workdir", "train", "out"),
    ),
    "audit": Verb(
        "proves a finished run, or a study and its report, from the files; --bundle=FILE.zip for others",
        audit.main,
        ("workdir",),
        ("step", "bundle"),
    ),
    "weights": Verb(
        "classifiers' weights: list, fetch NAME, convert FILE NAME, check FILE; a run's: export RUN [STEP] --out=DIR",
        weights.main,
        (),
        ("out",),
        words=3,
    ),
}

_USAGE = "python -m gan_da_jax VERB --config=configs/NAME.py --workdir=DIR [--config.field=value ...] [--dry_run]"
_FLAGS = dict.fromkeys(flag for verb in VERBS.values() for flag in (*verb.needs, *verb.takes))
_EXAMPLES = {"config": "--config=configs/quickstart.py", "workdir": "--workdir=DIR", "images": "--images=DIR"}
_FOLDERS, _FILES = ("workdir", "export", "bundle"), ("images", "reference", "weights", "out", "probabilities")


def _help() -> str:
    verbs = "\n".join(f"  {name:10}{verb.does}" for name, verb in VERBS.items())
    return f"gan_da_jax {gan_da_jax.__version__}\n\n{_USAGE}\n\nVerbs:\n{verbs}\n\nFlags:{_define([]).get_help()}"


def _locate(argument: str) -> str:
    """Lets `--config=configs/NAME.py` name a config of the package where the current folder has no such file."""
    name, _, value = argument.partition("=")
    path, _, preset = value.partition(":")
    shipped = Path(configs.__file__).parent / Path(path).name
    if name.lstrip("-").startswith("config."):
        require_field(name.lstrip("-").removeprefix("config.").partition("[")[0])
    if name.lstrip("-") != "config":
        return argument
    if Path(path).is_file():
        if not path.endswith(".py"):  # it would be run, whatever it is
            raise UserError(f"--config={path} is no Python file: a config is one, as configs/quickstart.py is")
        return argument
    if str(Path(path).parent) == "configs" and shipped.is_file():
        return f"{name}={shipped}{preset and ':' + preset}"
    known = ", ".join(sorted(f"configs/{file.name}" for file in shipped.parent.glob("[a-z]*.py")))
    raise UserError(f"--config={path} is not a file; give your own, or one of: {known}")


def _parse(arguments: list[str]) -> tuple[Verb, dict]:
    """Reads the command line: the verb and its function's keyword arguments; a `UserError` says what is wrong."""
    if not arguments or arguments[0] not in VERBS:
        given = f"{arguments[0]!r} is not a verb" if arguments else "no verb given"
        raise UserError(
            f"{given}: {did_you_mean(' '.join(arguments[:1]), VERBS)}the verbs are {', '.join(VERBS)}; usage: {_USAGE}"
        )
    name, verb = arguments[0], VERBS[arguments[0]]
    if "--config" in arguments[:-1]:  # given as two words; from here on there is one form
        at = arguments.index("--config")
        arguments = [*arguments[:at], "=".join(arguments[at : at + 2]), *arguments[at + 2 :]]
    arguments = ["gan_da_jax", *map(_locate, arguments[1:])]
    values = _define(arguments)
    try:
        rest = values(arguments)[1:]
        config = values.config
        if config is not None and not isinstance(config, ConfigDict):
            with contextlib.suppress(AttributeError):
                config.seed  # noqa: B018  ml_collections keeps an OSError of a config file back until here
            raise TypeError("get_config() does not return a ConfigDict")
    except (Exception, SystemExit) as error:  # a config file is the user's own code, and may fail in any way
        raise UserError(f"the command line or its config cannot be used: {_reason(error)}") from None
    for word in rest[verb.words :]:
        where = f"after {' '.join([name, *rest[: verb.words]])}" if verb.words else "after the verb"
        raise UserError(f"{word!r} is not understood; everything {where} is a flag, as in --dry_run")
    given = {flag: values[flag].value for flag in _FLAGS if values[flag].value is not None}
    known = (*verb.needs, *verb.takes)
    for flag in sorted(given.keys() - set(known)):
        raise UserError(
            f"--{flag} is not a flag of {name}, which takes {', '.join(f'--{f}' for f in known)}, --dry_run"
        )
    for flag in verb.needs:
        if not given.get(flag):
            raise UserError(f"{name} needs --{flag}, as in {_EXAMPLES[flag]}")
    given |= {flag: _from_home(flag, given[flag]) for flag in (*_FOLDERS, *_FILES) if given.get(flag)}
    given |= {flag: Path(given[flag]) for flag in _FOLDERS if flag in given}
    return verb, given | {"dry_run": values.dry_run} | ({"words": rest} if verb.words else {})


def _from_home(flag: str, path: str) -> str:
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise UserError(f"--{flag}={path}: there is no such home folder; write ./{path} if it is called so")
    return expanded


def _reason(error: BaseException) -> str:
    """What has gone wrong in a config file or on the command line, in one line."""
    if isinstance(error, SyntaxError):
        return f"{error.msg}, line {error.lineno} of {error.filename}"
    text = str(error.args[0] if error.args else "")
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()] or [type(error).__name__]
    if "Traceback" in text:  # ml_collections puts that of the config file into the message
        return lines[-1]
    return (
        " ".join(lines).encode().decode("unicode_escape", "replace") if isinstance(error, KeyError) else " ".join(lines)
    )


def _compilation_cache() -> None:
    """Keeps what XLA has compiled between processes, unless the user has set a place or a limit of their own."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(io.cache_dir() / "xla"))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a start compiles many small programs


@contextlib.contextmanager
def _processes(given: dict) -> Iterator[bool]:
    """Joins the other processes of the command, takes the flags that say how, and tells whether this one runs it."""
    distributed, *where = (given.pop(flag, None) for flag in _PROCESSES)
    if not distributed:
        for flag, value in zip(_PROCESSES[1:], where, strict=True):
            if value is not None:
                raise UserError(f"--{flag} is for several processes; give --distributed as well, or leave it out")
        yield True
        return
    hosts.connect(**dict(zip(_PROCESSES[1:], where, strict=True)))
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
    """A message on one line that any terminal can show, without the middle of what is longer than a page."""
    text = shown(" ".join(message.split()))
    return text if len(text) <= 3000 else f"{text[:2000]} ... {text[-900:]}"


def main(arguments: list[str]) -> int:
    """Runs one command; returns its exit status: 0 done, 2 the input is wrong, 1 anything else."""
    absl_logging.set_verbosity(absl_logging.FATAL)  # of libraries: what matters of it they also raise
    try:
        if arguments[:1] in (["--help"], ["-h"], ["help"]) or "--help" in arguments:
            print(_help())
            return 0
        verb, given = _parse(arguments)
        if "config" in given:
            check(given["config"])
        _compilation_cache()
        with _processes(given) as leads, _enough_memory():
            if leads:
                verb.function(**given)
            else:
                with contextlib.redirect_stdout(None):  # process 0 tells of the work
                    train.follow()
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
