// What was taken for what: a table of counts whose numbers open their pictures, or the mean scores in their place.

const WIDEST = 61; // columns that a screen can show; of more the highest numbers are listed
const LISTED = 100;

const tint = (part, right) => `rgba(${right ? "31, 111, 180" : "205, 84, 20"}, ${Math.sqrt(part).toFixed(3)})`;

const inside = ({ text, open }, value, row, column) =>
  open ? made("button", { type: "button", onclick: () => open(row, column) }, text(value)) : text(value);

// shown: names of rows and columns, cells by row and column, what is actual and what was said, the share of its row
// and the text of a cell, whether the diagonal is right and the rest wrong, open(row, column) or null.
function drawSquare(table, shown) {
  const { rows, columns, cells, actual, said } = shown;
  const named = (scope, name) => made("th", { scope, title: name }, made("span", {}, shortened(name, 24)));
  const cellOf = (row, column) => {
    const value = cells[row][column];
    const words = `${actual} ${rows[row]}, ${said} ${columns[column]}: ${value ?? "–"}`;
    const cell = made("td", { title: words });
    if (!value) return cell;
    const part = shown.part(row, column);
    cell.style.background = tint(part, !shown.square || row === column);
    cell.classList.toggle("dark", part > 0.8); // below, white letters are harder to read than dark ones
    cell.append(inside(shown, value, row, column));
    return cell;
  };
  const corner = made("td", {}, `${actual} ↓ ${said} →`);
  const head = made("tr", {}, corner, ...columns.map((name) => named("col", name)));
  const body = rows.map((name, row) =>
    made("tr", {}, named("row", name), ...columns.map((_, column) => cellOf(row, column))),
  );
  table.classList.add("square");
  table.replaceChildren(made("thead", {}, head), made("tbody", {}, ...body));
}

// The same of many concepts: what is off the diagonal, the highest numbers first, a row each.
function drawList(table, shown) {
  const pairs = [];
  shown.cells.forEach((line, row) =>
    line.forEach((value, column) => value && row !== column && pairs.push([value, row, column])),
  );
  pairs.sort((one, other) => other[0] - one[0]);
  const body = pairs.slice(0, LISTED).map(([value, row, column]) => {
    const number = made("td", {}, inside(shown, value, row, column));
    return made("tr", {}, made("th", { scope: "row" }, shown.rows[row]), made("td", {}, shown.columns[column]), number);
  });
  const head = [shown.actual, shown.said, ""].map((name) => made("th", { scope: "col" }, name));
  table.classList.remove("square");
  table.replaceChildren(made("thead", {}, made("tr", {}, ...head)), made("tbody", {}, ...body));
}

// A function that draws it anew at the threshold it is given; what the page does not carry is the report's own.
function matrixOf(table, counted) {
  const together = data.task === "classification" && !data.columns.exclusive;
  const words = [together ? "images with both" : "counts", "mean score"];
  const said = document.getElementById("matrix_said");
  let chosen = words[0];
  let last = data.start;

  function draw(threshold) {
    last = threshold;
    const [rows, columns] = [data.concepts, data.concepts];
    const scores = { rows, columns, cells: data.mean_scores, actual: "labelled", said: "score of" };
    const score = (row, column) => data.mean_scores[row][column];
    if (chosen === words[1]) return drawn({ ...scores, part: score, text: two });
    const cells = data.cooccurrence;
    const both = { rows, columns, cells, actual: "labelled", said: "with", square: false, text: String };
    if (together) return drawn({ ...both, part: (row, column) => cells[row][column] / cells[row][row] });
    const counts = counted.matrix(threshold);
    if (!carried(threshold)) counts.cells = data.confusion;
    const sums = counts.cells.map((line) => line.reduce((sum, value) => sum + value, 0));
    const open = carried(threshold) && ((row, column) => {
      const title = `labelled ${counts.rows[row]}, ${counts.said} ${counts.columns[column]}`;
      opened(counted, threshold, title, counted.behindCell(threshold, row, column));
    });
    return drawn({ ...counts, open, part: (row, column) => counts.cells[row][column] / sums[row], text: String });
  }

  function drawn(shown) {
    const many = shown.columns.length > WIDEST;
    said.textContent = matrixSaid(together && chosen === words[0], shown.open, many);
    (many ? drawList : drawSquare)(table, { square: true, open: null, ...shown });
  }
  if (data.mean_scores)
    choice(document.getElementById("switch"), "show", words, (name) => {
      chosen = name;
      draw(last);
    });
  return draw;
}

function matrixSaid(together, opens, many) {
  const listed = many ? ` The ${LISTED} highest numbers.` : "";
  if (together) return `How many images have both concepts; the tint is their share of the row's images.${listed}`;
  const tinted = "Each row is what was labelled; the tint is the share of the row.";
  return `${tinted}${opens ? " A number opens its pictures." : ""}${listed}`;
}
