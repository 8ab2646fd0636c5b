// Listening: what is in a clip when it is opened.

const repeat = document.getElementById("repeat");
let sounding = null; // the clip that is heard: only one player sounds at a time

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
    const named = { class: "player", role: "group", "aria-label": `Player of ${data.clip}` };
    const bar = element("div", named, ...this.buttons, place);
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
    if (take.spectrogram) pictures.append(image(take.spectrogram, `Log-mel spectrogram: ${take.name}`));
    else pictures.append(nothing("too short for a spectrogram"));
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
      const urls = await Promise.all(data.takes.map((take) => playable(take).catch(() => asItIs(take))));
      player = new ClipPlayer(section, data, urls);
      opening = false;
      if (section.open) return;
    }
    if (!section.open && player) {
      player.close();
      player = null;
    }
  });
}
