// The engine of a served page: the server's own API.

const TRIES = 5;
// kept after the "#", a token never reaches a log, and it goes when the tab is closed
let limit = Infinity;
let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

export function useToken(text) {
  token = text.trim();
}

export async function describe() {
  const model = await (await ask("model")).json();
  limit = model.file_bytes;
  const accuracy = model.accuracy === null ? "" : `, right in ${percent(model.accuracy)} of its tests`;
  return {
    ...model,
    about: `${model.model}, ${model.classes.length} classes${accuracy}`,
    privacy: "Pictures go to this server to be looked at; it keeps none.",
  };
}

export async function recognise(file) {
  if (file.size > limit) {
    const size = (file.size / 1e6).toFixed(0);
    throw new Error(`This file has ${size} MB, and ${limit / 1e6} MB is the limit.`);
  }
  const answer = await (await ask("predict", [file])).json();
  return answer.results[0];
}

export async function explain(file) {
  return (await ask("explain", [file])).blob();
}

async function ask(path, files) {
  const options = { headers: token ? { Authorization: `Bearer ${token}` } : {} };
  if (files) {
    options.method = "POST";
    options.body = new FormData();
    for (const file of files) options.body.append("files", file, file.name || "picture");
  }
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(path, options).catch(() => {
      throw new Error("The server does not answer: is it still running?");
    });
    if (response.ok) return response;
    if (response.status === 503 && attempt < TRIES) {
      const seconds = Number(response.headers.get("Retry-After") ?? 1);
      await new Promise((done) => setTimeout(done, 1000 * seconds));
      continue;
    }
    throw await refusal(response, files?.[0]?.name);
  }
}

async function refusal(response, name) {
  const body = await response.json().catch(() => ({}));
  const sentence = body.error ?? `The server refused (${response.status}).`;
  const error = new Error(sentence.replace(`${name}: `, "")); // the card shows the name
  error.needsToken = response.status === 401;
  return error;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
