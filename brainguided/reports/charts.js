"use strict";
// Drawings as SVG, from numbers. Text is set as text and never read as markup.
const draw = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  // Dark enough on white for lines and text; each series has its own dashes as well
  const COLOURS = ["#222222", "#0072b2", "#b34700", "#00755a", "#8f3f71", "#6b5900"];
  const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
  const SIZES = ["#fdd835", "#a5a272", "#7c7b78", "#4c5a6e", "#00204c"]; // few to many parameters

  function make(name, attributes, ...children) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function number(value, digits = 3) {
    if (value === null || value === undefined) return "";
    if (digits === 0) return Math.round(value).toLocaleString("en");
    return value.toFixed(digits).replace("-", "\u2212");
  }

  // Round numbers that cover a range, about as many as asked for
  function ticks(low, high, wanted) {
    const span = high - low || Math.abs(high) || 1;
    const raw = span / Math.max(wanted, 1);
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((k) => k * unit).find((s) => s >= raw);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) {
      found.push(Number((k * step).toPrecision(12)));
    }
    return found;
  }

  // All with as many decimals as the one that needs most
  function label(values) {
    const digits = Math.max(0, ...values.map((v) => (String(v).split(".")[1] ?? "").length));
    return (v) => v.toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits}).replace("-", "\u2212");
  }

  function bounds(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value === null || value === undefined) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return [0, 1];
    const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 0.5;
    return [low - room, high + room];
  }

  // Axes with their labels; returns the drawing and what turns values into places in it
  function frame(host, {title, xLabel, yLabel, x, y, whole = false}) {
    const width = Math.max(280, Math.min(host.clientWidth || 640, 860));
    const height = Math.round(Math.min(360, Math.max(240, width * 0.5)));
    const left = 58, right = 14, top = 12, bottom = 46;
    const toX = (v) => left + ((v - x[0]) / (x[1] - x[0])) * (width - left - right);
    const toY = (v) => height - bottom - ((v - y[0]) / (y[1] - y[0])) * (height - top - bottom);
    const svg = make("svg", {
      viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title, class: "chart",
    });
    const put = (name, attributes, text) => svg.append(make(name, attributes, ...(text === undefined ? [] : [text])));
    const across = ticks(x[0], x[1], width / 110).filter((value) => !whole || Number.isInteger(value));
    const up = ticks(y[0], y[1], height / 60);
    const sayX = label(across), sayY = label(up);
    for (const value of across) {
      put("line", {x1: toX(value), x2: toX(value), y1: top, y2: height - bottom, class: "grid"});
      put("text", {x: toX(value), y: height - bottom + 17, "text-anchor": "middle"}, sayX(value));
    }
    for (const value of up) {
      put("line", {x1: left, x2: width - right, y1: toY(value), y2: toY(value), class: "grid"});
      put("text", {x: left - 6, y: toY(value) + 4, "text-anchor": "end"}, sayY(value));
    }
    put("text", {x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle"}, xLabel);
    put("text", {
      x: 0, y: 0, "text-anchor": "middle", transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)`,
    }, yLabel);
    return {svg, toX, toY, right: width - right};
  }

  function style(place) {
    return {stroke: COLOURS[place % COLOURS.length], "stroke-dasharray": DASHES[Math.floor(place / COLOURS.length) % DASHES.length]};
  }

  function swatch(place) {
    return make("svg", {width: 26, height: 10, "aria-hidden": "true", class: "swatch"},
      make("line", {x1: 0, x2: 26, y1: 5, y2: 5, "stroke-width": 2.5, ...style(place)}));
  }

  // Steps from one best candidate to the next, and a dot for the reward of each candidate
  function course(host, {incumbents, rewards, numbers, series, shown, levels, ceilings}) {
    const last = numbers.length ? numbers[numbers.length - 1] : 1;
    const wanted = series.filter((name) => shown.has(name));
    const values = incumbents.flatMap((one) => wanted.map((name) => one.values[name] ?? null));
    const dots = shown.has("reward") ? rewards : [];
    const y = bounds([...values, ...dots]);
    const {svg, toX, toY, right} = frame(host, {
      title: `The best candidate so far against the number of candidates: ${wanted.join(", ")}.`,
      xLabel: "candidate", yLabel: "of the best so far", x: [0, Math.max(last, 1)], y, whole: true,
    });
    if (dots.length) {
      const d = dots.map((v, k) => (v === null ? "" : `M${toX(numbers[k]).toFixed(1)} ${toY(v).toFixed(1)}h0`)).join("");
      svg.append(make("path", {d, class: "dots", "stroke-width": dots.length < 300 ? 5 : 3}));
    }
    for (const name of wanted) {
      let d = "";
      for (const one of incumbents) {
        const value = one.values[name];
        if (value === undefined) continue;
        const x = toX(one.candidate).toFixed(1), at = toY(value).toFixed(1);
        d += d ? `H${x}V${at}` : `M${x} ${at}`;
      }
      if (!d) continue;
      svg.append(make("path", {d: `${d}H${right}`, class: "curve", ...style(series.indexOf(name))}));
      for (const [level, said, kind] of [[levels[name], "by chance", "level"], [ceilings[name], "noise ceiling", "ceiling"]]) {
        if (level === undefined || level <= y[0] || level >= y[1]) continue;
        svg.append(make("line", {
          x1: toX(0), x2: right, y1: toY(level), y2: toY(level), class: kind, stroke: style(series.indexOf(name)).stroke,
        }, make("title", {}, `${name}: ${said}`)));
      }
    }
    host.replaceChildren(svg);
  }

  function lines(host, {title, xLabel, yLabel, rows}) {
    const points = rows.flatMap((row) => row.points);
    const {svg, toX, toY} = frame(host, {
      title, xLabel, yLabel, x: bounds(points.map((p) => p[0])), y: bounds(points.map((p) => p[1])), whole: true,
    });
    rows.forEach((row, place) => {
      const d = row.points.map((p, k) => `${k ? "L" : "M"}${toX(p[0]).toFixed(1)} ${toY(p[1]).toFixed(1)}`).join("");
      svg.append(make("path", {d, class: "curve", ...style(place * 2)}));
    });
    const legend = document.createElement("p");
    if (rows.length > 1) rows.forEach((row, place) => {
      const item = document.createElement("span");
      item.className = "legend";
      item.append(swatch(place * 2), row.name);
      legend.append(item);
    });
    host.replaceChildren(svg, legend);
  }

  // Accuracy against similarity, darker the more parameters; the front is ringed and joined
  function pareto(host, {points, xLabel, yLabel, log, levels, beside}) {
    const turn = (v) => (log ? Math.log10(v) : v);
    const y = bounds(points.map((p) => p.y));
    const {svg, toX, toY, right} = frame(host, {
      title: `${yLabel} against ${xLabel} of ${points.length} candidates; those that none exceeds are ringed.`,
      xLabel, yLabel, x: bounds(points.map((p) => turn(p.x))), y,
    });
    for (const [level, said, kind] of levels) {
      if (level <= y[0] || level >= y[1]) continue;
      svg.append(make("line", {x1: 58, x2: right, y1: toY(level), y2: toY(level), class: kind, stroke: COLOURS[2]}, make("title", {}, said)));
    }
    const sizes = points.map((p) => Math.log10(p.size));
    const low = sizes.reduce((a, b) => Math.min(a, b), Infinity);
    const span = sizes.reduce((a, b) => Math.max(a, b), -Infinity) - low || 1;
    const groups = SIZES.map(() => "");
    points.forEach((p, k) => {
      const place = Math.min(SIZES.length - 1, Math.floor(((sizes[k] - low) / span) * SIZES.length));
      groups[place] += `M${toX(turn(p.x)).toFixed(1)} ${toY(p.y).toFixed(1)}h0`;
    });
    groups.forEach((d, k) => d && svg.append(make("path", {d, class: "points", stroke: SIZES[k]})));
    for (const p of points) {
      if (!p.front) continue;
      const ring = make("circle", {cx: toX(turn(p.x)), cy: toY(p.y), r: 6, class: "ring"});
      ring.append(make("title", {}, `candidate ${p.candidate}`));
      svg.append(ring);
    }
    const legend = document.createElement("p");
    SIZES.forEach((colour, k) => {
      const item = document.createElement("span");
      item.className = "legend";
      const from = 10 ** (low + (span * k) / SIZES.length);
      item.append(make("svg", {width: 12, height: 12, "aria-hidden": "true"},
        make("circle", {cx: 6, cy: 6, r: 5, fill: colour, stroke: "#333"})), `from ${number(Number(from.toPrecision(2)), 0)}`);
      legend.append(item);
    });
    legend.append(beside ? `parameters; ${beside}` : "parameters");
    host.replaceChildren(svg, legend);
  }

  // The drawing of an architecture; lengths are mm
  function architecture(drawing) {
    const margin = 2;
    const width = drawing.width + 2 * margin, height = drawing.height + 1;
    const said = drawing.titles.map((one) => one[2]).join("; ");
    const svg = make("svg", {
      viewBox: `${-width / 2} 0 ${width} ${height}`, width: Math.round(width * 5), height: Math.round(height * 5),
      role: "img", "aria-label": `Drawing of the architecture: ${said}. ${drawing.boxes.map((b) => b[4].replace("\n", " ")).join(", ")}.`,
      class: "architecture",
    });
    const words = (x, y, text, anchor = "middle") => {
      const rows = text.split("\n");
      rows.forEach((row, k) => {
        svg.append(make("text", {x, y: y + (k - (rows.length - 1) / 2) * 2.4 + 0.75, "text-anchor": anchor}, row));
      });
    };
    for (const points of drawing.edges) {
      let d = `M${points[0]} ${points[1]}`;
      for (let k = 2; k < points.length; k += 2) {
        const bend = (points[k - 1] + points[k + 1]) / 2;
        d += `C${points[k - 2]} ${bend} ${points[k]} ${bend} ${points[k]} ${points[k + 1]}`;
      }
      svg.append(make("path", {d, class: "edge"}));
      const x = points[points.length - 2], y = points[points.length - 1];
      svg.append(make("path", {d: `M${x - 0.7} ${y - 1.3}H${x + 0.7}L${x} ${y}Z`, class: "arrow"}));
    }
    for (const [x, y, w, h, label, colour] of drawing.boxes) {
      svg.append(make("rect", {x: x - w / 2, y: y - h / 2, width: w, height: h, rx: 0.8, fill: colour, class: "box"}));
      words(x, y, label);
    }
    for (const [x, y, h, text] of drawing.loops) {
      const s = h * 0.3;
      svg.append(make("path", {d: `M${x} ${y - s}C${x + 3.5} ${y - s} ${x + 3.5} ${y + s} ${x} ${y + s}`, class: "edge"}));
      words(x + 3.4, y, text, "start");
    }
    for (const [x, y, text] of drawing.titles) words(x, y, text);
    return svg;
  }

  return {course, lines, pareto, architecture, swatch, number};
})();
