"""The sampler as a stream: mel frames in, the (whitened) waveform out as soon as it is final.

Every layer of the network becomes an operator that keeps the inputs it still needs, and every refinement step works
behind the one before it by the look-ahead of the network. Nothing is computed twice, so the cost is that of the whole
utterance, and the memory that of one piece.
"""

from wavegrad.inference.streaming.latency import Needed, inputs_needed
from wavegrad.inference.streaming.sampler import StreamSampler

__all__ = ["Needed", "StreamSampler", "inputs_needed"]
