"use strict";
// Text reaches the page as textContent or as an attribute only, never as HTML: names of files and systems are anyone's.

const figures = JSON.parse(document.getElementById("figures").textContent);
const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function fixed(value, digits, signed = false) {
  const text = value.toFixed(digits).replace("-", "−");
  return signed && value >= 0 ? "+" + text : text;
}

// --- Sorting -------------------------------------------------------------------------------------------------------

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const descending = heads[column].getAttribute("aria-sort") === "ascending";
  heads.forEach((head, i) => {
    if (i === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  const rows = [...table.tBodies[0].rows];
  const sign = descending ? -1 : 1;
  rows.sort((a, b) => {
    const [x, y] = [a, b].map((row) => row.cells[column]);
    if (column === 0) return sign * x.textContent.localeCompare(y.textContent, undefined, { numeric: true });
    const [u, v] = [x, y].map((cell) => ("value" in cell.dataset ? Number(cell.dataset.value) : NaN));
    if (Number.isNaN(u) || Number.isNaN(v)) return Number.isNaN(u) - Number.isNaN(v); // what is missing: last
    return sign * (u - v);
  });
  table.tBodies[0].append(...rows);
}

function makeSortable(table) {
  table.querySelectorAll("button.sort").forEach((button, column) => {
    button.addEventListener("click", () => sortBy(table, column));
  });
}

// --- Paired comparison ---------------------------------------------------------------------------------------------

function differenceCell(found, digits) {
  if (!found) return element("td", { class: "none" }, "no pairs");
  const [mean, low, high, n, verdict] = found;
  const cell = element("td", { "data-value": mean }, element("b", {}, fixed(mean, digits, true)));
  if (verdict) cell.append(" ", element("span", { class: verdict }, verdict));
  cell.append(element("small", {}, `${fixed(low, digits, true)} to ${fixed(high, digits, true)}, n = ${n}`));
  return cell;
}

function drawPairs(table, baseline) {
  const sort = (text) => element("th", { scope: "col" }, element("button", { type: "button", class: "sort" }, element("span", {}, text)));
  const head = element("tr", {}, sort("System minus baseline"), ...figures.metrics.map((m) => sort(m.heading)));
  const rows = Object.entries(figures.pairs[baseline]).map(([name, row]) =>
    element("tr", {}, element("th", { scope: "row" }, name), ...figures.metrics.map((m) => differenceCell(row[m.key], m.digits))),
  );
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
  makeSortable(table);
}

// --- Plots ---------------------------------------------------------------------------------------------------------

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

function groupsOf(xOf, key) {
  const groups = new Map();
  for (const system of figures.systems) {
    if (!groups.has(system.group)) groups.set(system.group, { colour: groups.size, points: [] });
    const y = figures.means[system.name][key];
    if (y) groups.get(system.group).points.push({ name: system.name, x: xOf(system), y });
  }
  return groups;
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
  const height = 320;
  const box = { left: 52, right: width - Math.min(150, width * 0.32), top: 30, bottom: height - 46 };
  const xs = placed.flatMap((p) => [p.x[1], p.x[2]]);
  const [x0, x1] = [Math.min(...xs) / 1.25, Math.max(...xs) * 1.25];
  const drawn = all.filter((p) => p.x || title === STEPS);
  const [low, high] = [Math.min(...drawn.map((p) => p.y[1])), Math.max(...drawn.map((p) => p.y[2]))];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  const [y0, y1] = [low - margin, high + margin];
  const X = (v) => box.left + ((Math.log(v) - Math.log(x0)) / (Math.log(x1) - Math.log(x0))) * (box.right - box.left);
  const Y = (v) => box.bottom - ((v - y0) / (y1 - y0)) * (box.bottom - box.top);

  const name = `${metric.heading} against ${title}; the figures are in the tables`;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name });
  const { ticks, digits } = niceTicks(y0, y1, 5);
  for (const t of ticks) {
    svg.append(shape("path", { class: "grid", d: `M${box.left},${Y(t)}H${box.right}` }));
    svg.append(shape("text", { x: box.left - 6, y: Y(t) + 4, "text-anchor": "end" }, fixed(t, digits)));
  }
  let lastEnd = -Infinity;
  for (const t of ticksOf(placed, x0, x1)) {
    svg.append(shape("path", { class: "axis", d: `M${X(t)},${box.bottom}v5` }));
    const text = String(Number(t.toPrecision(3)));
    if (X(t) - 4 * text.length < lastEnd) continue;
    lastEnd = X(t) + 4 * text.length + 4;
    svg.append(shape("text", { x: X(t), y: box.bottom + 18, "text-anchor": "middle" }, text));
  }
  svg.append(shape("path", { class: "axis", d: `M${box.left},${box.top}V${box.bottom}H${box.right}` }));
  svg.append(shape("text", { x: (box.left + box.right) / 2, y: height - 8, "text-anchor": "middle" }, title));
  const good = { higher: " (higher is better)", lower: " (lower is better)", zero: " (0 is best)" }[metric.better];
  svg.append(shape("text", { x: 4, y: 16 }, metric.heading + good));

  const labels = [];
  for (const [group, { colour, points }] of groups) {
    const known = points.filter((p) => p.x).sort((a, b) => a.x[0] - b.x[0]);
    const part = shape("g", { class: `c${colour % 8}` });
    if (known.length > 1) {
      part.append(shape("path", { class: "line", d: "M" + known.map((p) => `${X(p.x[0])},${Y(p.y[0])}`).join("L") }));
    }
    for (const p of known) {
      const [x, y] = [X(p.x[0]), Y(p.y[0])];
      const bars = `M${x},${Y(p.y[1])}V${Y(p.y[2])}M${x - 4},${Y(p.y[1])}h8M${x - 4},${Y(p.y[2])}h8`;
      const across = p.x[2] > p.x[1] ? `M${X(p.x[1])},${y}H${X(p.x[2])}` : "";
      part.append(shape("path", { class: "bar", d: bars + across }));
      const tip = shape("title", {}, `${p.name}: ${fixed(p.y[0], metric.digits)}`);
      part.append(shape("path", { class: "mark", d: MARKS[colour % MARKS.length], transform: `translate(${x},${y})` }, tip));
    }
    const flat = title === STEPS ? points.filter((p) => !p.x) : [];
    for (const p of flat) {
      part.append(shape("path", { class: "line dashed", d: `M${box.left},${Y(p.y[0])}H${box.right}` }));
      const bar = `M${box.right},${Y(p.y[1])}V${Y(p.y[2])}m-4,0h8M${box.right - 4},${Y(p.y[1])}h8`;
      part.append(shape("path", { class: "bar", d: bar }));
      labels.push({ text: p.name, colour, y: Y(p.y[0]), from: box.right });
    }
    svg.append(part);
    if (known.length) labels.push({ text: group, colour, y: Y(known.at(-1).y[0]), from: X(known.at(-1).x[0]) });
  }
  labels.forEach((label) => { label.at = label.y; });
  spread(labels, 15, box.top + 6, box.bottom - 4);
  for (const { text, colour, y, at, from } of labels) {
    const lead = `M${from + 8},${at}L${box.right + 4},${at}L${box.right + 10},${y}`;
    svg.append(shape("path", { class: `c${colour % 8} bar`, d: lead, opacity: 0.4 }));
    const most = Math.floor((width - box.right - 14) / 6.6);
    const short = text.length > most ? text.slice(0, most - 1) + "…" : text;
    svg.append(shape("text", { class: `label c${colour % 8}`, x: box.right + 13, y: y + 4 }, short, shape("title", {}, text)));
  }
  figure.replaceChildren(svg);
}

