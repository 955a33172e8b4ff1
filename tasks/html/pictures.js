// Pictures with what was labelled and found drawn over them, in the gallery and behind the numbers.

const MOST_NAMES = 200;
const MOST_SHOWN = 60;

// A box over its picture, its name above it (labelled ones: below), kept inside the picture.
function overlay({ place, kind, text, meant }) {
  const [x, y, width, height] = Array.from(place, (part) => part / 100);
  const box = made("div", { className: `box ${kind} ${meant ? "meant" : "faint"}` });
  Object.assign(box.style, { left: `${x}%`, top: `${y}%`, width: `${width}%`, height: `${height}%` });
  if (!meant || !text) return [box];
  const name = made("span", { className: `name ${kind}` }, text);
  if (x + width / 2 > 60) name.style.right = `${Math.max(0, 100 - x - width)}%`;
  else name.style.left = `${x}%`;
  if (kind === "missed") name.style.bottom = `max(0px, calc(${100 - y - height}% - 1.4em))`;
  else name.style.top = `max(0px, calc(${y}% - 1.4em))`;
  return [box, name];
}

// One picture: {image, regions, boxes}, and only what is meant of it in full colour.
function figure(counted, threshold, one) {
  const name = data.images[one.image];
  const told = counted.told(threshold, one);
  const image = made("img", { src: data.pictures[one.image], alt: told ? `${name}: ${told}` : name });
  const frame = made("div", { className: "frame" }, image);
  const over = counted.drawnOver(threshold, one).map(overlay);
  frame.append(...over.map(([box]) => box), ...over.flatMap(([, text]) => (text ? [text] : [])));
  const lines = told ? told.split("; ").map((line) => made("b", {}, line)) : [];
  return made("figure", {}, frame, made("figcaption", {}, ...lines, made("span", { title: name }, name)));
}

const seen = (one) => one.image in data.pictures;

// The dialog with the pictures behind a number; those that the page does not carry are named.
function opened(counted, threshold, title, list) {
  const dialog = document.getElementById("pictures");
  const [said, unseen] = dialog.querySelectorAll("p");
  const shown = list.filter(seen).slice(0, MOST_SHOWN);
  const names = list.filter((one) => !shown.includes(one)).map((one) => data.images[one.image]);
  dialog.querySelector("h2").textContent = title;
  said.textContent = `${list.length} ${list.length === 1 ? "picture" : "pictures"}${at(threshold)}`;
  dialog.querySelector(".pictures").replaceChildren(...shown.map((one) => figure(counted, threshold, one)));
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  unseen.textContent = names.length ? `Without a picture here: ${names.slice(0, MOST_NAMES).join(", ")}${more}` : "";
  dialog.querySelector(".pictures").classList.toggle("small", data.task !== "detection");
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function at(threshold) {
  if (data.columns.exclusive) return threshold > 0 ? `, of answers at least as sure as ${threshold}` : "";
  return `, at a threshold of ${+threshold.toFixed(8)}`;
}

function drawGallery(counted) {
  const parts = data.gallery.map(({ title, said, rows }) => {
    const shown = rows.filter(seen).map((row) => ("region" in row ? { ...row, regions: [row.region] } : row));
    const figures = shown.map((row) => figure(counted, data.start, row));
    const about = made("p", { className: "quiet" }, `${said}${at(data.start)}`);
    const grid = made("div", { className: data.task === "detection" ? "pictures" : "pictures small" }, ...figures);
    return [made("h3", {}, title), about, grid];
  });
  const key = data.task === "detection" ? legend() : null;
  const none = parts.length ? null : made("p", {}, `No mistakes${at(data.start)}.`);
  const all = [made("h2", {}, "To look at first"), parts.length ? key : none, ...parts.flat()];
  document.getElementById("gallery").append(...all.filter((element) => element !== null));
}

// What the lines over a picture mean.
function legend() {
  const found = { wrong: "found, wrong", right: "found, right" };
  const words = { ...found, missed: "labelled, missed", there: "labelled, found" };
  const line = (kind) => made("i", { className: `box ${kind}` });
  const keys = Object.entries(words).map(([kind, text]) => made("span", {}, line(kind), text));
  return made("p", { className: "key quiet" }, ...keys);
}

// By its button or beside it. No form does it: a frame that runs scripts alone, as MLflow's, sends none.
function closing(dialog, button) {
  button.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
