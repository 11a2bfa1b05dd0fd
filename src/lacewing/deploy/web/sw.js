// Keeps every file of the page, so that it opens without a network.

// Another page of the same server has files of its own.
const OURS = `lacewing ${self.registration.scope} `;
const VERSION = `${OURS}@VERSION@`;
const FILES = @FILES@;

self.addEventListener("install", (event) => {
  const fresh = FILES.map((file) => new Request(file, { cache: "reload" }));
  event.waitUntil(
    caches.open(VERSION).then((cache) => cache.addAll(fresh)).then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  // before pages had their own, names were "lacewing-" and a digest
  const outdated = (name) => (name.startsWith(OURS) && name !== VERSION)
    || /^lacewing-[0-9a-f]{16}$/.test(name);
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter(outdated).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(
    caches.open(VERSION)
      .then((cache) => cache.match(event.request, { ignoreSearch: true }))
      .then((kept) => kept ?? fetch(event.request)),
  );
});