const STEPS = "refinement steps";
const RTF = "real-time factor";

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

// --- Listening -----------------------------------------------------------------------------------------------------

const repeat = document.getElementById("repeat");
let sounding = null; // the clip that is heard: only one player sounds at a time

function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// FLAC travels, WAV is played: Chromium never comes back from a seek into the last frames of a short FLAC, and to switch
// systems is to seek. Decoded at the file's own rate: no sample of 16 bits changes.
async function playable(take) {
  const flac = bytes(take.audio);
  const samples = (await new OfflineAudioContext(1, 1, take.rate).decodeAudioData(flac.buffer)).getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, take.rate, true);
  view.setUint32(28, 2 * take.rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(x * 32768))), true));
  return URL.createObjectURL(new Blob([view], { type: "audio/wav" })); // blob: Safari seeks in it, and not in data:
}

function asItIs(take) { // where the browser decodes no FLAC, or not at this rate
  return URL.createObjectURL(new Blob([bytes(take.audio)], { type: "audio/flac" }));
}

// One clip, opened: a button and a card for each take, and one position for all of them.
class ClipPlayer {
  constructor(section, data, urls) {
    this.section = section;
    this.takes = data.takes;
    this.current = 0;
    this.frame = 0;
    this.urls = urls;
    this.players = urls.map((url) => this.player(url));
    this.duration = Math.max(0, ...data.takes.map((take) => take.seconds));
    this.buttons = data.takes.map((take, i) => this.button(take, i));
    this.slider = element("input", { type: "range", min: 0, max: this.duration, step: 0.01, value: 0 });
    this.slider.setAttribute("aria-label", "Position in seconds");
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.time = element("output", {});
    const place = element("span", { class: "place" }, this.slider, this.time);
    const bar = element("div", { class: "player", role: "group", "aria-label": `Player of ${data.clip}` }, ...this.buttons, place);
    bar.addEventListener("keydown", (event) => this.onKey(event));
    this.heads = [];
    this.peak = Math.max(1, ...data.takes.flatMap((take) => take.envelope.flat().map(Math.abs)));
    this.cards = data.takes.map((take, i) => this.card(data.clip, take, i));
    if (data.takes.length) section.append(bar, element("div", { class: "takes" }, ...this.cards));
    if (data.notes.length) {
      const lines = data.notes.map((note) => element("li", {}, note));
      section.append(element("div", { class: "notes" }, element("ul", {}, ...lines)));
    }
    this.show();
  }

