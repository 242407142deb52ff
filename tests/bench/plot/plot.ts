/**
 * The plot of docs/: time of a training step by batch size, as an SVG without a background. Its colours have a contrast of
 * at least 4.2 on white and on a dark page, so one file serves both.
 *
 * A program of its own, which bench.ts runs: Vega-Lite stands in this folder's deno.json and lock file, so that nobody else
 * needs to install it. Reads {title, points} as JSON, writes the SVG.
 */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

/** A training step. */
interface Point {
  readonly preset: string;
  readonly batch: number;
  readonly seconds: number;
}

const GREY = "#7a7a7a";
const COLOURS = ["#3078d0", "#c05a10", "#0e8a3e"];

const { title, points } = await new Response(Deno.stdin.readable).json();
const view = new View(parse(compile(specOf(points, title)).spec), { renderer: "none" });
console.log(await view.toSVG());

function specOf(values: readonly Point[], title: string): TopLevelSpec {
  const presets = [...new Set(values.map(({ preset }) => preset))];
  const batches = [...new Set(values.map(({ batch }) => batch))].sort((a, b) => a - b);
  const ends = presets.flatMap((preset) =>
    values.findLast((value) => value.preset === preset) ?? []
  );
  const x = {
    field: "batch",
    type: "quantitative" as const,
    scale: {
      type: "log" as const,
      base: 2,
      domain: [batches[0] ?? 1, (batches.at(-1) ?? 1) * 1.6],
      nice: false,
    },
    axis: { values: batches, title: "rows a batch", format: "d" },
  };
  const exponents = values.map(({ seconds }) => Math.log10(seconds));
  const lowest = Math.floor(Math.min(...exponents));
  const decades = Array.from(
    { length: Math.ceil(Math.max(...exponents)) - lowest + 1 },
    (_, i) => 10 ** (lowest + i),
  );
  const y = {
    field: "seconds",
    type: "quantitative" as const,
    scale: { type: "log" as const, domain: [decades[0] ?? 1, decades.at(-1) ?? 1], nice: false },
    axis: { values: decades, title: "seconds a step", format: "~g" },
  };
  const color = {
    field: "preset",
    type: "nominal",
    scale: { domain: presets, range: COLOURS.slice(0, presets.length) },
    legend: null,
  } as const;
  return {
    width: 560,
    height: 320,
    background: "transparent",
    title: {
      text: title,
      anchor: "start",
      color: GREY,
      fontSize: 14,
      fontWeight: "normal",
      offset: 12,
    },
    data: { values: [...values] },
    layer: [
      {
        mark: { type: "line", strokeWidth: 2, point: { size: 50, filled: true } },
        encoding: { x, y, color },
      },
      {
        data: { values: ends },
        mark: { type: "text", align: "left", dx: 10, fontSize: 14, fontWeight: "bold" },
        encoding: { x, y, color, text: { field: "preset" } },
      },
    ],
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: {
        labelColor: GREY,
        titleColor: GREY,
        labelFontSize: 13,
        titleFontSize: 13,
        titleFontWeight: "normal",
        titlePadding: 8,
        gridColor: GREY,
        gridOpacity: 0.3,
        domainColor: GREY,
        tickColor: GREY,
      },
    },
  };
}
