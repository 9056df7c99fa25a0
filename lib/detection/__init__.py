"""Part III, detection: a backbone, a pyramid, two heads, and how good their boxes are.

efficientnet    10  MBConv, squeeze-excite, compound scaling, B0 to B7, Lite
bifpn           11  the road from FPN to PANet to BiFPN, weighted fusion
anchors         12  anchors, IoU, box codes, which anchor learns what
categories          id and name of what each output means; for efficientdet,
                    coco_eval
efficientdet    13  heads, D0 to D7x and Lite, official weights, any backbone
detectors           three small ones, shipped, for all that comes after; for
                    coco_eval
detection_loss  14  focal loss, Huber loss, one normaliser for the batch
decoding        15  top-k, boxes, NMS and soft-NMS, `detect` on any picture
coco_tables         COCO dictionaries as arrays, each entry checked; for coco_eval
pairing             all images at once: who may take what, in turns; for coco_eval
redrawing           a test set drawn again and again, intervals; for coco_eval
coco_eval       16  matching, precision and recall, the twelve COCO numbers
mistakes            what a detector does wrong, six kinds and what each costs; for
                    coco_eval
coco_folders        a folder in COCO's form, learned from and judged by;
                    for recipes
settings            what a long run can be told, checked; for recipes
runs                the folder of a long run: its files, its log, its lock;
                    for recipes
recipes             train a detector on any COCO folder, on many GPUs; for
                    efficientdet
"""
