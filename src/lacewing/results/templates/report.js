"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th button").forEach((button) => {
    const heading = button.parentElement;
    button.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      const key = (row) => row.cells[heading.cellIndex].dataset.value;
      const number = heading.classList.contains("n");
      const compare = (a, b) => (number ? key(a) - key(b) : key(a).localeCompare(key(b)));
      const rows = [...body.rows].sort((a, b) => (up ? compare(a, b) : compare(b, a)));
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...rows);
    });
  });
}
const source = document.getElementById("matrix-data");
if (source) {
  const data = JSON.parse(source.textContent);
  const images = new Map(data.counts.map(([x, y, count]) => [y * data.names.length + x, count]));
  const cells = document.getElementById("cells");
  const mark = document.getElementById("mark");
  const readout = document.getElementById("readout");
  cells.ownerSVGElement.addEventListener("pointermove", (event) => {
    const box = cells.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) / box.width * data.names.length);
    const y = Math.floor((event.clientY - box.top) / box.height * data.names.length);
    const inside = [x, y].every((place) => place >= 0 && place < data.names.length);
    mark.style.visibility = inside ? "visible" : "hidden";
    if (!inside) return;
    mark.setAttribute("x", x * data.unit);
    mark.setAttribute("y", y * data.unit);
    const count = images.get(y * data.names.length + x) || 0;
    const answer = x === y ? "recognised" : "taken for " + data.names[x];
    readout.textContent = `${data.names[y]}: ${count} of ${data.support[y]} ${answer}`;
  });
}
