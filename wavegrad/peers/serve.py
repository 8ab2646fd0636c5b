"""Run by the interpreter of another package: builds it, then times a call for every line that it is sent.

    python -I serve.py PEER.py SECONDS STEPS THREADS

It answers with lines of JSON: what `build` of PEER.py says of itself, then the seconds of each call, and those of the
processor (all threads).
"""

import json
import runpy
import sys
import time


def serve(peer: str, seconds: float, steps: int, threads: int) -> None:
    """Answer until there are no more lines. The call that warms up comes before the first answer."""
    answers, sys.stdout = sys.stdout, sys.stderr  # packages talk
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    facts, call = runpy.run_path(peer)["build"](seconds, steps)
    with torch.inference_mode():
        call()
        print(json.dumps(facts | {"torch": torch.__version__}), file=answers, flush=True)
        for _ in sys.stdin:
            began = time.perf_counter(), time.process_time()
            call()
            ended = time.perf_counter(), time.process_time()
            print(json.dumps([end - start for start, end in zip(began, ended, strict=True)]), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
