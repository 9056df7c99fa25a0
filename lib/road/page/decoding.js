"use strict";
// From raw outputs to objects: what lib/detection/anchors.py and lib/detection/decoding.py do,
// in plain JavaScript. An output is {data, dims}; dims are [1, A * K, H, W], as in the ONNX file.

const MAX_LOG_SIZE = Math.log(1000 / 16);
const OVERLAP = 0.5; // two boxes of one class that overlap by more show one object

// All anchors, level by level, row by row: [x1, y1, x2, y2] in pixels. Eq. 12.1
function anchorBoxes({ image_size: [height, width], anchors }) {
  const boxes = [];
  const [first, last] = anchors.levels;
  for (let level = first; level <= last; level++) {
    const rows = Math.ceil(height / 2 ** level);
    const columns = Math.ceil(width / 2 ** level);
    const strideY = height / rows;
    const strideX = width / columns;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const x = (column + 0.5) * strideX;
        const y = (row + 0.5) * strideY;
        for (let octave = 0; octave < anchors.octaves; octave++) {
          const base = anchors.scale * 2 ** (octave / anchors.octaves);
          for (const [w, h] of anchors.ratios) {
            const halfWidth = (base * w * strideX) / 2;
            const halfHeight = (base * h * strideY) / 2;
            boxes.push([x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight]);
          }
        }
      }
    }
  }
  return boxes;
}

// A code [ty, tx, th, tw] seen from its anchor, as a box that is cut at the picture's edge.
// Eq. 12.4, 15.2
function decode([ty, tx, th, tw], [x1, y1, x2, y2], [height, width]) {
  const x = (x1 + x2) / 2 + tx * (x2 - x1);
  const y = (y1 + y2) / 2 + ty * (y2 - y1);
  const halfWidth = (Math.exp(Math.min(tw, MAX_LOG_SIZE)) * (x2 - x1)) / 2;
  const halfHeight = (Math.exp(Math.min(th, MAX_LOG_SIZE)) * (y2 - y1)) / 2;
  const cut = (value, most) => Math.min(Math.max(value, 0), most);
  return [
    cut(x - halfWidth, width), cut(y - halfHeight, height),
    cut(x + halfWidth, width), cut(y + halfHeight, height),
  ];
}

// The pairs (anchor, class) whose score reaches the threshold, best first. Eq. 15.1
function bestPairs(classes, perPlace, threshold, count) {
  const pairs = [];
  let firstAnchor = 0;
  for (const { data, dims: [, channels, rows, columns] } of classes) {
    const numClasses = channels / perPlace;
    const places = rows * columns;
    for (let place = 0; place < places; place++) {
      for (let channel = 0; channel < channels; channel++) {
        const logit = data[channel * places + place];
        const score = 1 / (1 + Math.exp(-logit));
        if (!(score >= threshold)) continue; // also what is NaN
        const inLevel = place * perPlace + Math.floor(channel / numClasses);
        pairs.push({ logit, score, label: channel % numClasses, anchor: firstAnchor + inLevel });
      }
    }
    firstAnchor += places * perPlace;
  }
  pairs.sort((a, b) => b.logit - a.logit); // stable: of equals the first
  return pairs.slice(0, count);
}

// The code of one anchor, from the outputs of boxes.
function codeOf(boxes, perPlace, anchor) {
  for (const { data, dims: [, , rows, columns] } of boxes) {
    const places = rows * columns;
    if (anchor < places * perPlace) {
      const place = Math.floor(anchor / perPlace);
      const channel = 4 * (anchor % perPlace);
      return [0, 1, 2, 3].map((i) => data[(channel + i) * places + place]);
    }
    anchor -= places * perPlace;
  }
  throw new RangeError("there is no such anchor");
}

function iou(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(width, 0) * Math.max(height, 0);
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return both / Math.max(area(a) + area(b) - both, Number.MIN_VALUE); // Eq. 12.2
}

// Objects {box, score, label}, best first: pairs, boxes, then NMS in each class. Eq. 15.3
function detections(classes, boxes, facts, { threshold = 0.3, candidates = 5000, keep = 100 } = {}) {
  const anchors = anchorBoxes(facts);
  const perPlace = boxes[0].dims[1] / 4;
  const kept = [];
  for (const { anchor, score, label } of bestPairs(classes, perPlace, threshold, candidates)) {
    const box = decode(codeOf(boxes, perPlace, anchor), anchors[anchor], facts.image_size);
    const rivals = kept.filter((other) => other.label === label);
    if (rivals.some((other) => iou(other.box, box) > OVERLAP)) continue;
    kept.push({ box, score, label });
    if (kept.length === keep) break;
  }
  return kept.filter(({ box: [x1, y1, x2, y2] }) => x2 > x1 && y2 > y1);
}

if (typeof module !== "undefined") module.exports = { anchorBoxes, decode, detections, iou };
