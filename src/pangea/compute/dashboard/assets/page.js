// What is live on a page: counters from one stream, regions that are fetched anew when something has changed, curves.
"use strict";
(() => {
  const LIVE_MS = 4000;      // counters are told every two seconds at least: later than this, something is wrong
  const FETCH_MS = 2000;     // regions are fetched anew no more often than this
  const ANYWAY_MS = 10000;   // what counters don't tell, such as how long a task has waited, grows older
  const REDRAW_MS = 10000;   // drawings of a job that goes on
  const RETRY_MS = [1000, 2000, 5000, 10000];
  const KEPT_SECONDS = 120;
  const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const whole = new Intl.NumberFormat("en");
  const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
  const byId = (id) => document.getElementById(id);

  let source = null, timer = 0, failures = 0;
  let last = 0, heard = 0, lost = "", changed = -1, fetched = performance.now(), redrawn = fetched;
  const curve = [[], [], []];

  // The stream

  function open() {
    if (source || document.hidden) return;
    clearTimeout(timer);
    source = new EventSource("/stream?after=" + last);
    source.addEventListener("counters", (event) => { note(event); lost = ""; take(JSON.parse(event.data)); show(); });
    source.addEventListener("lost", (event) => { note(event); lost = JSON.parse(event.data).why; show(); });
    source.onerror = () => {
      lost = "the page's own server doesn't answer";
      show();
      if (source && source.readyState === EventSource.CLOSED) again();
    };
  }

  function again() {
    close();
    timer = setTimeout(open, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  }

  function close() {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  }

  function note(event) {
    last = Number(event.lastEventId) || last;
    failures = 0;
  }

  function take(told) {
    heard = performance.now();
    for (const place of document.querySelectorAll("[data-counter]")) {
      const value = told.figures[place.dataset.counter];
      const text = value === undefined ? "–" : Number.isInteger(value) ? whole.format(value) : number.format(value);
      if (place.textContent !== text) place.textContent = text;
    }
    for (const row of told.history || []) push(row);
    push([told.at, told.figures["rates.chunks"] || 0, told.figures["rates.tasks"] || 0]);
    draw();
    const isNews = told.changed !== changed && heard - fetched >= FETCH_MS;
    if (isNews || heard - fetched >= ANYWAY_MS) {
      changed = told.changed;
      fetched = heard;
      if (window.htmx) htmx.trigger(document.body, "pangea:changed");
    }
    if (heard - redrawn >= REDRAW_MS && document.querySelector("#job-curve[data-live]")) {
      redrawn = heard;
      if (window.htmx) htmx.trigger(document.body, "pangea:redraw");
      drawJob();
    }
  }

  // How fresh it is

  function show() {
    const age = performance.now() - heard;
    const state = lost ? "disconnected" : !heard ? "waiting" : age < LIVE_MS ? "live" : "old";
    const words = { disconnected: "disconnected", waiting: "not live yet", live: "live", old: "late" };
    const signs = { disconnected: "✗", waiting: "○", live: "●", old: "◔" };
    const place = byId("fresh");
    if (place.textContent !== words[state]) {
      place.textContent = words[state];
      byId("fresh-mark").textContent = signs[state];
      place.closest(".freshness").dataset.state = state;
    }
    const old = heard && state !== "live" ? Math.round(age / 1000) + " s old" : "";
    byId("fresh-why").textContent = [old, lost].filter(Boolean).join(": ");
  }

  // Curves; the tables beside them say the same

  let plot = null;

  function push(row) {
    const times = curve[0];
    if (times.length && row[0] <= times[times.length - 1]) return;
    row.forEach((value, place) => curve[place].push(value));
    while (times.length && times[0] < row[0] - KEPT_SECONDS) curve.forEach((values) => values.shift());
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function options(place, seconds, series) {
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const time = { values: (_, ticks) => ticks.map((tick) => (seconds ? tick + " s" : clock.format(tick * 1000))), space: 70 };
    return {
      width: Math.max(200, place.clientWidth),
      height: place.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: !seconds }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
      axes: [{ ...axis, ...time }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => number.format(tick)) }],
      series: [{}, ...series],
    };
  }

  function draw() {
    const place = byId("live-curve");
    if (!place || !window.uPlot) return;
    if (plot && plot.root.parentNode === place) return void plot.setData(curve);
    plot = new uPlot(options(place, false, [
      { stroke: colour("--link"), width: 2, points: { show: false } },
      { stroke: colour("--bad"), width: 2, dash: [6, 4], points: { show: false } },
    ]), curve, place);
  }

  async function drawJob() {
    const place = byId("job-curve");
    if (!place || !window.uPlot) return;
    const table = byId("job-curve-table");
    try {
      const answer = await fetch(place.dataset.rates);
      if (!answer.ok) throw new Error("the page's server says " + answer.status);
      const told = await answer.json();
      const paths = uPlot.paths.stepped({ align: 1 });
      const series = [{ stroke: colour("--link"), fill: colour("--line"), width: 2, paths, points: { show: false } }];
      place.replaceChildren(...(told.seconds.length ? [] : [said("No chunk has been executed.")]));
      if (told.seconds.length) new uPlot(options(place, true, series), [told.seconds, told.chunks], place);
      table.replaceChildren(rows(told));
    } catch (error) {
      table.replaceChildren(said("The figures can't be shown: " + error.message));
    }
  }

  function rows(told) {
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const name of ["From second", "Chunks a second"]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      head.append(cell);
    }
    const body = table.createTBody();
    told.seconds.forEach((at, place) => {
      const row = body.insertRow();
      row.insertCell().textContent = number.format(at);
      row.insertCell().textContent = number.format(told.chunks[place]);
    });
    return table;
  }

  function said(text) {
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = text;
    return note;
  }

  // What couldn't be loaded says so; what was there before stays, and is said to be old

  function failed(event) {
    const place = event.target;
    if (!place.classList.contains("loading") || place.dataset.state === "shown") return;
    const status = event.detail.xhr && event.detail.xhr.status;
    const text = status === 400 ? event.detail.xhr.responseText : "";
    const why = text ? new DOMParser().parseFromString(text, "text/html").body.textContent.trim().replace(/\s*overview$/, "") : "";
    place.replaceChildren(said("There is no " + place.dataset.what.replace(/^the /, "") + ": " + (why || "the node or this page's server doesn't answer") + "."));
    place.dataset.state = "failed";
  }

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.classList.contains("loading")) event.target.dataset.state = "shown";
  });
  document.body.addEventListener("htmx:oobAfterSwap", (event) => {
    if (event.detail.target.id === "drawings") drawJob();
  });
  document.body.addEventListener("htmx:responseError", failed);
  document.body.addEventListener("htmx:sendError", failed);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (plot) plot.destroy();
    plot = null;
    draw();
    drawJob();
  });
  let resizing = 0;
  window.addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      const place = byId("live-curve");
      if (plot && place) plot.setSize({ width: Math.max(200, place.clientWidth), height: place.clientHeight });
      drawJob();
    }, 200);
  });
  setInterval(show, 1000);
  open();
  drawJob();
})();
