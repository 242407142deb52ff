/**
 * The curves of a run as a picture: loss above, accuracy below, over the steps. Its colours have a contrast of at least 4.2
 * on white and on a dark page, so one file without a background serves both.
 *
 * Between metrics.jsonl and the model card, or any other page. Source: Vega-Lite, which draws SVG without a browser; it is
 * only loaded when something is drawn.
 */
import type { TopLevelSpec } from "vega-lite";
import { numberOf } from "./metrics.ts";
import type { RunHistory } from "./run_history.ts";

/** Of axes and text. */
const GREY = "#7a7a7a";
const TRAINING = "#3078d0";
const VALIDATION = "#c05a10";
const ACCURACY = "#0e8a3e";
/** Pixels. */
const WIDTH = 600;
/** More points than this cannot be told apart; losses between are averaged. */
const MOST_POINTS = 300;

/** A point of a curve. */
interface Point {
  readonly step: number;
  readonly value: number;
  readonly curve: string;
}

/**
 * Draws losses and accuracies of a run.
 *
 * @returns an SVG without a background, about 660 pixels wide; undefined where no curve has two points
 */
export async function curvesSvg(
  { steps, evaluations }: Pick<RunHistory, "steps" | "evaluations">,
): Promise<string | undefined> {
  const training = steps.map((step) => [numberOf(step, "step"), numberOf(step, "loss")] as const);
  const losses = [
    ...averaged(pointsOf("training", training)),
    ...pointsOf("validation", evaluations.map(({ step, loss }) => [step, loss])),
  ];
  const accuracies = pointsOf(
    "accuracy",
    evaluations.map(({ step, accuracy }) => [step, accuracy]),
  );
  const last = [...losses, ...accuracies].reduce((most, { step }) => Math.max(most, step), 0);
  const panels = [
    ...(hasCurve(losses) ? [panel(losses, last, lossPanel(losses))] : []),
    ...(hasCurve(accuracies) ? [panel(accuracies, last, ACCURACY_PANEL)] : []),
  ];
  if (panels.length === 0) return undefined;
  const [{ compile }, { parse, View }] = await Promise.all([import("vega-lite"), import("vega")]);
  const view = new View(parse(compile(pageOf(panels)).spec), { renderer: "none" });
  return await view.toSVG();
}

function pointsOf(curve: string, values: readonly (readonly [number, number])[]): Point[] {
  return values.filter((pair) => pair.every(Number.isFinite))
    .map(([step, value]) => ({ step, value, curve }));
}

function hasCurve(points: readonly Point[]): boolean {
  return Object.values(Object.groupBy(points, ({ curve }) => curve))
    .some((curve) => (curve?.length ?? 0) > 1);
}

/** At most MOST_POINTS points, each the mean of as many neighbours. */
function averaged(points: readonly Point[]): Point[] {
  const width = Math.ceil(points.length / MOST_POINTS);
  const groups = Object.values(Object.groupBy(points, (_, i) => Math.floor(i / width)));
  return groups.flatMap((group = []) => {
    const mean = (of: (point: Point) => number) =>
      group.reduce((sum, point) => sum + of(point), 0) / group.length;
    return group.slice(0, 1).map(({ curve }) => ({
      step: mean(({ step }) => step),
      value: mean(({ value }) => value),
      curve,
    }));
  });
}

/** What sets a panel apart. */
interface Look {
  readonly height: number;
  readonly title: string;
  readonly format: string;
  readonly scale: Record<string, unknown>;
  readonly colours: Readonly<Record<string, string>>;
  /** Curves whose points are marked, for there are few. */
  readonly marked: readonly string[];
}

const ACCURACY_PANEL: Look = {
  height: 150,
  title: "accuracy",
  format: ".0%",
  scale: { domain: [0, 1] },
  colours: { accuracy: ACCURACY },
  marked: ["accuracy"],
};

/** Losses fall by factors, so their axis is logarithmic where none is 0. */
function lossPanel(losses: readonly Point[]): Look {
  const isPositive = losses.every(({ value }) => value > 0);
  return {
    height: 220,
    title: "loss",
    format: "~g",
    scale: isPositive ? { type: "log", nice: true } : { zero: true },
    colours: { training: TRAINING, validation: VALIDATION },
    marked: ["validation"],
  };
}

/** One pair of axes; `last` is the last step of the run. */
function panel(points: readonly Point[], last: number, look: Look) {
  const { height, title, format, scale, colours, marked } = look;
  const shown = Object.keys(colours).filter((name) => points.some(({ curve }) => curve === name));
  const range = shown.flatMap((name) => colours[name] ?? []);
  const legend = shown.length > 1 ? { orient: "top" as const, title: null } : null;
  const encoding = {
    x: {
      field: "step",
      type: "quantitative" as const,
      scale: { domain: [0, last], nice: false },
      axis: { title: "step", tickCount: 6, format: "~s" },
    },
    y: {
      field: "value",
      type: "quantitative" as const,
      scale,
      axis: { title, format, tickCount: 5 },
    },
    color: { field: "curve", type: "nominal" as const, scale: { domain: shown, range }, legend },
  };
  const isMarked = ({ curve }: Point) => marked.includes(curve);
  return {
    width: WIDTH,
    height,
    encoding,
    layer: [
      { data: { values: [...points] }, mark: { type: "line" as const, strokeWidth: 2 } },
      {
        data: { values: points.filter(isMarked) },
        mark: { type: "point" as const, filled: true, size: 45, opacity: 1 },
      },
    ],
  };
}

function pageOf(vconcat: ReturnType<typeof panel>[]): TopLevelSpec {
  return {
    background: "transparent",
    vconcat,
    resolve: { scale: { color: "independent" } },
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: null },
      legend: { labelColor: GREY, labelFontSize: 13, symbolType: "stroke", symbolStrokeWidth: 3 },
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
