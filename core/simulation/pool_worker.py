"""The process of a worker: reads a job and batches, writes what came of them."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from jiepin.core.simulation.batches import Job, failure, perform


def main() -> None:
    """Work until the pipe is closed: then the run has ended, or was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    inbox: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    try:
        job: Job = pickle.loads(inbox.get())
    except Exception as error:  # such as a class that this process does not know
        _answer(answers, failure(None, error))
        return
    _answer(answers, "ready")
    while True:
        _answer(answers, perform(job, inbox.get()))


def _listen(tasks: IO[bytes], inbox: SimpleQueue[Any]) -> None:
    """Pass on what is sent; end the process at once when nobody can send any more."""
    while True:
        try:
            inbox.put(pickle.load(tasks))
        except (EOFError, pickle.UnpicklingError):
            os._exit(0)


def _answer(answers: IO[bytes], event: object) -> None:
    pickle.dump(event, answers)
    answers.flush()


if __name__ == "__main__":
    main()
