// What happens when the page is loaded.

function choose(select, options, onChange) {
  select.append(...options.map(([value, text]) => element("option", { value }, text)));
  select.addEventListener("change", () => onChange(select.value));
  onChange(select.value);
}

makeSortable(document.getElementById("table"));
const names = figures.systems.map((system) => system.name);
if (names.length > 1 && figures.metrics.length) {
  choose(document.getElementById("baseline"), names.map((name) => [name, name]), (name) =>
    drawPairs(document.getElementById("differences"), name));
} else document.getElementById("pairs").remove();

const plotted = figures.metrics.filter((m) => m.key !== "rtf");
if (plotted.length && names.length) {
  const metric = document.getElementById("metric");
  choose(metric, plotted.map((m) => [m.key, m.heading]), drawPlots);
  new ResizeObserver(() => drawPlots(metric.value)).observe(document.getElementById("plots"));
} else document.getElementById("plots").remove();

document.querySelectorAll("details.clip").forEach(prepare);
const first = document.querySelector("details.clip");
if (first) first.open = true;
