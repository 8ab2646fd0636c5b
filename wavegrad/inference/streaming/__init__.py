"""The sampler as a stream: mel frames in, the (whitened) waveform out as soon as it is final.

Every layer of the network becomes an operator that keeps the inputs it still needs, and gives its output so many
positions late as it looks ahead. Every refinement step works behind the one before it by the look-ahead of the network.
Nothing is computed twice, so the cost is that of the whole utterance, and the memory that of one piece.

A small piece is many small operations, N times over. In a pipeline the steps do not take turns with one piece: all work
at once, as one batch, each on what the one before it made a call earlier.
"""

from wavegrad.inference.streaming.latency import Needed, inputs_needed, stream_lag
from wavegrad.inference.streaming.network import StreamLayers
from wavegrad.inference.streaming.sampler import MAX_FRAMES, StreamSampler

__all__ = ["MAX_FRAMES", "Needed", "StreamLayers", "StreamSampler", "inputs_needed", "stream_lag"]
