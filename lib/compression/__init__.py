"""Part IV, compress and ship: zeros, fewer channels, fewer bits, no Python.

copying             a copy of any network, whatever it keeps; for sparsity,
                    tracing, resizing, channel_pruning, deployed
sparsity        17  masks, schedules, rewinding, N:M, and what a zero is worth
coupling            what each operator does to channels; for channel_pruning
traceable           what a trace is asked for, checked; for tracing, resizing
tracing             a network runs once, and tells which channels are one;
                    for channel_pruning
grouping            what a trace tells, as groups; for channel_pruning
resizing            tensors of other sizes in a network; for channel_pruning
channel_pruning 18  groups, importance, a smaller network, equal to its mask
deployed            a flat graph without batch norms; for quantize, qat, integer, export
histograms          values counted in bins that grow; for quantize
quantize        19  grids for numbers: scale, zero point, granularity, observers
grids               which value of a flat graph stands on which grid; for qat
checked             layers, batches, damages, integers that are given; for qat,
                    arithmetic, integer
rounding            onto a grid in real numbers, and its gradient; for qat
qat             20  fake quantization, straight-through, learned steps, mixed bits
arithmetic          operators on integers: multipliers, shifts; for integer
integer         21  the rounding network without a real number in it
pooling             a pool of a flat graph as an ONNX node; for operators
operators           what ONNX calls each operator of a flat graph; for export
pairs               Q and DQ as nodes of any graph; for qdq
qdq                 pairs Q and DQ where a graph rounds; for export
export          22  ONNX in floats and in integers, from our own scales
following           one picture through four forms of a network; for 22_export
clocked             how long each layer of a file takes; for 22_export
elsewhere           the same network by the tools of others; for 22_export
"""
