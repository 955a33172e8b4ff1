// Tables that sort, and cells that follow the threshold.

const OPENS = ["True Positives", "False Positives", "False Negatives"];
const RATES = ["Recall", "Precision", "F1"];

function valueOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
}

// By a column, up or down; what is undefined comes last either way.
function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const numbers = table.tHead.rows[0].cells[column].classList.contains("number");
  const sign = direction === "ascending" ? 1 : -1;
  const text = (row) => row.cells[column].textContent;
  const compared = (one, other) => {
    if (!numbers) return sign * text(one).localeCompare(text(other), undefined, { numeric: true });
    const [a, b] = [valueOf(one, column), valueOf(other, column)];
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (a - b);
  };
  body.append(...Array.from(body.rows).sort(compared));
}

function makeSortable(table) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) =>
    head.querySelector("button").addEventListener("click", () => {
      const first = head.classList.contains("number") ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const direction = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((each) => each.setAttribute("aria-sort", each === head ? direction : "none"));
      sortBy(table, column, direction);
    }),
  );
}

// Once more by the column it was sorted by, when its numbers moved.
function sortAgain(table) {
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const direction = head.getAttribute("aria-sort");
    if (direction !== "none") sortBy(table, column, direction);
  });
}

// whole: whether the page has all pictures behind a number.
function put(cell, value, count = false, whole = true) {
  if (value === null) delete cell.dataset.value;
  else cell.dataset.value = value;
  const button = cell.querySelector("button");
  if (button) button.disabled = value === 0 || !whole;
  (button || cell).textContent = count ? String(value) : three(value);
}

// Of the rows of all concepts and of all together.
function putRows(table, rows, whole) {
  const putRow = (row, numbers) => {
    for (const cell of row.querySelectorAll("[data-live]")) {
      const name = cell.dataset.live;
      put(cell, numbers[name], !RATES.includes(name), whole);
    }
  };
  for (const row of table.tBodies[0].rows) putRow(row, rows[row.dataset.row]);
  putRow(table.tFoot, summed(rows));
  sortAgain(table);
}

// Buttons in the cells that have pictures behind them.
function makeOpening(table, open) {
  for (const row of table.tBodies[0].rows)
    for (const cell of row.querySelectorAll("[data-live]")) {
      const name = cell.dataset.live;
      if (!OPENS.includes(name)) continue;
      const concept = Number(row.dataset.row);
      const title = `${name} of ${data.concepts[concept]}`;
      const button = made("button", { type: "button", "aria-label": `${title}: pictures` }, cell.textContent);
      button.addEventListener("click", () => open(title, concept, name));
      cell.replaceChildren(button);
    }
}

// Radio buttons side by side; then(name) when one is chosen.
function choice(place, title, names, then) {
  const group = names.map((name, i) => {
    const button = made("input", { type: "radio", name: place.id, value: name, checked: i === 0 });
    button.addEventListener("change", () => then(name));
    return made("label", {}, button, name);
  });
  place.setAttribute("role", "radiogroup");
  place.setAttribute("aria-label", title);
  place.append(made("span", {}, title), ...group);
}

// Average precision of boxes of another area in the places of those of all.
function makeAreas(place, table) {
  const areas = ["all", "small", "medium", "large"];
  choice(place, "boxes", areas, (name) => {
    const area = areas.indexOf(name);
    for (const row of table.tBodies[0].rows) {
      const values = data.average_precision.map((concepts) => concepts[row.dataset.row][area]);
      const sum = values.reduce((total, value) => total + value, 0);
      const mean = values.includes(null) ? null : sum / values.length;
      [...values, mean].forEach((value, column) => put(row.cells[column + 1], value));
    }
    sortAgain(table);
  });
}
