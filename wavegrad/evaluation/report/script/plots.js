// Quality against cost: steps, and real-time factor.

const STEPS = "refinement steps";
const RTF = "real-time factor";
const HEIGHT = 320;
const MARKS = [ // so that colour is not all that tells the lines apart
  "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",
  "M-4.5,-4.5h9v9h-9z",
  "M0,-6l5.5,9.5h-11z",
  "M0,-6l6,6l-6,6l-6,-6z",
  "M0,6l5.5,-9.5h-11z",
];

function niceTicks(low, high, n) {
  const rough = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-9) + 1e-12; k += 1) ticks.push(k * step);
  return { ticks, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function logTicks(low, high) {
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1) {
    for (const m of high / low > 300 ? [1] : high / low > 20 ? [1, 3] : [1, 2, 5]) ticks.push(m * 10 ** e);
  }
  return ticks.filter((t) => t >= low && t <= high);
}

function spread(labels, gap, top, bottom) { // move labels apart that would cover each other
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => { label.y = Math.max(label.y, top, i ? labels[i - 1].y + gap : top); });
  for (let i = labels.length - 1; i >= 0; i -= 1) {
    labels[i].y = Math.min(labels[i].y, i === labels.length - 1 ? bottom : labels[i + 1].y - gap);
  }
}

// Points of each line: x and y are [mean, low, high]; x is null where a system has no such cost.
function groupsOf(xOf, key) {
  const groups = new Map();
  for (const system of figures.systems) {
    if (!groups.has(system.group)) groups.set(system.group, { colour: groups.size, points: [] });
    const y = figures.means[system.name][key];
    if (y) groups.get(system.group).points.push({ name: system.name, x: xOf(system), y });
  }
  return groups;
}

// Where a plot's values lie on the screen: x is logarithmic, y is not.
function scalesOf(width, xs, ys) {
  const box = { left: 52, right: width - Math.min(150, width * 0.32), top: 30, bottom: HEIGHT - 46 };
  const x = [Math.min(...xs) / 1.25, Math.max(...xs) * 1.25];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  const y = [low - margin, high + margin];
  const [left, span] = [Math.log(x[0]), Math.log(x[1]) - Math.log(x[0])];
  const X = (value) => box.left + ((Math.log(value) - left) / span) * (box.right - box.left);
  const Y = (value) => box.bottom - ((value - y[0]) / (y[1] - y[0])) * (box.bottom - box.top);
  return { width, box, x, y, X, Y };
}

function* levelAxis({ box, y, Y }) {
  const { ticks, digits } = niceTicks(y[0], y[1], 5);
  for (const t of ticks) {
    yield shape("path", { class: "grid", d: `M${box.left},${Y(t)}H${box.right}` });
    yield shape("text", { x: box.left - 6, y: Y(t) + 4, "text-anchor": "end" }, fixed(t, digits));
  }
}

function* costAxis({ box, X }, ticks) {
  let lastEnd = -Infinity;
  for (const t of ticks) {
    yield shape("path", { class: "axis", d: `M${X(t)},${box.bottom}v5` });
    const text = String(Number(t.toPrecision(3)));
    if (X(t) - 4 * text.length < lastEnd) continue;
    lastEnd = X(t) + 4 * text.length + 4;
    yield shape("text", { x: X(t), y: box.bottom + 18, "text-anchor": "middle" }, text);
  }
}