  player(url) {
    const audio = new Audio();
    audio.preload = "auto";
    audio.src = url;
    audio.addEventListener("ended", () => this.onEnd());
    return audio;
  }

  button(take, i) {
    const button = element("button", { type: "button", "data-take": take.name });
    button.addEventListener("click", () => this.toggle(i));
    return button;
  }

  card(clip, take, i) {
    const pictures = element("div", { class: "pictures" }, waveform(take, this.peak));
    const nothing = (text) => element("p", { class: "nothing" }, text);
    const image = (src, alt) => element("img", { src, alt });
    pictures.append(
      take.spectrogram ? image(take.spectrogram, `Log-mel spectrogram: ${take.name}`) : nothing("too short for a spectrogram"),
    );
    if (take.difference) pictures.append(image(take.difference, `Spectrogram of ${take.name} minus the recording's`));
    else pictures.append(nothing(i ? "no difference" : "what the others are compared with"));
    const head = element("span", { class: "head" });
    this.heads.push(head);
    pictures.append(head);
    pictures.addEventListener("click", (event) => {
      const { left, width } = pictures.getBoundingClientRect();
      this.play(i, (Math.min(Math.max(event.clientX - left, 0), width) / width) * take.seconds);
    });
    return element("div", { class: "take" }, element("h3", {}, take.name), pictures, singleFigures(clip, take.name));
  }

  get audio() { return this.players[this.current]; }
  get playing() { return this.audio !== undefined && !this.audio.paused; }

  toggle(i) {
    if (this.playing && i === this.current) this.stop();
    else this.play(i, this.atEnd() ? 0 : this.audio.currentTime);
  }

  atEnd() { return this.audio.ended || this.audio.currentTime >= this.duration - 0.02; }

