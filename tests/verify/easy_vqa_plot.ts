/**
 * Draws docs/pytorch_curves.svg: the losses of easy_vqa_run.ts on PyTorch's.
 *
 *     deno run -A tests/verify/easy_vqa_plot.ts EASY_VQA/train-00000-of-00001.parquet > docs/pytorch_curves.svg
 */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { largestDifference, trainOnEasyVqa } from "./easy_vqa_run.ts";

const GREY = "#7a7a7a";

const curves = await trainOnEasyVqa(Deno.args[0] ?? "");
const values = curves.pytorch.flatMap((loss, i) => [
  { step: i + 1, loss, curve: "PyTorch" },
  { step: i + 1, loss: curves.ours[i], curve: "WebGPU" },
]);
const difference = `largest difference ${(100 * largestDifference(curves)).toFixed(4)} %`;
const encoding = {
  x: { field: "step", type: "quantitative", title: "step" },
  y: { field: "loss", type: "quantitative", title: "loss" },
  color: {
    field: "curve",
    type: "nominal",
    scale: { domain: ["PyTorch", "WebGPU"], range: ["#c9a227", "#3078d0"] },
    title: difference,
  },
} as const;
const curve = (name: string, strokeWidth: number) => ({
  transform: [{ filter: `datum.curve == '${name}'` }],
  mark: { type: "line" as const, strokeWidth },
});
const spec: TopLevelSpec = {
  data: { values },
  width: 600,
  height: 240,
  background: "transparent",
  encoding,
  layer: [curve("PyTorch", 5), curve("WebGPU", 1.2)],
  config: {
    view: { stroke: null },
    axis: {
      labelColor: GREY,
      titleColor: GREY,
      gridOpacity: 0.3,
      domainColor: GREY,
      tickColor: GREY,
    },
    legend: { labelColor: GREY, titleColor: GREY, orient: "top-right", titleLimit: 400 },
  },
};
console.log(await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG());
