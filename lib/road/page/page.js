"use strict";
// The page: a pen on a sheet, a network that looks at it, and what it finds as boxes and as text.
// PACKED (bytes in gzip and base64), NETWORKS, FACTS, GROUNDS and SCENES come from the builder.

const SIZE = FACTS.image_size[0];
const LATEST = 9; // runs whose median is shown
const QUIET = 500; // milliseconds after the last change: then a screen reader is told
const BOX = "#ffffff";
const UNDER = "rgba(10, 20, 30, 0.75)"; // a dark rim: a white box is seen on any ground
const by = (id) => document.getElementById(id);

// ---- the network ----
async function unpack(name) {
  const packed = Uint8Array.from(atob(PACKED[name]), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const sessions = {}; // name: promise of a session
const times = {}; // name: milliseconds, latest first
let runtime = null;

async function prepare() {
  const script = new Blob([await unpack("runtime.mjs")], { type: "text/javascript" });
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = (await unpack("runtime.wasm")).buffer;
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(script) };
}

async function session(name) {
  runtime ??= prepare();
  await runtime;
  return (sessions[name] ??= start(name));
}

async function start(name) {
  const network = await ort.InferenceSession.create(await unpack(name), { executionProviders: ["wasm"] });
  const nothing = new ort.Tensor("float32", new Float32Array(3 * SIZE * SIZE), [1, 3, SIZE, SIZE]);
  await network.run({ [network.inputNames[0]]: nothing }); // the first run is slow: nobody waits for it
  return network;
}

// A byte as the network wants it, rounded to float32 at every step as training does.
const LOOK_UP = FACTS.mean.map((mean, c) =>
  Float32Array.from({ length: 256 }, (_, byte) =>
    Math.fround(Math.fround(Math.fround(byte / 255) - Math.fround(mean)) / Math.fround(FACTS.std[c]))));

// The raw outputs of a network for bytes 3 * SIZE * SIZE, and its milliseconds.
async function outputs(name, bytes) {
  const network = await session(name);
  const area = SIZE * SIZE;
  const values = Float32Array.from(bytes, (byte, i) => LOOK_UP[Math.floor(i / area)][byte]);
  const input = new ort.Tensor("float32", values, [1, 3, SIZE, SIZE]);
  const start = performance.now();
  const results = await network.run({ [network.inputNames[0]]: input });
  const milliseconds = performance.now() - start;
  const all = network.outputNames.map((output) => results[output]);
  return { classes: all.slice(0, all.length / 2), boxes: all.slice(all.length / 2), milliseconds };
}

async function detect(name, bytes, how = {}) {
  const { classes, boxes, milliseconds } = await outputs(name, bytes);
  times[name] = [milliseconds, ...(times[name] ?? [])].slice(0, LATEST);
  return detections(classes, boxes, FACTS, how);
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// ---- the sheet ----
let sheet; // what is drawn on
let truth = null; // labels of a test scene, null on an empty ground
let groundNumber = 0;
let sceneNumber = 0;
let found = [];
const pen = { x: SIZE / 2, y: SIZE / 2, down: false, shown: false };

const sixteen = (bytes) => new Int16Array(bytes.buffer);

async function freshGround() {
  const { name, ink, grain } = GROUNDS[groundNumber % GROUNDS.length];
  groundNumber += 1;
  truth = null;
  sheet = new Sheet({ ground: sixteen(await unpack(name)), size: SIZE, ink, grain, seed: groundNumber });
  changed();
}

async function nextScene() {
  const { name, ink, labels } = SCENES[sceneNumber % SCENES.length];
  sceneNumber += 1;
  truth = labels;
  sheet = new Sheet({ ground: await unpack(name), size: SIZE, ink, grain: 0 });
  changed();
}

function showPicture() {
  const context = by("picture").getContext("2d");
  const image = context.createImageData(SIZE, SIZE);
  const bytes = sheet.pixels();
  const area = SIZE * SIZE;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[c * area + i];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function showBoxes() {
  const canvas = by("boxes");
  const ratio = window.devicePixelRatio || 1;
  const side = Math.round(canvas.clientWidth * ratio);
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  const scale = side / SIZE;
  context.clearRect(0, 0, side, side);
  const high = Math.max(13, 0.036 * canvas.clientWidth) * ratio;
  context.font = `600 ${high}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const { box: [x1, y1, x2, y2], label, score } of [...found].reverse()) {
    const frame = [x1 * scale, y1 * scale, (x2 - x1) * scale, (y2 - y1) * scale];
    for (const [width, colour] of [[4.5, UNDER], [2, BOX]]) {
      context.lineWidth = width * ratio;
      context.strokeStyle = colour;
      context.strokeRect(...frame);
    }
    const words = `${label}  ${score.toFixed(2)}`;
    const wide = context.measureText(words).width + 0.8 * high;
    const tall = 1.45 * high;
    const left = Math.min(Math.max(frame[0] - ratio, 0), side - wide);
    const top = frame[1] >= tall ? frame[1] - tall : Math.min(frame[1] + frame[3], side - tall);
    context.fillStyle = UNDER;
    context.beginPath();
    context.roundRect(left, top, wide, tall, 3 * ratio);
    context.fill();
    context.fillStyle = BOX;
    context.fillText(words, left + 0.4 * high, top + tall / 2);
  }
  if (pen.shown) showPen(context, scale, ratio);
}

function showPen(context, scale, ratio) {
  for (const [width, colour] of [[4, UNDER], [2, BOX]]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.beginPath();
    context.arc(pen.x * scale, pen.y * scale, 3 * scale, 0, 2 * Math.PI);
    context.stroke();
    if (!pen.down) continue;
    context.beginPath();
    context.arc(pen.x * scale, pen.y * scale, 0.7 * scale, 0, 2 * Math.PI);
    context.stroke();
  }
}

// ---- what is found, as text ----
const network = () => document.querySelector("input[name=network]:checked").value;
const threshold = () => Number(by("threshold").value);
const penShare = () => Number(document.querySelector("input[name=pen]:checked").value);

function sentence() {
  if (!found.length) {
    return sheet.strokes.length || truth ? "No digit found." : "Draw a digit, or load a test scene.";
  }
  const digits = found.map(({ label, score }) => `${label} (${score.toFixed(2)})`).join(", ");
  return `${found.length} ${found.length === 1 ? "digit" : "digits"} found: ${digits}.`;
}

function showText() {
  const rows = found.map(({ box: [x1, y1, x2, y2], score, label }) => {
    const cells = [
      label, score.toFixed(2), `${x1.toFixed(1)}, ${y1.toFixed(1)}`,
      `${(x2 - x1).toFixed(1)}, ${(y2 - y1).toFixed(1)}`,
    ];
    const row = document.createElement("tr");
    for (const text of cells) row.insertCell().textContent = text;
    return row;
  });
  by("objects").tBodies[0].replaceChildren(...rows);
  by("objects").hidden = !rows.length;
  by("truth").textContent = truth ? `In this scene: ${truth.join(", ")}.` : "";
  for (const { name } of NETWORKS) {
    if (times[name]) by(`ms ${name}`).textContent = `${median(times[name]).toFixed(1)} ms`;
  }
}

let waiting = null;
function tell(text) {
  clearTimeout(waiting);
  waiting = null;
  if (by("said").textContent !== text) by("said").textContent = text;
}

function tellSoon() {
  clearTimeout(waiting); // a screen reader hears the end of a stroke, not each of its points
  waiting = setTimeout(() => tell(sentence()), QUIET);
}

// ---- look again after each change, one look at a time ----
let again = false;
let looking = null;

function changed() {
  showPicture();
  showBoxes();
  again = true;
  looking ??= look().finally(() => { looking = null; });
}

async function look() {
  while (again) {
    again = false;
    try {
      found = await detect(network(), sheet.pixels(), { threshold: threshold() });
    } catch (error) {
      tell(`This browser cannot run the network: ${error.message}`);
      return;
    }
    showBoxes();
    showText();
    tellSoon();
    await new Promise((next) => setTimeout(next)); // the pen goes first
  }
}

// ---- mouse, finger, keys ----
function place(event) {
  const frame = by("boxes").getBoundingClientRect();
  return [
    ((event.clientX - frame.left) / frame.width) * SIZE,
    ((event.clientY - frame.top) / frame.height) * SIZE,
  ];
}

let drawing = null; // the pointer that draws
function listenToPointers() {
  const canvas = by("boxes");
  canvas.addEventListener("pointerdown", (event) => {
    if (!sheet || drawing !== null || event.button !== 0) return;
    drawing = event.pointerId;
    canvas.setPointerCapture(drawing);
    pen.shown = pen.down = false;
    sheet.begin(...place(event), penShare());
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drawing) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) sheet.extend(...place(each));
    changed();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId === drawing) drawing = null;
    });
  }
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function listenToKeys() {
  by("boxes").addEventListener("keydown", (event) => {
    if (!sheet || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in ARROWS) {
      const step = event.shiftKey ? 1 : 4;
      const [right, down] = ARROWS[event.key];
      pen.x = Math.min(Math.max(pen.x + step * right, 0), SIZE);
      pen.y = Math.min(Math.max(pen.y + step * down, 0), SIZE);
      pen.shown = true;
      if (pen.down) sheet.extend(pen.x, pen.y);
      if (pen.down) changed();
      else showBoxes();
    } else if (event.key === " ") {
      pen.shown = true;
      pen.down = !pen.down;
      if (pen.down) sheet.begin(pen.x, pen.y, penShare());
      changed();
      tell(`Pen ${pen.down ? "down" : "up"}, ${Math.round(pen.x)} from left, ${Math.round(pen.y)} from top.`);
    } else if (event.key === "Backspace") undo();
    else return;
    event.preventDefault();
  });
  by("boxes").addEventListener("blur", () => {
    pen.shown = pen.down = false;
    showBoxes();
  });
}

function undo() {
  pen.down = false;
  sheet.undo();
  changed();
}

function listNetworks() {
  for (const { name, words, kilobytes } of NETWORKS) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "network", value: name });
    const part = (className, text, id = "") =>
      Object.assign(document.createElement("span"), { className, textContent: text, id });
    label.append(input, part("words", words), part("kb", `${kilobytes} kB`), part("ms", "", `ms ${name}`));
    by("networks").append(label);
    input.checked = NETWORKS.at(-1).name === name;
    input.addEventListener("change", changed);
  }
  by("size").textContent = `a file of ${Math.min(...NETWORKS.map(({ kilobytes }) => kilobytes))} kB`;
}

listNetworks();
listenToPointers();
listenToKeys();
by("undo").addEventListener("click", undo);
by("clear").addEventListener("click", () => { sheet.clear(); truth ? freshGround() : changed(); });
by("fresh").addEventListener("click", freshGround);
by("scene").addEventListener("click", nextScene);
by("threshold").addEventListener("input", () => {
  by("least").textContent = threshold().toFixed(2);
  changed();
});
window.addEventListener("resize", () => sheet && showBoxes());
freshGround();
