"""The verbs of the command line. A further one is a file beside this one, and a line here."""

from gan_da_jax.verbs import audit, compare, evaluate, prepare, report, score, study, train, weights
from gan_da_jax.verbs.verb import Verb

VERBS: dict[str, Verb] = {
    "prepare": prepare.VERB,
    "train": train.VERB,
    "evaluate": evaluate.VERB,
    "study": study.VERB,
    "report": report.VERB,
    "score": score.VERB,
    "compare": compare.VERB,
    "audit": audit.VERB,
    "weights": weights.VERB,
}
