// The page comes to life: the slider moves what depends on it, numbers open their pictures, tables sort.

const byId = (id) => document.getElementById(id);

function start() {
  document.querySelectorAll("table.sorts").forEach(makeSortable);
  const drawn = drawCharts();
  if (!data) return;
  const counted = data.task === "detection" ? countingRegions() : countingScores();
  const drawMatrix = matrixOf(byId("matrix"), counted);
  let threshold = data.start;
  const show = (asked) => {
    threshold = asked;
    showNumbers(rowsAt(counted, threshold), carried(threshold));
    byId("at").textContent = +threshold.toFixed(8);
    drawMatrix(threshold);
    drawn.then((sources) => moveDots(sources, counted, threshold));
  };
  makeOpening(byId("per_concept"), (title, concept, name) =>
    opened(counted, threshold, title, counted.behindCount(threshold, concept, name)),
  );
  drawGallery(counted);
  closing(byId("pictures"), byId("close"));
  if (byId("areas")) makeAreas(byId("areas"), byId("average_precision"));
  byId("meaning").textContent = meaning();
  byId("threshold").addEventListener("input", (event) => show(Number(event.target.value)));
  byId("reset").addEventListener("click", () => {
    byId("threshold").value = data.start; // it shows the nearest step; what counts is the report's own
    show(data.start);
  });
  show(data.start);
}

function meaning() {
  if (data.task === "detection") return "A region counts when its score is as high as the threshold.";
  if (!data.columns.exclusive) return "A concept is predicted where its score is as high as the threshold.";
  return "The best score of an image is its answer; only answers count that are at least so sure. At 0 all do.";
}

// What the page does not carry is the report's own.
const rowsAt = (counted, threshold) =>
  carried(threshold) ? counted.rows(threshold) : data.own.map((counts) => rated(...counts));

function showNumbers(rows, whole) {
  const all = summed(rows);
  putRows(byId("per_concept"), rows, whole);
  const answered = [
    `${all["Total Predicted"]} of ${data.images.length} answered`,
    `${three(all.Precision)} of these right`,
    `${all["False Positives"]} wrong`,
  ];
  const counts = [
    `precision ${three(all.Precision)}`,
    `recall ${three(all.Recall)}`,
    `F1 ${three(all.F1)}`,
    `${all["True Positives"]} right`,
    `${all["False Positives"]} wrong`,
    `${all["False Negatives"]} missed`,
  ];
  const words = data.columns.exclusive ? answered : counts;
  byId("totals").replaceChildren(...words.map((word) => made("span", {}, word)));
}

// Resolves to the sources that the page moves, by their names.
async function drawCharts() {
  const { names, items } = chartItems();
  await Promise.all(items.map((item, i) => Bokeh.embed.embed_item(item, `chart_${names[i]}`)));
  const found = {};
  for (const name of ["precision_recall", "roc", "over_threshold", "threshold"])
    for (const shown of items.length ? Bokeh.documents : [])
      found[name] = shown.get_model_by_name(name) || found[name];
  return found;
}

function moveDots(sources, counted, threshold) {
  const dots = counted.dots(threshold);
  const put = (name, x, y) => sources[name] && set(sources[name], x, y);
  put("precision_recall", (concept) => dots(concept).recall, (concept) => dots(concept).precision);
  put("roc", (concept) => dots(concept).fall, (concept) => dots(concept).recall);
  const all = summed(rowsAt(counted, threshold));
  const values = { precision: all.Precision, recall: all.Recall, F1: all.F1 };
  put("over_threshold", () => threshold, (_, name) => values[name]);
  put("threshold", () => threshold, (_, name, i) => i);
}

// New places for the rows of a source; nan where there is none.
function set(source, x, y) {
  const old = source.data instanceof Map ? Object.fromEntries(source.data) : source.data;
  const rows = Array.from(old.concept || old.x, (concept, i) => [concept, old.name ? old.name[i] : "", i]);
  const place = (of) => rows.map((row) => of(...row) ?? NaN);
  source.data = { ...old, x: place(x), y: place(y) };
}

start();