  play(i, position) {
    if (sounding && sounding !== this) sounding.stop();
    sounding = this;
    this.switchTo(i, position);
    this.audio.play().catch((error) => { if (error.name !== "AbortError") this.time.textContent = error.message; });
    this.follow();
  }

  stop() {
    this.audio?.pause();
    this.show();
  }

  switchTo(i, position) {
    if (i !== this.current) this.audio.pause();
    this.current = i;
    if (Math.abs(this.audio.currentTime - position) > 0.001) this.audio.currentTime = position;
  }

  seek(position) {
    this.audio.currentTime = position;
    this.show();
  }

  // Arrow keys: to the neighbour, at the same place, and going on if it was playing.
  onKey(event) {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step || !this.buttons.includes(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const n = this.players.length;
    const from = this.buttons.indexOf(event.target);
    const next = (from + step + n) % n;
    const position = this.audio.currentTime;
    if (this.playing) this.play(next, position);
    else this.switchTo(next, position);
    this.buttons[next].focus();
    this.show();
  }

  onEnd() {
    if (repeat.checked) this.play(this.current, 0);
    this.show();
  }

  follow() {
    cancelAnimationFrame(this.frame);
    this.show();
    if (this.playing) this.frame = requestAnimationFrame(() => this.follow());
  }

  show() {
    if (!this.players.length) return;
    const position = this.audio.currentTime;
    this.slider.value = position;
    this.time.textContent = `${position.toFixed(1)} / ${this.duration.toFixed(1)} s`;
    this.buttons.forEach((button, i) => {
      const on = this.playing && i === this.current;
      const text = `${on ? "❚❚" : "▶\uFE0E"} ${button.dataset.take}`;
      if (button.textContent !== text) {
        button.textContent = text;
        button.setAttribute("aria-label", `${on ? "Pause" : "Play"} ${button.dataset.take}`);
        button.classList.toggle("playing", on);
      }
      button.setAttribute("aria-current", i === this.current);
      this.cards[i].classList.toggle("heard", i === this.current);
      this.heads[i].style.left = `${Math.min(1, position / this.takes[i].seconds) * 100}%`;
    });
  }

  close() {
    this.stop();
    this.players.forEach((player) => player.removeAttribute("src"));
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.section.querySelectorAll(":scope > :not(summary)").forEach((node) => node.remove());
    if (sounding === this) sounding = null;
  }
}

function waveform(take, peak) { // the loudest take of the clip fills the height
  const n = take.envelope.length;
  const upper = take.envelope.map(([, high], i) => `${i},${-high}H${i + 1}`).join("L");
  const lower = take.envelope.map(([low], i) => `${i + 1},${peak / 100 - low}H${i}`).reverse().join("L");
  const svg = shape("svg", { viewBox: `0 ${-peak} ${n} ${2.01 * peak}`, preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", `Waveform of ${take.name}`);
  svg.append(shape("path", { d: `M${upper}L${lower}z` }));
  return svg;
}

function singleFigures(clip, system) {
  const found = figures.clips[clip][system] || {};
  const rows = figures.metrics.filter((m) => m.key in found).flatMap((m) => [
    element("dt", {}, m.heading), element("dd", {}, fixed(found[m.key], m.digits)),
  ]);
  return element("dl", {}, ...rows);
}

function prepare(section) { // unpacked only while it is open: fifty clips of six systems fit into a phone
  let player = null;
  let opening = false;
  section.addEventListener("toggle", async () => {
    if (section.open && !player && !opening) {
      opening = true;
      const data = JSON.parse(document.getElementById(`clip-${section.dataset.clip}`).textContent);
      player = new ClipPlayer(section, data, await Promise.all(data.takes.map((take) => playable(take).catch(() => asItIs(take)))));
      opening = false;
      if (section.open) return;
    }
    if (!section.open && player) {
      player.close();
      player = null;
    }
  });
}

// --- Start ---------------------------------------------------------------------------------------------------------

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
