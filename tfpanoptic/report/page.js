"use strict";

const root = document.documentElement;
const narrow = matchMedia("(max-width: 760px)");

// Tables: a click on a heading sorts; #table:column:up or :down in the address does, too, so that links can.
function sortTable(table, key, direction) {
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex((head) => head.dataset.key === key);
  if (column < 0) return false;
  const numeric = heads[column].classList.contains("number") || heads[column].dataset.key === "bar";
  const sign = direction === "up" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, value: row.cells[column].dataset.v }));
  rows.sort((a, b) => {
    if (a.value === undefined || b.value === undefined) return (a.value === undefined) - (b.value === undefined);
    const order = numeric ? Number(a.value) - Number(b.value) : a.value.localeCompare(b.value);
    return sign * order;
  });
  table.tBodies[0].append(...rows.map((entry) => entry.row));
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", direction === "up" ? "ascending" : "descending");
  return true;
}

function sortByAddress() {
  const [id, key, direction] = location.hash.slice(1).split(":");
  const table = document.getElementById(id);
  if (key && table instanceof HTMLTableElement && sortTable(table, key, direction)) table.scrollIntoView();
}

document.addEventListener("click", (event) => {
  const head = event.target.closest("th[data-key]");
  if (head) {
    const table = head.closest("table");
    const before = head.getAttribute("aria-sort");
    const first = head.classList.contains("number") ? "down" : "up";
    const direction = before === null ? first : before === "ascending" ? "down" : "up";
    sortTable(table, head.dataset.key, direction);
    history.replaceState(null, "", `#${table.id}:${head.dataset.key}:${direction}`);
  }
  const more = event.target.closest("button.more");
  if (more) {
    document.getElementById(more.dataset.table).classList.remove("short");
    more.remove();
  }
});

// Pictures: buttons choose one; a click on a picture, and the keys, go through them in the same place.
const choices = (scene) => [...scene.querySelectorAll(".flip input")];
let pointed = null;

function show(scene, view) {
  const input = choices(scene).find((choice) => choice.value === view);
  if (input) input.checked = true;
}

document.querySelectorAll(".scene").forEach((scene) => {
  scene.addEventListener("pointerenter", () => { pointed = scene; });
  scene.addEventListener("pointerleave", () => { pointed = null; });
  scene.querySelectorAll(".views figure").forEach((figure) => figure.addEventListener("click", () => {
    const views = choices(scene).map((choice) => choice.value).filter((view) => view !== "all");
    const chosen = choices(scene).find((choice) => choice.checked).value;
    show(scene, chosen === "all" ? figure.className : views[(views.indexOf(chosen) + 1) % views.length]);
  }));
  if (narrow.matches) show(scene, "errors");
});

document.querySelectorAll("[data-view]").forEach((button) => button.addEventListener("click", () => {
  document.querySelectorAll(".scene").forEach((scene) => show(scene, button.dataset.view));
}));

document.addEventListener("keydown", (event) => {
  const scene = pointed || document.activeElement.closest(".scene");
  if (!scene || event.ctrlKey || event.altKey || event.metaKey) return;
  const choice = choices(scene)["01234".indexOf(event.key)];
  if (choice) choice.checked = true;
});

addEventListener("hashchange", sortByAddress);
root.dataset.script = "ready";
sortByAddress();
