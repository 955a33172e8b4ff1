// Charts are drawn when they are seen, lines are shown and hidden, tables sort.

const items = chartItems();
const ticks = Array.from(document.querySelectorAll("#curves .lines input"));
const drawn = new Set();

// Lines are as their ticks say, in every chart that is drawn.
function tick() {
  for (const shown of Bokeh.documents)
    for (const { value, checked } of ticks) {
      const line = shown.get_model_by_name(`line${value}`);
      if (line) line.visible = checked;
    }
}

// What is in a part of the page, once; what is hidden has no width to be drawn in.
async function drawIn(part) {
  const places = Array.from(part.querySelectorAll("figure > div")).filter(({ id }) => !drawn.has(id));
  places.forEach(({ id }) => drawn.add(id));
  await Promise.all(places.map(({ id }) => Bokeh.embed.embed_item(items[id], id)));
  tick();
}

document.querySelectorAll("table.sorts").forEach(makeSortable);
for (const part of document.querySelectorAll("#by_how_much, .of_concept:not([hidden])")) drawIn(part);
ticks.forEach((each) => each.addEventListener("change", tick));
const chosen = document.getElementById("concept");
if (chosen)
  chosen.addEventListener("change", () => {
    for (const part of document.querySelectorAll(".of_concept")) {
      part.hidden = part.id !== `curves_${chosen.value}`;
      if (!part.hidden) drawIn(part);
    }
  });
