"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  if (!byId("slider")) return;

  const SVG = "http://www.w3.org/2000/svg";
  const W = 360, H = 210, LEFT = 54, RIGHT = 10, TOP = 10, BOTTOM = 36;
  const UNDEFINED = { uint8: 255, uint16: 65535 };
  let numbers, experiment, drawn = [], timer = 0;

  const create = (name, attributes = {}, text = "") => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text) node.textContent = text;
    return node;
  };
  const element = (name, className = "", text = "") => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text) node.textContent = text;
    return node;
  };
  const say = (value) => {
    if (value === Infinity || value === -Infinity) return value > 0 ? "infinite" : "minus infinity";
    if (!Number.isFinite(value)) return "undefined";
    return Number.isInteger(value) && Math.abs(value) < 1e9 ? String(value) : String(Number(value.toPrecision(4)));
  };

  // Number `place` of an array; NaN where it is undefined.
  const read = (array, place) => {
    if (array.type === "float32") return new DataView(numbers).getFloat32(array.at + 4 * place, true);
    const largest = UNDEFINED[array.type];
    const code = array.type === "uint8" ? new Uint8Array(numbers)[array.at + place]
      : new DataView(numbers).getUint16(array.at + 2 * place, true);
    return code === largest ? NaN : array.low + code * (array.high - array.low) / (largest - 1);
  };
  // Numbers `from` to `from + count` of an array.
  const slice = (array, from, count) => Array.from({ length: count }, (_, i) => read(array, from + i));
  // Place of the last epoch that is not after the given one; -1 if there is none.
  const placeOf = (epochs, epoch) => {
    let low = 0, high = epochs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (epochs[middle] <= epoch) low = middle + 1; else high = middle;
    }
    return low - 1;
  };

  const ticks = (low, high) => {
    const span = high - low || 1;
    const raw = span / 5, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
    const found = [];
    for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) found.push(Number(t.toPrecision(12)));
    return found;
  };
  const logTicks = (low, high) => {
    const step = Math.max(1, Math.ceil((high - low) / 4)), found = [];
    for (let t = Math.ceil(low); t <= high; t += step) found.push(t);
    return found.length ? found : ticks(low, high);
  };
  const tickLabel = (value, isLog) => {
    if (isLog) return Number.isInteger(value) && Math.abs(value) <= 4 ? String(Number((10 ** value).toPrecision(3))) : `1e${say(value)}`;
    return Math.abs(value) >= 10000 ? `${say(value / 1000)}k` : say(value);
  };

  class Panel {
    constructor(spec, bounds) {
      this.spec = spec;
      this.root = element("div", "panel");
      this.root.append(element("h4", "", spec.title));
      this.svg = create("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": spec.title });
      this.at = element("p", "at");
      const details = element("details");
      details.append(element("summary", "", "Definition"), element("p", "", spec.definition));
      this.root.append(this.svg, this.at, details);
      [this.x0, this.x1, this.y0, this.y1] = bounds;
      if (this.x1 <= this.x0) { this.x0 -= .5; this.x1 += .5; }
      if (this.y1 <= this.y0) { this.y0 -= .5; this.y1 += .5; }
      this.axes();
      this.marks = create("g");
      this.svg.append(this.marks);
    }
    x(value) { return LEFT + (value - this.x0) / (this.x1 - this.x0) * (W - LEFT - RIGHT); }
    y(value) { return H - BOTTOM - (value - this.y0) / (this.y1 - this.y0) * (H - TOP - BOTTOM); }
    axes() {
      const isLogX = this.spec.log && this.spec.kind === "lines";
      for (const t of this.spec.log ? logTicks(this.y0, this.y1) : ticks(this.y0, this.y1)) {
        this.svg.append(create("path", { class: "grid", d: `M${LEFT} ${this.y(t)}H${W - RIGHT}` }));
        this.svg.append(create("text", { x: LEFT - 5, y: this.y(t) + 4, "text-anchor": "end" }, tickLabel(t, this.spec.log)));
      }
      for (const t of isLogX ? logTicks(this.x0, this.x1) : ticks(this.x0, this.x1)) {
        this.svg.append(create("path", { class: "axis", d: `M${this.x(t)} ${H - BOTTOM}v4` }));
        this.svg.append(create("text", { x: this.x(t), y: H - BOTTOM + 16, "text-anchor": "middle" }, tickLabel(t, isLogX)));
      }
      this.svg.append(create("path", { class: "axis", d: `M${LEFT} ${TOP}V${H - BOTTOM}H${W - RIGHT}` }));
      this.svg.append(create("text", { x: (LEFT + W - RIGHT) / 2, y: H - 4, "text-anchor": "middle" }, this.spec.xLabel));
      this.svg.append(create("text", { x: 11, y: (H - BOTTOM + TOP) / 2, "text-anchor": "middle", transform: `rotate(-90 11 ${(H - BOTTOM + TOP) / 2})` }, this.spec.yLabel));
    }
    line(className, xs, ys) {
      let d = "", isDown = false;
      ys.forEach((value, i) => {
        if (!Number.isFinite(value) || !Number.isFinite(xs[i])) { isDown = false; return; }
        d += `${isDown ? "L" : "M"}${this.x(xs[i]).toFixed(1)} ${this.y(value).toFixed(1)}`;
        isDown = true;
      });
      this.marks.append(create("path", { class: `line ${className}`, d }));
    }
    say(states, places) {
      const parts = states.map(({ name, epoch }, i) => {
        if (places[i] === null) return `${name}: not measured`;
        return places[i] === epoch ? "" : `${name}: ${experiment.unit} ${places[i]}`;
      });
      this.at.textContent = parts.filter(Boolean).join(", ");
    }
  }

  class Curve extends Panel {  // along the run, with a cursor at each epoch
    constructor(spec) {
      const values = spec.arrays.flatMap((a) => [a.low, a.high]);
      const low = Math.min(...values), high = Math.max(...values);
      const y = spec.log ? [Math.log10(Math.max(low, high * 1e-8, 1e-12)), Math.log10(Math.max(high, 1e-12))] : [Math.min(0, low), Math.max(1, high)];
      super(spec, [spec.epochs[0], spec.epochs[spec.epochs.length - 1], ...y]);
    }
    update(states) {
      this.marks.replaceChildren();
      const count = this.spec.epochs.length;
      const scale = (v) => this.spec.log ? (v > 0 ? Math.log10(v) : NaN) : v;
      const words = [];
      for (const { name, run, epoch } of states) {
        this.spec.arrays.forEach((array, i) => {
          this.line(`${name.toLowerCase()} ${i === 0 ? "train" : "test"}`, this.spec.epochs, slice(array, run * count, count).map(scale));
        });
        const x = this.x(Math.min(Math.max(epoch, this.x0), this.x1));
        this.marks.append(create("path", { class: `cursor ${name.toLowerCase()}`, d: `M${x} ${TOP}V${H - BOTTOM}` }));
        const place = placeOf(this.spec.epochs, epoch);
        if (place >= 0) {
          const [train, test] = this.spec.arrays.map((array) => say(read(array, run * count + place)));
          words.push(`${name}: training ${train}, test ${test}`);
        }
      }
      this.at.textContent = words.join("; ");
    }
  }

  class Profile extends Panel {  // numbers along an axis, at one epoch
    constructor(spec) {
      const [array] = spec.arrays, xs = spec.log ? spec.x.map(Math.log10) : spec.x;
      const isBars = spec.kind === "bars";
      const pad = isBars ? .5 : 0;
      super(spec, [xs[0] - pad, xs[xs.length - 1] + pad, spec.log ? array.low : Math.min(0, array.low), array.high]);
      this.xs = xs;
    }
    update(states) {
      this.marks.replaceChildren();
      const { epochs, width, arrays: [array], kind } = this.spec;
      this.say(states, states.map(({ name, run, epoch }) => {
        const place = placeOf(epochs, epoch);
        if (place < 0) return null;
        const values = slice(array, (run * epochs.length + place) * width, width);
        if (!values.some(Number.isFinite)) return null;
        if (kind === "bars") this.bars(name, values); else this.line(name.toLowerCase(), this.xs, values);
        return epochs[place];
      }));
    }
    bars(name, values) {
      let d = "";
      const half = (this.x(1) - this.x(0)) * .4, zero = this.y(Math.max(0, this.y0));
      values.forEach((value, i) => {
        if (Number.isFinite(value)) d += `M${(this.x(this.xs[i]) - half).toFixed(1)} ${zero}V${this.y(value).toFixed(1)}h${(2 * half).toFixed(1)}V${zero}`;
      });
      this.marks.append(create("path", { class: `bar ${name.toLowerCase()}`, d }));
    }
  }

  class Scatter extends Panel {  // one dot a neuron, at one epoch
    constructor(spec) {
      const [x, y] = spec.arrays;
      const padX = (x.high - x.low) * .03, padY = (y.high - y.low) * .03;
      super(spec, [x.low - padX, x.high + padX, y.low - padY, y.high + padY]);
    }
    update(states) {
      this.marks.replaceChildren();
      const { epochs, width, arrays } = this.spec;
      this.say(states, states.map(({ name, run, epoch }) => {
        const place = placeOf(epochs, epoch);
        if (place < 0) return null;
        const [xs, ys] = arrays.map((array) => slice(array, (run * epochs.length + place) * width, width));
        let d = "";
        xs.forEach((value, i) => {
          if (Number.isFinite(value) && Number.isFinite(ys[i])) d += `M${this.x(value).toFixed(1)} ${this.y(ys[i]).toFixed(1)}h0`;
        });
        if (!d) return null;
        this.marks.append(create("path", { class: `dots ${name.toLowerCase()}`, d }));
        return epochs[place];
      }));
    }
  }

  const lossCurve = () => experiment.curves.find((curve) => curve.title === "loss");
  // The epoch at which run b has the test loss that run a has at an epoch, among those recorded; null if unknown.
  const matchLoss = (a, b, epoch) => {
    const curve = lossCurve();
    if (!curve) return null;
    const count = curve.epochs.length, place = placeOf(curve.epochs, epoch);
    const target = place < 0 ? NaN : read(curve.arrays[1], a * count + place);
    if (!Number.isFinite(target)) return null;
    let best = null, distance = Infinity;
    slice(curve.arrays[1], b * count, count).forEach((loss, i) => {
      const apart = Math.abs(Math.log(loss) - Math.log(target));
      if (apart < distance) { distance = apart; best = { epoch: curve.epochs[i], loss, target, isNear: apart < .1 }; }
    });
    return best;
  };

  const update = () => {
    const epoch = experiment.epochs[byId("epoch").valueAsNumber];
    const a = Number(byId("run-a").value), b = Number(byId("run-b").value);
    const match = byId("matched").checked ? matchLoss(a, b, epoch) : null;
    const states = [{ name: "A", run: a, epoch }];
    if (a !== b || match) states.push({ name: "B", run: b, epoch: match ? match.epoch : epoch });
    byId("now").textContent = `${experiment.unit} ${epoch}`;
    byId("epoch").setAttribute("aria-valuetext", `${experiment.unit} ${epoch}`);
    byId("match-note").hidden = !match;
    if (match) byId("match-note").textContent = `A at ${experiment.unit} ${epoch} has test loss ${say(match.target)}; ${match.isNear ? "B is nearest" : "B never comes near, and is nearest"} at ${experiment.unit} ${match.epoch}, with ${say(match.loss)}.`;
    for (const panel of drawn) panel.update(states);
    updateNumbers(states);
  };

  const updateNumbers = (states) => {
    const rows = experiment.rows.map((row) => {
      const line = element("tr");
      const head = element("th");
      head.scope = "row";
      head.append(element("code", "", row.label));
      head.title = row.definition;
      line.append(head);
      for (const name of ["A", "B"]) {
        const state = states.find((s) => s.name === name);
        const place = state ? placeOf(row.epochs, state.epoch) : -1;
        const cell = element("td", "value", !state ? "" : place < 0 ? "not measured" : say(read(row.arrays[0], state.run * row.epochs.length + place)));
        if (state && place >= 0 && row.epochs[place] !== state.epoch) cell.textContent += ` (${experiment.unit} ${row.epochs[place]})`;
        line.append(cell);
      }
      return line;
    });
    byId("numbers").tBodies[0].replaceChildren(...rows);
  };

  const fill = (select, labels, chosen) => {
    select.replaceChildren(...labels.map((label, i) => {
      const option = element("option", "", label);
      option.value = i;
      return option;
    }));
    select.value = chosen;
  };

  const choose = (place) => {
    experiment = index[place];
    const labels = experiment.runs.map((run) => run.label);
    fill(byId("run-a"), labels, 0);
    fill(byId("run-b"), labels, experiment.second);
    const slider = byId("epoch");
    slider.max = experiment.epochs.length - 1;
    slider.value = slider.max;
    slider.disabled = byId("play").disabled = experiment.epochs.length < 2;
    byId("matched").disabled = !lossCurve();
    drawn = [
      ...experiment.curves.filter((c) => c.arrays.some((a) => a.high > a.low)).map((c) => new Curve(c)),
      ...experiment.panels.map((p) => p.kind === "scatter" ? new Scatter(p) : new Profile(p)),
    ];
    byId("panels").replaceChildren(...drawn.map((panel) => panel.root));
    update();
  };

  const stop = () => {
    clearInterval(timer);
    timer = 0;
    byId("play").textContent = "Play";
    byId("play").setAttribute("aria-pressed", "false");
  };
  const play = () => {
    if (timer) { stop(); return; }
    const slider = byId("epoch");
    if (slider.valueAsNumber >= Number(slider.max)) slider.value = 0;
    // a jump now and then instead of a motion, for those who ask their system for that
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    byId("play").textContent = "Stop";
    byId("play").setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      if (slider.valueAsNumber >= Number(slider.max)) { stop(); return; }
      slider.value = slider.valueAsNumber + 1;
      update();
    }, isCalm ? 1500 : 150);
  };

  const unpack = async () => {
    const text = atob(byId("slider-numbers").textContent.trim());
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  };

  const index = JSON.parse(byId("slider-index").textContent);
  unpack().then((buffer) => {
    numbers = buffer;
    fill(byId("experiment"), index.map((e) => e.name), 0);
    byId("experiment-choice").hidden = index.length < 2;
    byId("experiment").addEventListener("change", (event) => { stop(); choose(Number(event.target.value)); });
    for (const id of ["run-a", "run-b", "matched"]) byId(id).addEventListener("change", update);
    byId("epoch").addEventListener("input", () => { stop(); update(); });
    byId("play").addEventListener("click", play);
    byId("slider").hidden = false;
    choose(0);
  }).catch((error) => {
    byId("slider-fault").hidden = false;
    byId("slider-fault").textContent = `The slider needs a newer browser (${error.message}). The figures below show the same at the last epoch.`;
  });
})();
