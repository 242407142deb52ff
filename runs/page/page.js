// Draws report.html's curves with uPlot, from the numbers that series.ts left in the page. Runs in the browser, under page.ts.
// Ours.
"use strict";
/* global uPlot, document, matchMedia, getComputedStyle, ResizeObserver */

(() => {
  const COLOURS = 6;
  const HEIGHT = 230;
  const runs = JSON.parse(document.getElementById("series").textContent);
  const isSingle = runs.length === 1;
  const hiddenRuns = new Set();
  const logarithmic = new Set();
  let smoothing = 0.6; // as TensorBoard begins
  let plots = [];

  const percent = (value) => `${+(100 * value).toFixed(1)} %`;
  const plain = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e6 || size < 1e-3) return value.toExponential(1).replace("e+", "e");
    if (size >= 1e4) return `${+(value / 1e3).toFixed(1)}k`;
    return String(+value.toPrecision(4));
  };
  const rate = (value) => value === 0 ? "0" : value.toExponential(1).replace("e+", "e");

  /** One chart for one run; training and held-out loss apart for several, whose lines are many. */
  function lossCharts() {
    const training = { label: "training", from: "steps", key: "loss", isSmooth: true };
    const heldOut = { label: "held out", from: "evaluations", key: "loss" };
    if (isSingle) return [{ title: "Loss", canBeLog: true, curves: [training, heldOut] }];
    return [
      { title: "Loss while training", canBeLog: true, curves: [training] },
      { title: "Loss on held-out questions", canBeLog: true, curves: [heldOut] },
    ];
  }

  /** From 0 on, so that a speed that hardly changes looks like that. */
  const FROM_ZERO = { min: { pad: 0, hard: 0, soft: 0, mode: 1 }, max: { pad: 0.1 } };

  const kinds = Object.keys(runs[0].kinds);
  const datasets = [...new Set(runs.flatMap((run) => Object.keys(run.datasets)))];
  const CHARTS = [
    ...lossCharts(),
    {
      title: "Accuracy on held-out questions",
      format: percent,
      range: [0, 1],
      curves: [
        { label: "accuracy", from: "evaluations", key: "accuracy" },
        ...(isSingle && runs[0].evaluations.baseline.some((value) => value !== null)
          ? [{ label: "baseline", from: "evaluations", key: "baseline" }]
          : []),
      ],
    },
    ...(isSingle && kinds.length > 1 && kinds.length <= COLOURS
      ? [{
        title: "Accuracy by kind of question",
        format: percent,
        range: [0, 1],
        curves: kinds.map((kind) => ({ label: kind, from: "kinds", key: kind })),
      }]
      : []),
    // A line is a dataset of one run, or one dataset's of all runs.
    ...(isSingle ? [datasets] : datasets.map((name) => [name])).map((names) => ({
      title: isSingle ? "Accuracy on other datasets" : `Accuracy on ${names[0]}`,
      format: percent,
      range: [0, 1],
      curves: names.map((name) => ({ label: name, from: "datasets", key: name })),
    })),
    {
      title: "Learning rates",
      format: rate,
      curves: [
        { label: "projector", from: "steps", key: "lr_mp" },
        { label: "backbones", from: "steps", key: "lr_backbones" },
      ],
    },
    {
      title: "Norm of the gradient",
      canBeLog: true,
      curves: [{ label: "norm", from: "steps", key: "gradient_norm", isSmooth: true }],
    },
    {
      title: "Loss scale",
      range: FROM_ZERO,
      curves: [{ label: "scale", from: "steps", key: "loss_scale" }],
    },
    {
      title: "Questions per second",
      range: FROM_ZERO,
      curves: [{ label: "questions/s", from: "steps", key: "samples_per_second", isSmooth: true }],
    },
    {
      title: "Tokens per second",
      range: FROM_ZERO,
      curves: [{ label: "tokens/s", from: "steps", key: "tokens_per_second", isSmooth: true }],
    },
    {
      title: "Time spent waiting for data",
      range: FROM_ZERO,
      format: percent,
      curves: [{ label: "waiting", from: "steps", key: "data_wait", isSmooth: true }],
    },
  ];

  /** An exponential moving mean that does not lean on its first value, as TensorBoard's. */
  function smoothed(values) {
    let [sum, weight] = [0, 0];
    return values.map((value) => {
      if (value === null) return null;
      sum = smoothing * sum + (1 - smoothing) * value;
      weight = smoothing * weight + 1 - smoothing;
      return sum / weight;
    });
  }

  const cssColour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  /** All lines of a chart, each with its own steps. */
  function linesOf({ curves }) {
    return runs.flatMap((run, r) =>
      hiddenRuns.has(r) ? [] : curves.flatMap((curve, c) => {
        const x = run[curve.from === "steps" ? "steps" : "evaluations"].step;
        const y = run[curve.from][curve.key] ?? [];
        if (!y.some((value) => value !== null)) return [];
        const colour = cssColour(`series-${(isSingle ? c : r) % COLOURS}`);
        const label = isSingle
          ? curve.label
          : curves.length > 1
          ? `${run.name} ${curve.label}`
          : run.name;
        const isDashed = c > 0 && (!isSingle || curve.from === "steps");
        const line = { x, y, label, colour, isDashed, hasPoints: curve.from !== "steps" };
        if (!curve.isSmooth || smoothing === 0 || x.length < 3) return [line];
        return [{ ...line, isRaw: true }, { ...line, y: smoothed(y) }];
      })
    );
  }

  /** The place of the value nearest to `place`. */
  function nearest(values, place) {
    for (let away = 0; away < values.length; away++) {
      for (const i of [place - away, place + away]) if (values[i] != null) return i;
    }
    return place;
  }

  const lastPlaces = (plot) =>
    plot.data.map((values, i) => i === 0 ? values.length - 1 : nearest(values, values.length - 1));

  /** A finger moved sideways reads values, as a mouse does. */
  function followTouch(plot) {
    plot.over.addEventListener("touchmove", ({ touches: [touch] }) => {
      const { left, top } = plot.over.getBoundingClientRect();
      plot.setCursor({ left: touch.clientX - left, top: touch.clientY - top }, true, true);
    }, { passive: true });
    plot.over.addEventListener("mouseleave", () => plot.setLegend({ idxs: lastPlaces(plot) }));
  }

  function optionsOf(chart, lines, width) {
    const { format = plain, range } = chart;
    const isLog = logarithmic.has(chart.title);
    const [text, grid] = [cssColour("faint"), cssColour("line")];
    const axis = {
      stroke: text,
      font: "12px system-ui, sans-serif",
      grid: { stroke: grid, width: 1 },
      ticks: { stroke: grid, width: 1, size: 4 },
    };
    const labels = (_, values) => values.map((value) => value === null ? null : format(value));
    return {
      width,
      height: HEIGHT,
      padding: [10, 20, 0, 0], // the last step is labelled under the right edge
      cursor: {
        sync: { key: "step" },
        y: false,
        points: { size: (plot, series) => plot.series[series].class === "raw" ? 0 : 7 },
        dataIdx: (plot, series, place) => series === 0 ? place : nearest(plot.data[series], place),
      },
      legend: { markers: { width: 2 } },
      scales: {
        x: { time: false },
        y: isLog ? { distr: 3 } : range ? { range } : {},
      },
      axes: [
        {
          ...axis,
          size: 28,
          gap: 2,
          incrs: [1, 2, 5].flatMap((n) => Array.from({ length: 7 }, (_, e) => n * 10 ** e)).sort((
            a,
            b,
          ) => a - b),
          values: (_, steps) => steps.map((step) => step >= 1e4 ? `${step / 1e3}k` : String(step)),
        },
        {
          ...axis,
          values: labels,
          gap: 4,
          size: (_, values) =>
            14 + 7 * Math.max(...(values ?? [""]).map((v) => String(v ?? "").length)),
        },
      ],
      series: [
        { label: "step", value: (_, step) => step ?? "" },
        ...lines.map(({ label, colour, isRaw, isDashed, hasPoints }) => ({
          label,
          stroke: isRaw ? `${colour}40` : colour,
          width: isRaw ? 1 : 1.75,
          class: isRaw ? "raw" : "own",
          ...(isDashed ? { dash: [6, 4] } : {}),
          points: { show: hasPoints, size: 6, fill: colour },
          spanGaps: true,
          value: (_, value) => value == null ? "–" : format(value),
        })),
      ],
      hooks: { ready: [followTouch, (plot) => plot.setLegend({ idxs: lastPlaces(plot) })] },
    };
  }

  function element(name, attributes = {}, ...children) {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...children);
    return made;
  }

  function logButton(chart) {
    const isOn = logarithmic.has(chart.title);
    const button = element("button", {
      type: "button",
      textContent: "log",
      title: "logarithmic axis",
    });
    button.setAttribute("aria-pressed", isOn);
    button.onclick = () => {
      if (!logarithmic.delete(chart.title)) logarithmic.add(chart.title);
      draw();
    };
    return button;
  }

  const observer = new ResizeObserver((entries) => {
    for (const { target, contentRect: { width } } of entries) {
      const plot = plots.find(({ root }) => root.parentNode === target);
      if (plot && width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  });

  const allSteps = runs.flatMap(({ steps, evaluations }) => [...steps.step, ...evaluations.step]);
  const ends = [Math.min, Math.max].map((choose) =>
    allSteps.reduce((a, b) => choose(a, b), allSteps[0])
  );

  function draw() {
    observer.disconnect();
    for (const plot of plots) plot.destroy();
    plots = [];
    const room = document.getElementById("charts");
    room.replaceChildren();
    for (const chart of CHARTS) {
      const lines = linesOf(chart);
      if (lines.length === 0) continue;
      const head = element("header", {}, element("h3", { textContent: chart.title }));
      if (chart.canBeLog) head.append(logButton(chart));
      const frame = element("div");
      room.append(element("div", { className: "chart" }, head, frame));
      // All charts show the same steps: the ends are joined in, and their column is taken out again.
      const data = uPlot.join([...lines.map(({ x, y }) => [x, y]), [ends, [null, null]]]);
      data.pop();
      plots.push(new uPlot(optionsOf(chart, lines, frame.clientWidth), data, frame));
      observer.observe(frame);
    }
    if (plots.length === 0) {
      room.append(element("p", { className: "hint", textContent: "No step has been taken yet." }));
    }
  }

  function runButtons() {
    if (isSingle) return;
    runs.forEach(({ name }, r) => {
      const dot = element("span", { className: "dot" });
      dot.style.background = `var(--series-${r % COLOURS})`;
      const button = element("button", { type: "button" }, dot, name);
      button.setAttribute("aria-pressed", true);
      button.onclick = () => {
        if (!hiddenRuns.delete(r)) hiddenRuns.add(r);
        button.setAttribute("aria-pressed", !hiddenRuns.has(r));
        draw();
      };
      document.getElementById("runs").append(button);
    });
  }

  const slider = document.getElementById("smoothing");
  slider.oninput = () => {
    smoothing = Number(slider.value);
    document.getElementById("smoothed").textContent = smoothing.toFixed(2);
    draw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  for (const picture of document.querySelectorAll(".answer img")) {
    const mark = () => picture.classList.toggle("small", picture.naturalWidth < 96);
    if (picture.complete) mark();
    else picture.onload = mark;
  }
  const most = Math.max(...runs.map(({ stepsPerPoint }) => stepsPerPoint));
  if (most > 1) {
    document.getElementById("note").append(` Each point is the mean of up to ${most} steps.`);
  }
  runButtons();
  draw();
})();
