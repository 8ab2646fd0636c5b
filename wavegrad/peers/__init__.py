"""Other vocoders, each in an environment of its own, timed beside ours.

`lmnt`, `vocos` and `bigvgan` build one each; they and `serve` are run by the interpreter of that environment, and
import nothing of ours. `process` starts them from here.
"""

from wavegrad.peers.process import PEERS, Facts, Peer, interpreter_of, start_peer

__all__ = ["PEERS", "Facts", "Peer", "interpreter_of", "start_peer"]
