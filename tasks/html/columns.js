// What the page was given, and the small things that everything else needs.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const data = read("data");

const ARRAYS = { f4: Float32Array, i4: Int32Array, u2: Uint16Array };

function unpacked(column) {
  if (typeof column !== "object") return column;
  const bytes = Uint8Array.from(atob(column.data), (letter) => letter.charCodeAt(0));
  return new ARRAYS[column.kind](bytes.buffer);
}

// {name: array} of the columns of a report that counts.
const unpackedColumns = () =>
  Object.fromEntries(Object.entries(data.columns).map(([name, column]) => [name, unpacked(column)]));

// Whether all that counts at a threshold is in the page. Best answers of an image always are.
const carried = (threshold) => data.columns.exclusive || threshold >= data.lowest;

const share = (part, whole) => (whole ? part / whole : null);

// The rates that follow from counts: the same as tasks/metrics/curves.py has, null where nothing divides.
function rated(labelled, right, wrong) {
  const missed = labelled - right;
  return {
    "Total Labeled": labelled,
    "Total Predicted": right + wrong,
    "True Positives": right,
    "False Positives": wrong,
    "False Negatives": missed,
    Recall: share(right, right + missed),
    Precision: share(right, right + wrong),
    F1: share(2 * right, 2 * right + wrong + missed),
  };
}

// All concepts together: sums, and the rates of the sums.
function summed(rows) {
  const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
  return rated(sum("Total Labeled"), sum("True Positives"), sum("False Positives"));
}

// Three decimals as Python writes them: halves, which only sixteenths are, go to the even side.
function three(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const half = Math.abs(value * 16) % 2 === 1;
  const even = 2 * Math.round(value * 500); // of the two thousandths beside a half the even one
  return (half ? even / 1000 : value).toFixed(3);
}

const two = (value) => value.toFixed(2).replace(/^0/, "");

// An element with properties and children; texts become text, never markup.
function made(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// By letters, not by halves of one.
function shortened(name, most = 18) {
  const letters = Array.from(name);
  return letters.length > most ? [...letters.slice(0, most - 5), "…", ...letters.slice(-4)].join("") : name;
}
