// Results over time: what a part of the page says in its data-chart, drawn by uPlot.
"use strict";
(() => {
  const LEGEND_PX = 34;
  const NARROW_PX = 420; // where the legend takes two lines
  const STEPS_S = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
    172800, 604800, 1209600, 2419200,
  ];
  const drawn = new Map(); // element -> its chart

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  const short = new Intl.NumberFormat("en-US", { notation: "compact" });
  const full = new Intl.NumberFormat("en-US");

  function options(place) {
    const axis = {
      stroke: colour("--soft"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
    };
    const widthS = Number(place.dataset.widthS);
    return {
      ...size(place),
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "UTC"),
      cursor: { drag: { x: false, y: false } },
      scales: {
        x: { range: (_, from, to) => [from - widthS, to + widthS] },
        y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] },
      },
      axes: [
        { ...axis, values: timesOf, incrs: STEPS_S },
        { ...axis, size: 48, values: (_, ticks) => ticks.map((one) => short.format(one)) },
      ],
      series: [
        { label: "From (UTC)", value: (_, time) => (time === null ? "–" : moment(time)) },
        {
          label: "Results",
          value: count,
          stroke: colour("--accent"),
          fill: colour("--accent"),
          paths: uPlot.paths.bars({ size: [0.8, 60] }),
          points: { show: false },
        },
        { label: "Callbacks", value: count, stroke: colour("--warn"), width: 1.5, points: { show: false } },
      ],
    };
  }

  function count(_, value) {
    return value === null || value === undefined ? "–" : full.format(value);
  }

  function moment(time) {
    return new Date(time * 1000).toISOString().slice(0, 19).replace("T", " ");
  }

  function timesOf(_, ticks, __, ___, step) {
    const [from, to] = step < 60 ? [11, 19] : step < 86400 ? [11, 16] : [5, 10];
    return ticks.map((time) => new Date(time * 1000).toISOString().slice(from, to));
  }

  function size(place) {
    const lines = place.clientWidth < NARROW_PX ? 2 : 1;
    return { width: place.clientWidth, height: place.clientHeight - lines * LEGEND_PX };
  }

  function draw(place) {
    drawn.get(place)?.destroy();
    drawn.set(place, new uPlot(options(place), JSON.parse(place.dataset.chart), place));
    resized.observe(place);
  }

  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) drawn.get(target)?.setSize(size(target));
  });

  function drawAll() {
    for (const [place, chart] of drawn) {
      if (place.isConnected) continue;
      chart.destroy();
      resized.unobserve(place);
      drawn.delete(place);
    }
    document.querySelectorAll("[data-chart]").forEach(draw);
  }

  document.addEventListener("htmx:afterSwap", drawAll);
  document.addEventListener("theme", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
