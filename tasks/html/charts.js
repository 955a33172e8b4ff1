// What the charts are drawn from, their letters and quiet lines in the ink of the page, light or dark.

function chartItems() {
  const { dataset, textContent } = document.getElementById("items");
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--quiet").trim();
  return JSON.parse(textContent.replaceAll(dataset.quiet, ink));
}

if (typeof Bokeh !== "undefined") Bokeh.set_log_level("error");