function* headings({ box }, metric, title) {
  yield shape("path", { class: "axis", d: `M${box.left},${box.top}V${box.bottom}H${box.right}` });
  yield shape("text", { x: (box.left + box.right) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, title);
  const good = { higher: " (higher is better)", lower: " (lower is better)", zero: " (0 is best)" }[metric.better];
  yield shape("text", { x: 4, y: 16 }, metric.heading + good);
}

function* markedPoint({ X, Y }, metric, point, colour) {
  const [x, y] = [X(point.x[0]), Y(point.y[0])];
  const bars = `M${x},${Y(point.y[1])}V${Y(point.y[2])}M${x - 4},${Y(point.y[1])}h8M${x - 4},${Y(point.y[2])}h8`;
  const across = point.x[2] > point.x[1] ? `M${X(point.x[1])},${y}H${X(point.x[2])}` : "";
  yield shape("path", { class: "bar", d: bars + across });
  const tip = shape("title", {}, `${point.name}: ${fixed(point.y[0], metric.digits)}`);
  yield shape("path", { class: "mark", d: MARKS[colour % MARKS.length], transform: `translate(${x},${y})` }, tip);
}

function* dashedLine({ box, Y }, point) {
  yield shape("path", { class: "line dashed", d: `M${box.left},${Y(point.y[0])}H${box.right}` });
  const ends = `m-4,0h8M${box.right - 4},${Y(point.y[1])}h8`;
  yield shape("path", { class: "bar", d: `M${box.right},${Y(point.y[1])}V${Y(point.y[2])}${ends}` });
}

// A line through its points, one across the plot for each point without cost, and what is to be written beside them.
function drawGroup(scales, metric, name, { colour, points }, withoutCost) {
  const { box, X, Y } = scales;
  const known = points.filter((p) => p.x).sort((a, b) => a.x[0] - b.x[0]);
  const flat = withoutCost ? points.filter((p) => !p.x) : [];
  const part = shape("g", { class: `c${colour % 8}` });
  if (known.length > 1) {
    part.append(shape("path", { class: "line", d: "M" + known.map((p) => `${X(p.x[0])},${Y(p.y[0])}`).join("L") }));
  }
  known.forEach((p) => part.append(...markedPoint(scales, metric, p, colour)));
  flat.forEach((p) => part.append(...dashedLine(scales, p)));
  const labels = flat.map((p) => ({ text: p.name, colour, y: Y(p.y[0]), from: box.right }));
  if (known.length) labels.push({ text: name, colour, y: Y(known.at(-1).y[0]), from: X(known.at(-1).x[0]) });
  return { part, labels };
}

function* drawLabels({ width, box }, labels) {
  labels.forEach((label) => { label.at = label.y; });
  spread(labels, 15, box.top + 6, box.bottom - 4);
  for (const { text, colour, y, at, from } of labels) {
    const lead = `M${from + 8},${at}L${box.right + 4},${at}L${box.right + 10},${y}`;
    yield shape("path", { class: `c${colour % 8} bar`, d: lead, opacity: 0.4 });
    const most = Math.floor((width - box.right - 14) / 7.6);
    const kept = (most - 1) / 2;  // of each end: names that begin alike often end differently
    const short = text.length > most ? text.slice(0, Math.floor(kept)) + "…" + text.slice(-Math.ceil(kept)) : text;
    const whole = shape("title", {}, text);
    yield shape("text", { class: `label c${colour % 8}`, x: box.right + 13, y: y + 4 }, short, whole);
  }
}

function drawPlot(figure, metric, title, xOf, ticksOf) {
  const groups = groupsOf(xOf, metric.key);
  const all = [...groups.values()].flatMap((g) => g.points);
  const placed = all.filter((p) => p.x);
  if (!placed.length) {
    figure.replaceChildren(element("p", {}, `${metric.heading} against ${title}: nothing was measured.`));
    return;
  }
  const width = Math.max(280, figure.clientWidth);
  const drawn = title === STEPS ? all : placed;
  const scales = scalesOf(width, placed.flatMap((p) => p.x.slice(1, 3)), drawn.flatMap((p) => p.y.slice(1, 3)));
  const name = `${metric.heading} against ${title}; the figures are in the tables`;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": name });
  svg.append(...levelAxis(scales), ...costAxis(scales, ticksOf(placed, ...scales.x)));
  svg.append(...headings(scales, metric, title));
  const parts = [...groups].map(([group, found]) => drawGroup(scales, metric, group, found, title === STEPS));
  svg.append(...parts.map(({ part }) => part), ...drawLabels(scales, parts.flatMap(({ labels }) => labels)));
  figure.replaceChildren(svg);
}

function drawPlots(key) {
  const metric = figures.metrics.find((m) => m.key === key);
  const steps = (system) => (system.steps ? [system.steps, system.steps, system.steps] : null);
  const atSteps = (points) => [...new Set(points.map((p) => p.x[0]))].sort((a, b) => a - b);
  const rtf = (system) => {
    const found = figures.means[system.name].rtf;
    return found && found[1] > 0 ? found : null;
  };
  drawPlot(document.getElementById("by-steps"), metric, STEPS, steps, atSteps);
  drawPlot(document.getElementById("by-rtf"), metric, RTF, rtf, (_, low, high) => logTicks(low, high));
}
