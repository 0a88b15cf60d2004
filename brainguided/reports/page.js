// The table of candidates and the charts. All text of files is set as text.
(() => {
  const PAGES = [25, 100, 500];
  const WAIT = 3000; // ms between two questions of a live page
  let data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const state = {sort: "candidate", down: false, terms: [], page: 0, size: PAGES[0], shown: null, open: new Map()};
  let order = [];

  function node(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") made.className = value;
      else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  const say = (value, digits) => draw.number(value, digits);
  const column = (key) => data.columns.find((one) => one.key === key);
  const size = () => column("candidate").values.length;

  function cell(one, row) {
    return one.texts ? one.texts[one.codes[row]] : say(one.values[row], one.digits);
  }

  // ---- filter and order -------------------------------------------------------------------

  // "P > 0.5, parameters < 1e5, failed": conditions on columns, and words that stand in a text
  function read(text) {
    const terms = [];
    for (const part of text.split(",").map((one) => one.trim()).filter(Boolean)) {
      const found = part.match(/^(.+?)\s*(<=|>=|=|<|>)\s*(.+)$/);
      if (!found) { terms.push({word: part.toLowerCase()}); continue; }
      const [, name, sign, wanted] = found;
      const one = data.columns.find((c) => c.label.toLowerCase() === name.toLowerCase());
      if (!one) throw new Error(`There is no column \u201c${name}\u201d; there are ${data.columns.map((c) => c.label).join(", ")}.`);
      if (one.texts) {
        if (sign !== "=") throw new Error(`\u201c${one.label}\u201d holds texts, which have no order; write ${one.label} = ${wanted}.`);
        terms.push({texts: one, wanted: wanted.toLowerCase()});
        continue;
      }
      const value = Number(wanted);
      if (Number.isNaN(value)) throw new Error(`\u201c${wanted}\u201d is no number.`);
      terms.push({values: one.values, sign, value});
    }
    return terms;
  }

  const TESTS = {
    "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b, "=": (a, b) => a === b,
  };

  function test(term) {
    if (term.values) {
      const holds = TESTS[term.sign];
      return (row) => term.values[row] !== null && holds(term.values[row], term.value);
    }
    const among = term.texts ? [term.texts] : data.columns.filter((one) => one.texts);
    const fits = term.texts ? (text) => text === term.wanted : (text) => text.includes(term.word);
    const holds = among.map((one) => one.texts.map((text) => fits(text.toLowerCase())));
    return (row) => among.some((one, k) => holds[k][one.codes[row]]);
  }

  function choose() {
    const tests = state.terms.map(test);
    order = [];
    for (let row = 0; row < size(); row += 1) if (tests.every((one) => one(row))) order.push(row);
    const one = column(state.sort);
    const sign = state.down ? -1 : 1;
    const rank = one.texts ? ranks(one.texts) : null;
    const value = rank ? (row) => rank[one.codes[row]] : (row) => one.values[row];
    order.sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === y) return a - b;
      if (x === null) return 1; // what has none comes last, whatever the direction
      if (y === null) return -1;
      return x < y ? -sign : sign;
    });
  }

  function ranks(texts) {
    const place = new Array(texts.length);
    [...texts.keys()].sort((a, b) => texts[a].localeCompare(texts[b], "en", {numeric: true})).forEach((k, rank) => { place[k] = rank; });
    return place;
  }

  // ---- the table --------------------------------------------------------------------------

  function heads() {
    const row = node("tr");
    for (const one of data.columns) {
      const here = state.sort === one.key;
      const mark = here ? (state.down ? " \u25bc" : " \u25b2") : "";
      row.append(node("th", {scope: "col", "aria-sort": here ? (state.down ? "descending" : "ascending") : "none"},
        node("button", {type: "button", "data-key": `sort ${one.key}`, onclick: () => sortBy(one)}, one.label + mark)));
    }
    return row;
  }

  function sortBy(one) {
    if (state.sort === one.key) state.down = !state.down;
    else { state.sort = one.key; state.down = !one.texts && one.key !== "candidate" && one.key !== "parameters"; }
    state.page = 0;
    choose();
    show();
  }

  function show() {
    const focused = document.activeElement?.dataset?.key;
    const pages = Math.max(1, Math.ceil(order.length / state.size));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * state.size;
    const rows = order.slice(first, first + state.size);
    const body = node("tbody");
    for (const row of rows) {
      const candidate = column("candidate").values[row];
      const open = state.open.get(candidate);
      const line = node("tr", open ? {"data-open": ""} : {});
      data.columns.forEach((one, k) => {
        if (k) { line.append(node("td", {}, cell(one, row))); return; }
        line.append(node("th", {scope: "row"}, node("button", {
          type: "button", class: "row", "data-key": `row ${candidate}`, "aria-expanded": open ? "true" : "false",
          "aria-label": `candidate ${candidate}, details`, onclick: () => toggle(candidate),
        }, `${open ? "\u2212" : "+"} ${candidate}`)));
      });
      body.append(line);
      if (open) body.append(node("tr", {class: "detail"}, node("td", {colspan: data.columns.length}, open)));
    }
    $("rows").replaceChildren(node("caption", {class: "skip"}, "All candidates"), node("thead", {}, heads()), body);
    const all = size();
    const kept = order.length === all ? `${all.toLocaleString("en")} candidates`
      : `${order.length.toLocaleString("en")} of ${all.toLocaleString("en")} candidates`;
    $("count").textContent = rows.length ? `${kept}; rows ${first + 1} to ${first + rows.length}.` : `${kept}.`;
    $("before").disabled = state.page === 0;
    $("after").disabled = state.page >= pages - 1;
    if (focused) focusKey(focused);
  }

  function focusKey(key) {
    const found = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
    found?.focus({preventScroll: true});
  }

  function filter() {
    const said = $("problem");
    try {
      state.terms = read($("filter").value);
      said.textContent = "";
    } catch (error) {
      said.textContent = error.message;
      return;
    }
    state.page = 0;
    choose();
    show();
  }

  // ---- one candidate ----------------------------------------------------------------------

  function toggle(candidate) {
    if (state.open.has(candidate)) state.open.delete(candidate);
    else state.open.set(candidate, detail(candidate));
    show();
    focusKey(`row ${candidate}`);
  }

  function detail(candidate) {
    const host = node("div", {class: "detail"});
    const known = data.details[candidate];
    if (known) fill(host, candidate, known);
    else if (data.live) {
      host.append("Loading\u2026");
      ask(`candidate/${candidate}.json`).then((answer) => answer.json()).then(
        (found) => { data.details[candidate] = found; fill(host, candidate, found); },
        (error) => { host.textContent = `It could not be loaded: ${error.message}`; });
    } else {
      host.append(`To keep the page small it holds the details of ${Object.keys(data.details).length.toLocaleString("en")} candidates: `
        + `the front, the best and failures. \u201cbrainguided watch\u201d shows those of all; run.nc holds their numbers.`);
    }
    return host;
  }

  function grid(caption, names, rows, shade = null) {
    const table = node("table", {}, node("caption", {class: "skip"}, caption),
      node("thead", {}, node("tr", {}, ...names.map((one) => node("th", {scope: "col"}, one)))));
    const body = node("tbody");
    for (const row of rows) {
      const line = node("tr");
      row.forEach((value, k) => {
        if (!k) { line.append(node("th", {scope: "row"}, String(value))); return; }
        const one = node("td", {class: "cell"}, typeof value === "number" ? say(value, Number.isInteger(value) ? 0 : 3) : String(value ?? ""));
        const colour = shade ? shade(value, k) : null;
        if (colour) one.style.background = colour;
        line.append(one);
      });
      body.append(line);
    }
    table.append(body);
    return node("div", {class: "wide", role: "region", tabindex: "0", "aria-label": caption}, table);
  }

  // Light blue, so that black text stays legible on all of it
  function shading(values) {
    const known = values.flat().filter((v) => v !== null);
    const low = Math.min(0, ...known), high = Math.max(...known, low + 1e-9);
    return (value) => (typeof value === "number" ? `hsl(205 75% ${98 - 30 * ((value - low) / (high - low))}%)` : null);
  }

  function fill(host, candidate, one) {
    const parts = [node("h3", {}, `Candidate ${candidate}`)];
    const sides = node("div", {class: "sides"});
    if (one.drawing) sides.append(draw.architecture(one.drawing));
    if (one.layers) {
      const shade = shading(one.similarity);
      const rows = one.layers.map((layer, k) => [layer, ...one.similarity[k].map((v) => v ?? "undefined")]);
      rows.push(["committed", ...one.committed.map((v) => v ?? "")]);
      sides.append(node("div", {}, node("h4", {}, "Similarity of layers to areas and controls"),
        grid(`Similarity of the layers of candidate ${candidate}`, ["layer", ...one.targets], rows, shade)));
    }
    parts.push(sides);
    if (one.steps?.length) {
      const names = Object.keys(one.rungs);
      parts.push(node("h4", {}, "Rungs: the best layer after so many training steps"),
        grid(`Rungs of candidate ${candidate}`, ["steps", ...names], one.steps.map((step, k) => [step, ...names.map((n) => one.rungs[n][k] ?? "")])));
    }
    if (one.attempts.length) {
      const rows = one.attempts.map((a) => [a.attempt, a.host, `${say(a.seconds, 1)} s`, new Date(a.started * 1000).toISOString().slice(0, 19).replace("T", " ")]);
      parts.push(node("h4", {}, "Attempts"), grid(`Attempts at candidate ${candidate}`, ["attempt", "host", "time", "started (UTC)"], rows));
    }
    for (const log of one.logs) {
      parts.push(node("h4", {}, log.name), node("pre", {tabindex: "0", role: "region", "aria-label": `log ${log.name}`}, log.text));
    }
    parts.push(node("details", {}, node("summary", {}, "Architecture as JSON"),
      node("pre", {tabindex: "0", role: "region", "aria-label": `architecture of candidate ${candidate} as JSON`}, one.architecture), node("p", {}, `seed ${one.seed}`)));
    host.replaceChildren(...parts);
  }

  // ---- charts -----------------------------------------------------------------------------

  const SHOWN_FIRST = ["reward", "P", "TG"];

  const byChance = () => ({...data.levels, ...(data.guessing === null ? {} : {P: data.guessing})});

  // What a number is read beside: of most charts the ceiling is far above what they show
  function beside(name) {
    const known = [["by chance", byChance()[name]], ["ceiling", data.ceilings[name]]].filter((one) => one[1] !== undefined);
    return known.length ? ` (${known.map(([said, value]) => `${said} ${say(value)}`).join(", ")})` : "";
  }

  function chart() {
    const series = [...new Set([...SHOWN_FIRST, ...data.areas, ...data.incumbents.flatMap((one) => Object.keys(one.values))])]
      .filter((name) => data.incumbents.some((one) => name in one.values));
    if (!state.shown) state.shown = new Set(series.filter((name) => SHOWN_FIRST.includes(name)));
    if ($("course")) {
      const plot = () => draw.course($("course"), {
        incumbents: data.incumbents, rewards: column("reward").values, numbers: column("candidate").values,
        series, shown: state.shown, levels: byChance(), ceilings: data.ceilings,
      });
      const boxes = series.map((name, place) => {
        const box = node("input", {type: "checkbox", "data-key": `series ${name}`, onchange: (event) => {
          if (event.target.checked) state.shown.add(name); else state.shown.delete(name);
          plot();
        }});
        box.checked = state.shown.has(name);
        return node("label", {}, box, draw.swatch(place), name + beside(name));
      });
      const focused = document.activeElement?.dataset?.key;
      $("series").replaceChildren(node("legend", {}, "Curves"), ...boxes);
      if (focused?.startsWith("series")) focusKey(focused);
      plot();
    }
    if ($("pareto")) drawPareto();
    if ($("entropy") && data.controller.entropy.length) {
      const windows = data.controller.entropy;
      draw.lines($("entropy"), {
        title: "Entropy of the proposals in the course of the search.", xLabel: "first candidate of the window", yLabel: "bits a decision",
        rows: [{name: "proposals", points: windows.map((w) => [w.first, w.bits])}, {name: "as many uniform draws", points: windows.map((w) => [w.first, w.uniform])}],
      });
    }
    if ($("baseline") && data.controller.baseline.length) {
      draw.lines($("baseline"), {
        title: "Baseline of the policy: moving average of rewards.", xLabel: "candidates told", yLabel: "baseline",
        rows: [{name: "baseline", points: data.controller.baseline}],
      });
    }
  }

  function drawPareto() {
    const p = column("P").values, tg = column("TG")?.values, sizes = column("parameters").values;
    const said = `P, validation ${data.performance}`;
    const front = column("front"), numbers = column("candidate").values, outcome = column("outcome");
    const points = [];
    for (let row = 0; row < size(); row += 1) {
      const kind = outcome.texts[outcome.codes[row]];
      if (kind === "failed" || kind === "duplicate" || p[row] === null || !sizes[row] || (tg && tg[row] === null)) continue;
      points.push({
        x: tg ? p[row] : sizes[row], y: tg ? tg[row] : p[row], size: sizes[row],
        front: front.texts[front.codes[row]] === "front", candidate: numbers[row],
      });
    }
    if (!points.length) { $("pareto").textContent = "No candidate has all of these numbers yet."; return; }
    draw.pareto($("pareto"), {
      points, log: !tg, xLabel: tg ? said : "parameters (decimal logarithm)", yLabel: tg ? "TG, similarity" : said,
      beside: beside(tg ? "TG" : "P") && `${tg ? "TG" : "P"}${beside(tg ? "TG" : "P")}`,
      levels: [[byChance()[tg ? "TG" : "P"], "by chance", "level"], [data.ceilings[tg ? "TG" : "P"], "noise ceiling", "ceiling"]].filter((one) => one[0] !== undefined),
    });
  }

  // ---- a live page ------------------------------------------------------------------------

  const ask = (path) => fetch(path + location.search, {cache: "no-store"}).then((answer) => {
    if (!answer.ok && answer.status !== 304) throw new Error(`the server says ${answer.status}`);
    return answer;
  });
  let tag = "";

  async function poll() {
    try {
      if (!document.hidden) {
        const path = `data.json${location.search ? `${location.search}&` : "?"}known=${encodeURIComponent(tag)}`;
        const answer = await fetch(path, {cache: "no-store"});
        if (answer.status === 200) {
          const details = data.details, found = await answer.json();
          tag = answer.headers.get("X-Version") ?? "";
          const winner = data.winner;
          data = {...found, details};
          for (const [candidate] of state.open) if (!column("candidate").values.includes(candidate)) state.open.delete(candidate);
          choose();
          show();
          chart();
          if (winner !== data.winner) $("newer").hidden = false;
        }
        $("status").textContent = answer.status === 204 || answer.status === 200 ? decodeURIComponent(answer.headers.get("X-Status") ?? "") : `The server says ${answer.status}.`;
      }
    } catch (error) {
      $("status").textContent = `No answer from the server (${error.message}); asking again.`;
    }
    setTimeout(poll, WAIT);
  }

  // ---- begin ------------------------------------------------------------------------------

  function move(event) {
    const rows = [...document.querySelectorAll("#rows button.row")];
    const here = rows.indexOf(document.activeElement);
    if (event.key === "Escape") {
      const line = document.activeElement?.closest?.("tr.detail")?.previousElementSibling;
      const button = here >= 0 ? rows[here] : line?.querySelector("button.row");
      if (button?.getAttribute("aria-expanded") === "true") { button.click(); event.preventDefault(); }
      return;
    }
    if (here < 0) return;
    const to = {ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: rows.length - 1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    rows[Math.max(0, Math.min(to, rows.length - 1))].focus();
  }

  function openHash() {
    const found = location.hash.match(/^#candidate-(\d+)$/);
    if (!found) return;
    const candidate = Number(found[1]), at = order.indexOf(column("candidate").values.indexOf(candidate));
    if (at < 0) return;
    state.page = Math.floor(at / state.size);
    state.open.set(candidate, detail(candidate));
    show();
    focusKey(`row ${candidate}`);
    document.activeElement.scrollIntoView({block: "center"});
  }

  $("filter").addEventListener("input", filter);
  $("before").addEventListener("click", () => { state.page -= 1; show(); });
  $("after").addEventListener("click", () => { state.page += 1; show(); });
  $("size").addEventListener("change", (event) => { state.size = Number(event.target.value); state.page = 0; show(); });
  $("front")?.addEventListener("click", () => { $("filter").value = "pareto = front"; filter(); $("filter").focus(); });
  $("reload")?.addEventListener("click", () => location.reload());
  $("rows").addEventListener("keydown", move);
  window.addEventListener("hashchange", openHash);
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; chart(); } });
  choose();
  show();
  chart();
  openHash();
  if (data.live) { tag = data.version; poll(); }
})();
