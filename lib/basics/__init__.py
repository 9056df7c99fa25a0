"""Part I, tools: pixels and boxes, a training, and what a network costs.

arguments           wrong kinds and ranges, refused by the argument's name;
                    for every chapter
drawing             digits on grounds, in integers; for data
files               written in one move, whole or not at all; for coco, checkpoints
photographs         one reader of pictures: whatever a file holds, upright RGB; for
                    coco, decoding
coco                photographs and boxes from any COCO folder, checked; for data
cache               drawn once, read as it was or not at all; for data
data            01  digit crops, digit scenes, letterbox, flips, scale jitter
memory              how maps lie in memory, for speed, and on which device; for
                    training, recipes, nasnet, efficientnet, efficientdet, detectors,
                    tabular
plain               functions that stand twice, to be read and to be fast; for
                    decoding, coco_eval
modes               evaluation mode, and each part back as it was; for training,
                    profiling, decoding
shipped             what the course ships, by SHA-256; for checkpoints, tabular, export
checkpoints         files that survive a kill, weights that are what they say;
                    for training
loops               half precision, clipping, chance of its own, a bar; for training
training        02  y = f(x; theta): fit, schedules, moving averages
profiling       03  parameters, multiply-adds, latency, memory, Pareto front
official            published weights, loaded whole or not at all; for nasnet,
                    efficientnet, efficientdet
"""
