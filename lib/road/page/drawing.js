"use strict";
// A sheet to draw on, made as the network's training pictures were (lib/basics/drawing.py): ink
// laid over a ground by its cover of 0 to 256, then grain, then a cut to 0..255. All in the 128
// x 128 pixels that the network sees; pixel (x, y) is the square from x to x + 1.

const EDGE = 1.5; // pixels over which a stroke fades
const FULL = 256; // cover of a pixel that is all ink
const THIN = 3; // pixels, the least width of a stroke, and the most
const THICK = 14;
const TOUCH = 3; // strokes nearer than so many pixels belong to one digit

// Whole numbers 0..4294967295 that look random; the same seed gives the same ones.
function randomWords(seed) {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}

// Strokes that touch, together: [{frame: [left, top, right, bottom], strokes}, ...].
function digits(strokes) {
  let groups = [];
  for (const stroke of strokes) {
    const xs = stroke.points.map(([x]) => x);
    const ys = stroke.points.map(([, y]) => y);
    let whole = {
      frame: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)],
      strokes: [stroke],
    };
    const apart = [];
    for (const group of groups) {
      const [a, b] = [group.frame, whole.frame];
      const beside = a[2] + TOUCH < b[0] || b[2] + TOUCH < a[0];
      const above = a[3] + TOUCH < b[1] || b[3] + TOUCH < a[1];
      if (beside || above) apart.push(group);
      else whole = join(group, whole);
    }
    groups = [...apart, whole];
  }
  return groups;
}

function join({ frame: a, strokes: first }, { frame: b, strokes: second }) {
  const low = [0, 1].map((i) => Math.min(a[i], b[i]));
  const high = [2, 3].map((i) => Math.max(a[i], b[i]));
  return { frame: [...low, ...high], strokes: [...first, ...second] };
}

class Sheet {
  // ground: 3 * size * size whole numbers, colour by colour; ink: [red, green, blue].
  constructor({ ground, size, ink, grain, seed = 1 }) {
    Object.assign(this, { ground, size, ink });
    const next = randomWords(seed);
    const noise = () => Math.floor((next() / 2 ** 32) * (2 * grain + 1)) - grain;
    this.noise = Int8Array.from({ length: ground.length }, noise);
    this.clear();
  }

  clear() {
    this.strokes = [];
    this.cover = new Float32Array(this.size * this.size);
  }

  // A stroke is {share, width, points: [[x, y], ...]}; a single point is a dot.
  begin(x, y, share) {
    this.strokes.push({ share, width: THIN, points: [[x, y]] });
    this.redraw();
  }

  extend(x, y) {
    const stroke = this.strokes.at(-1);
    const before = stroke.points.at(-1);
    stroke.points.push([x, y]);
    if (this.fitWidths()) this.redraw();
    else this.segment(before, [x, y], stroke.width);
  }

  undo() {
    this.strokes.pop();
    this.redraw();
  }

  redraw() {
    this.fitWidths();
    this.cover.fill(0);
    for (const { width, points } of this.strokes) {
      points.forEach((point, i) => this.segment(points[Math.max(i - 1, 0)], point, width));
    }
  }

  // The pen grows with the digit: of a scan, every size has strokes of one share of its height.
  // Strokes that touch are one digit. True if a width changed so that one can see it.
  fitWidths() {
    let anew = false;
    for (const { frame: [left, top, right, bottom], strokes } of digits(this.strokes)) {
      const high = Math.max(bottom - top, (right - left) / 2); // the bar of a 7 is still to grow
      for (const stroke of strokes) {
        const width = Math.min(Math.max(stroke.share * high, THIN), THICK);
        if (Math.abs(width - stroke.width) < 0.2) continue;
        stroke.width = width;
        anew = true;
      }
    }
    return anew;
  }

  // Ink along a line: full near it, gone `EDGE` pixels further out.
  segment([x1, y1], [x2, y2], width) {
    const reach = width / 2 + EDGE;
    const range = (a, b) => [
      Math.max(0, Math.floor(Math.min(a, b) - reach)),
      Math.min(this.size - 1, Math.ceil(Math.max(a, b) + reach)),
    ];
    const [left, right] = range(x1, x2);
    const [top, bottom] = range(y1, y2);
    const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const x = column + 0.5 - x1;
        const y = row + 0.5 - y1;
        const along = length && (x * (x2 - x1) + y * (y2 - y1)) / length;
        const nearest = Math.min(Math.max(along, 0), 1);
        const distance = Math.hypot(x - nearest * (x2 - x1), y - nearest * (y2 - y1));
        const ink = FULL * (0.5 + (width / 2 - distance) / EDGE);
        const place = row * this.size + column;
        this.cover[place] = Math.max(this.cover[place], Math.min(Math.max(ink, 0), FULL));
      }
    }
  }

  // The picture as the network gets it: bytes, 3 * size * size, colour by colour.
  pixels() {
    const area = this.cover.length;
    const bytes = new Uint8ClampedArray(3 * area);
    for (let i = 0; i < bytes.length; i++) {
      const ground = this.ground[i];
      const change = (this.ink[Math.floor(i / area)] - ground) * this.cover[i % area];
      bytes[i] = ground + Math.floor(change / FULL) + this.noise[i];
    }
    return bytes;
  }
}

if (typeof module !== "undefined") module.exports = { Sheet, digits, randomWords };
