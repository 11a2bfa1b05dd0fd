// The page: pictures in, cards out. What recognises them is the engine: a server's API, or a
// network that runs in this browser.
//
// An engine has describe() -> {classes, low_confidence, about, privacy}, recognise(file) ->
// {top: [{class, probability}, ...]} best first, and, where it can, explain(file) -> Blob.
// Its errors carry a sentence for the user; one with `needsToken` asks for the token.

import * as engine from "./engine.js";

const AT_ONCE = 3;
const SHOWN = 5;
const find = (id) => document.getElementById(id);
const queue = [];
const cards = [];
let running = 0;
let model = null;

async function open() {
  try {
    model = await engine.describe();
  } catch (error) {
    if (error.needsToken) return askForToken();
    return tell(error.message);
  }
  find("access").hidden = true;
  find("about").textContent = model.about;
  find("privacy").textContent = model.privacy;
  const names = model.classes.map((name) => Object.assign(document.createElement("li"), { textContent: name }));
  find("classes").querySelector("ul").replaceChildren(...names);
  find("classes").querySelector("summary").textContent = `What it knows: ${model.classes.length} classes`;
  document.body.dataset.ready = "yes";
  work();
}

function tell(sentence) {
  find("trouble").textContent = sentence;
  find("trouble").hidden = !sentence;
}

function askForToken() {
  find("about").textContent = "";
  find("access").hidden = false;
  find("token").focus();
}

function add(files) {
  tell("");
  for (const file of files) {
    const card = makeCard(file);
    cards.push(card);
    queue.push(card);
    find("results").append(card.element);
  }
  document.body.classList.toggle("answered", cards.length > 0);
  count();
  work();
}

function makeCard(file) {
  const element = find("card").content.firstElementChild.cloneNode(true);
  const photo = element.querySelector(".photo");
  photo.src = URL.createObjectURL(file);
  photo.onerror = () => photo.remove();
  element.querySelector(".file").textContent = file.name || "pasted picture";
  element.querySelector("h2").textContent = "Looking …";
  element.classList.add("waiting");
  return { file, element, result: null, error: null, heat: null };
}

function work() {
  while (model && running < AT_ONCE && queue.length) {
    running += 1;
    answer(queue.shift()).finally(() => {
      running -= 1;
      count();
      work();
    });
  }
}

async function answer(card) {
  try {
    card.result = await engine.recognise(card.file);
    showResult(card);
  } catch (error) {
    card.error = error.message;
    showError(card);
    if (error.needsToken) askForToken();
  }
  card.element.classList.remove("waiting");
}

function showResult(card) {
  const top = card.result.top.slice(0, SHOWN);
  const unsure = top[0].probability < model.low_confidence;
  card.element.classList.toggle("unsure", unsure);
  card.element.querySelector("h2").textContent = unsure ? `Perhaps ${top[0].class}` : top[0].class;
  card.element.querySelector(".doubt").hidden = !unsure;
  card.element.querySelector(".bars").replaceChildren(...top.map(bar));
  if (!engine.explain) return;
  const look = card.element.querySelector(".look");
  look.hidden = false;
  look.onclick = () => toggleHeat(card, look);
}

function bar({ class: name, probability }) {
  const item = document.createElement("li");
  const part = (tag, kind, text) =>
    Object.assign(document.createElement(tag), { className: kind, textContent: text });
  const track = part("span", "track", "");
  const fill = document.createElement("i");
  fill.style.width = `${(100 * probability).toFixed(2)}%`;
  track.append(fill);
  item.append(part("span", "name", name), part("span", "share", percent(probability)), track);
  return item;
}

function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${(100 * share).toFixed(1)} %`;
}

async function toggleHeat(card, look) {
  const heat = card.element.querySelector(".heat");
  try {
    if (!card.heat) {
      look.disabled = true;
      card.heat = URL.createObjectURL(await engine.explain(card.file));
      heat.src = card.heat;
      await heat.decode();
    }
    heat.hidden = !heat.hidden;
    look.setAttribute("aria-pressed", String(!heat.hidden));
    look.textContent = heat.hidden ? "Show where it looked" : "Show the picture";
  } catch (error) {
    tell(error.message);
  } finally {
    look.disabled = false;
  }
}

function showError(card) {
  card.element.classList.add("failed");
  card.element.querySelector("h2").textContent = card.error;
}

function count() {
  const done = cards.filter((card) => card.result || card.error).length;
  const failed = cards.filter((card) => card.error).length;
  const pictures = cards.length === 1 ? "1 picture" : `${cards.length} pictures`;
  const begun = done < cards.length ? `${done} of ${pictures}` : pictures;
  find("count").textContent = failed ? `${begun}, ${failed} not read` : begun;
  find("bar").hidden = cards.length === 0;
  find("save").disabled = done === 0;
}

function clear() {
  for (const card of cards) {
    URL.revokeObjectURL(card.element.querySelector(".photo")?.src);
    if (card.heat) URL.revokeObjectURL(card.heat);
  }
  queue.length = 0;
  cards.length = 0;
  find("results").replaceChildren();
  document.body.classList.remove("answered");
  count();
}

function csv() {
  const ranks = Math.min(SHOWN, model.classes.length);
  const head = ["file", "class", "confidence"];
  for (let k = 2; k <= ranks; k += 1) head.push(`class_${k}`, `confidence_${k}`);
  const rows = cards
    .filter((card) => card.result || card.error)
    .map((card) => {
      const top = card.result ? card.result.top.slice(0, ranks) : [];
      const cells = top.flatMap((one) => [one.class, one.probability.toFixed(6)]);
      while (cells.length < 2 * ranks) cells.push("");
      return [card.file.name, ...cells, card.error ?? ""];
    });
  const quote = (cell) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return [[...head, "error"], ...rows].map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "predictions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

for (const id of ["files", "camera"]) {
  find(id).onchange = (event) => {
    add(event.target.files);
    event.target.value = "";
  };
}
find("access").onsubmit = (event) => {
  event.preventDefault();
  engine.useToken(find("token").value);
  open();
};
find("save").onclick = save;
find("clear").onclick = clear;
const drop = find("drop");
let inside = 0;
document.addEventListener("dragenter", () => drop.classList.toggle("over", ++inside > 0));
document.addEventListener("dragleave", () => drop.classList.toggle("over", --inside > 0));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  drop.classList.remove("over");
  add(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => add(event.clipboardData.files));
open();
