// The engine of an exported page: the network runs in this browser, by onnxruntime-web.

import * as ort from "./runtime/ort.wasm.bundle.min.mjs";
import { centralSquare } from "./square.js";

// several threads would need headers that a plain file server does not send
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL("runtime/ort-wasm-simd-threaded.wasm", location.href).href };

// a phone's browser gives a canvas no more pixels than this
const MAX_PIXELS = 16_000_000;
let model = null;
let session = null;
let last = Promise.resolve();

export async function describe() {
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("sw.js").catch(() => {});
  model = await (await load("model.json")).json();
  const bytes = new Uint8Array(await (await load(model.file)).arrayBuffer());
  session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }).catch((error) => {
    throw new Error(`This browser can't run the model (${error.message}).`);
  });
  return {
    classes: model.classes,
    low_confidence: model.low_confidence,
    about: `${model.model}, ${model.classes.length} classes`,
    privacy: "Pictures stay on this device, and once loaded the page works without a network.",
  };
}

async function load(name) {
  const response = await fetch(name).catch(() => null);
  if (!response?.ok) throw new Error(`${name} can't be loaded: is the folder complete?`);
  return response;
}

export async function recognise(file) {
  const square = centralSquare(await pixelsOf(file), model.preprocessing);
  // one picture at a time: a session can't run twice at once
  last = last.catch(() => {}).then(() => probabilities(square));
  return { top: ranked(await last) };
}

async function pixelsOf(file) {
  const bitmap = await createImageBitmap(file, {
    imageOrientation: "from-image",
    colorSpaceConversion: "none",
  }).catch(() => {
    throw new Error("This is no picture: choose a JPEG, PNG or WebP file.");
  });
  const shrink = Math.min(1, Math.sqrt(MAX_PIXELS / (bitmap.width * bitmap.height)));
  const width = Math.max(1, Math.round(bitmap.width * shrink));
  const height = Math.max(1, Math.round(bitmap.height * shrink));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // what is transparent becomes white
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

async function probabilities(square) {
  const side = model.preprocessing.image_size;
  const input = new ort.Tensor("uint8", square, [1, side, side, 3]);
  const answer = await session.run({ [model.input.name]: input });
  return answer[model.output.name].data;
}

function ranked(row) {
  return Array.from(row, (probability, label) => ({ class: model.classes[label], probability }))
    .sort((one, other) => other.probability - one.probability);
}
