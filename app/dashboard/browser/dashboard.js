// What pages do by themselves: follow runs live, keep times current, ask before what cannot be
// undone. Everything else is htmx and plain HTML.
"use strict";
(() => {
  const format = new Intl.NumberFormat("en-US");
  const AGO_MS = 15000;
  const POLL_MS = 2000;
  const POLL_MS_MAX = 3000; // with more pages open than this allows, as seldom as they are told

  // ------------------------------------------------------------------- theme

  function isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function switchTheme() {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
    document.dispatchEvent(new CustomEvent("theme"));
  }

  // ------------------------------------------------------------------- times

  function duration(seconds) {
    const units = [["d", 86400], ["h", 3600], ["min", 60]];
    const parts = [];
    let left = Math.max(Math.floor(seconds), 0);
    for (const [unit, size] of units) {
      if (left >= size) {
        parts.push(`${Math.floor(left / size)} ${unit}`);
        left %= size;
      } else if (parts.length) break;
    }
    return parts.length ? parts.slice(0, 2).join(" ") : `${left} s`;
  }

  function sayAgo(time) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const said = seconds >= 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
    if (time.textContent !== said) time.textContent = said;
  }

  function sayAllAgo() {
    document.querySelectorAll("time[data-ago]").forEach(sayAgo);
  }

  // ------------------------------------------------------------- runs, live

  const seen = new Map(); // run uid -> the results at a time, for the rate

  function put(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function setChip(chip, state) {
    if (!chip || chip.dataset.state === state) return;
    chip.dataset.state = state;
    chip.textContent = state.replaceAll("_", " ").toLowerCase();
  }

  function setBar(bar, counts) {
    const whole = counts.inputs || 1;
    const ok = (100 * counts.inputs_succeeded) / whole;
    const bad = (100 * counts.inputs_failed) / whole;
    const [good, failed] = bar.querySelectorAll("rect");
    good.setAttribute("width", ok.toFixed(3));
    failed.setAttribute("x", ok.toFixed(3));
    failed.setAttribute("width", bad.toFixed(3));
    bar.setAttribute(
      "aria-label",
      `${format.format(counts.inputs_succeeded)} succeeded, ` +
        `${format.format(counts.inputs_failed)} failed, ` +
        `${format.format(counts.inputs_pending)} pending of ${format.format(counts.inputs)} inputs`,
    );
  }

  function rateOf(run) {
    const now = performance.now();
    const before = seen.get(run.run_uid);
    seen.set(run.run_uid, { at: now, results: run.counts.results });
    if (!before || now - before.at < 200) return null;
    return Math.max(0, (run.counts.results - before.results) / ((now - before.at) / 1000));
  }

  function valueAt(run, path) {
    return path.split(".").reduce((value, name) => (value ? value[name] : undefined), run);
  }

  function showRun(place, run, rate) {
    for (const element of place.querySelectorAll("[data-value]")) {
      const value = valueAt(run, element.dataset.value);
      if (typeof value === "number") put(element, format.format(value));
      if (typeof value === "string" && value) put(element, value);
    }
    for (const element of place.querySelectorAll("[data-known]")) {
      element.hidden = (valueAt(run, element.dataset.known) ?? null) === null;
    }
    setChip(place.querySelector("[data-chip=status]"), run.status);
    setChip(place.querySelector("[data-chip=completeness]"), run.completeness);
    place.querySelectorAll("[data-bar]").forEach((bar) => setBar(bar, run.counts));
    // What Edges last said it has is of no interest once there is more.
    const expected = place.querySelector("[data-expected]");
    if (expected) expected.hidden = (run.counts.expected_results ?? 0) < run.counts.results;
    place.querySelectorAll(".failed").forEach((part) => (part.hidden = !run.counts.inputs_failed));
    const last = place.querySelector("[data-last] time");
    if (last) {
      last.dateTime = new Date().toISOString();
      sayAgo(last);
    }
    const cell = place.querySelector("[data-rate]");
    if (cell && rate !== null) put(cell, format.format(rate < 10 ? +rate.toFixed(1) : Math.round(rate)));
  }

  // Elements with hx-trigger="live" are asked for anew, each at most once in a while: the
  // collector says in which, and the longer the more pages are open.
  const due = new Map();

  // What stays when an element is replaced by the answer that it asked for.
  function placeOf(element) {
    const target = element.getAttribute("hx-target");
    return (target && document.querySelector(target)) || element;
  }

  function refresh(element, waitMin = 0) {
    const place = placeOf(element);
    if (due.has(place)) return;
    const wait = Math.max(waitMin, Number(document.body.dataset.refreshMs));
    const since = performance.now() - (Number(place.dataset.refreshed) || 0);
    const later = setTimeout(() => {
      due.delete(place);
      if (!place.isConnected || document.hidden) return;
      place.dataset.refreshed = performance.now();
      const asking = element.isConnected ? element : place.querySelector('[hx-trigger^="live"]');
      if (asking) htmx.trigger(asking, "live");
    }, Math.max(0, wait - since) + Math.random() * wait * 0.1);
    due.set(place, later);
  }

  function onProgress(run) {
    const places = document.querySelectorAll(`[data-run="${CSS.escape(run.run_uid)}"]`);
    const rate = rateOf(run);
    places.forEach((place) => showRun(place, run, rate));
    if (!places.length) onStarted();
    refreshRun(run.run_uid, run);
  }

  // What is said of a run changes with these; figures are kept current in place.
  function stateOf(run) {
    const results = run.completeness === "open" ? "" : run.counts.results;
    return `${run.status} ${run.completeness} ${results}`;
  }

  function onStarted() {
    document.querySelectorAll("[data-live-list]").forEach((list) => refresh(list));
  }

  function refreshRun(uid, run = null) {
    const parts = document.querySelectorAll(`[data-live-run="${CSS.escape(uid)}"]`);
    for (const part of parts) {
      if (run && part.dataset.liveState !== undefined) {
        if (part.dataset.liveState === stateOf(run)) continue;
        part.dataset.liveState = stateOf(run);
      }
      refresh(part, Number(part.dataset.every) || 0);
    }
  }

  let stream = null;

  function say(text) {
    const banner = document.querySelector("[data-banner]");
    if (!banner) return;
    banner.textContent = text;
    banner.hidden = !text;
  }

  // <main data-live="types" data-live-of="run uid">: what a page follows.
  function follow() {
    const page = document.querySelector("[data-live]");
    if (stream) stream.close();
    stream = null;
    if (!page) return;
    const types = page.dataset.live;
    const query = new URLSearchParams({ types });
    if (page.dataset.liveOf) query.set("run_uid", page.dataset.liveOf);
    stream = new EventSource(`/api/v1/events?${query}`);
    stream.onopen = () => {
      say("");
      // What happened since the page was made, and before the stream was open.
      document.querySelectorAll("[data-live-any]").forEach((part) => refresh(part));
    };
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) {
        say("Live updates ended: your session is over, or the collector stopped. Reload the page.");
      } else {
        say("The connection to the collector was lost; trying again. Figures may be old.");
      }
    };
    for (const type of types.split(",")) {
      stream.addEventListener(type, (message) => {
        const told = JSON.parse(message.data);
        if (type === "run.progress") onProgress(told);
        else if (type === "run.started") onStarted();
        else if (told.subject) refreshRun(told.subject);
        document.querySelectorAll("[data-live-any]").forEach((part) => refresh(part));
      });
    }
  }

  // --------------------------------------------------------- small comforts

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.matches("[data-theme-switch]")) switchTheme();
    const opens = button.dataset.opens;
    if (opens) document.getElementById(opens).showModal();
    if (button.matches("[data-closes]")) button.closest("dialog").close();
    const copied = button.dataset.copies;
    if (copied) {
      const text = document.getElementById(copied);
      const select = () => getSelection().selectAllChildren(text);
      if (!navigator.clipboard) return select(); // only there by TLS, or on this machine
      navigator.clipboard
        .writeText(text.textContent.trim())
        .then(() => (button.textContent = "Copied"), select);
    }
  });

  document.querySelectorAll("dialog[data-opened]").forEach((dialog) => dialog.showModal());

  // What was opened, or closed, stays so in a part that is asked for anew.
  let unfolded = new Map();
  document.addEventListener("htmx:beforeSwap", (event) => {
    const parts = event.detail.target.querySelectorAll("details[id]");
    unfolded = new Map([...parts].map((part) => [part.id, part.open]));
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, isOpen] of unfolded) {
      const part = document.getElementById(id);
      if (part) part.open = isOpen;
    }
    unfolded.clear();
  });

  // Filters that are not set stay out of the address.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") return;
    for (const [name, value] of Object.entries(event.detail.parameters)) {
      if (value === "") delete event.detail.parameters[name];
    }
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const after = event.detail.xhr.getResponseHeader("X-Refresh-After");
    if (after) document.body.dataset.refreshMs = after;
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (!event.detail.xhr.responseText) say(`The collector answered ${event.detail.xhr.status}.`);
  });
  document.addEventListener("htmx:sendError", () => say("The collector cannot be reached."));
  document.addEventListener("htmx:afterSwap", sayAllAgo);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    sayAllAgo();
    document.querySelectorAll("[data-live-list],[data-live-run]").forEach((part) => refresh(part));
  });
  addEventListener("pagehide", () => stream && stream.close());
  addEventListener("pageshow", (event) => event.persisted && follow());

  // A page that answers a form, and is not to be sent again by a reload: what it shows is shown once.
  const once = document.querySelector("[data-address]");
  if (once) {
    history.replaceState(null, "", once.dataset.address);
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  // What no event tells of is asked for anew, as long as somebody looks.
  let polledAt = 0;
  setInterval(() => {
    const wait = Number(document.body.dataset.refreshMs);
    const isTime = performance.now() - polledAt >= (wait > POLL_MS_MAX ? wait : 0);
    if (document.hidden || !isTime) return;
    polledAt = performance.now();
    document.querySelectorAll("[data-polled]").forEach((part) => htmx.trigger(part, "live"));
  }, POLL_MS);

  setInterval(sayAllAgo, AGO_MS);
  follow();
})();
