/**
 * The three products of every linear layer of a model, and its decoding shapes, recorded by linear(); and a large square.
 */
import { patchesPerSide, type VLMConfig } from "../../model/config.ts";
import { imageTokens } from "../../model/inputs.ts";
import { linear, type LinearOptions } from "../../shaders/linear.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import {
  type Activation,
  bufferOf,
  elementBytes,
  persistent,
  type Tensor,
} from "../../shaders/runtime/tensor.ts";
import type { KernelCase, PreparedCase, Work } from "./kernels.ts";
import {
  checkProducts,
  DWEIGHT,
  DX,
  FORWARD,
  type Layer,
  outputOf,
  type Shape,
} from "./linear_layer.ts";
import { type NaiveProduct, naiveProduct } from "./naive_product.ts";
import type { Peaks } from "./peaks.ts";
import { alias } from "./timing.ts";
import { randomOf, type RandomOptions, randomTensor } from "./values.ts";

/** Rows of a chunk of the head in shaders/linear_cross_entropy.ts, at SmolLM2's vocabulary. */
const HEAD_ROWS = 128;

/** All linear layers of `config`, by batch size. */
export function linearCases(
  preset: string,
  config: VLMConfig,
  { batches, dtype }: { batches: readonly number[]; dtype: Activation },
): KernelCase[] {
  const heads: Shape = {
    name: "head chunk",
    rows: Math.min(HEAD_ROWS, config.lm_max_length * Math.max(...batches)),
    columns: config.lm_vocab_size,
    depth: config.lm_hidden_dim,
    wide: true,
  };
  const named = (name: string, shape: Shape) =>
    linearCase(`${preset} ${name}`, { ...shape, dtype });
  const training = batches.flatMap((batch) =>
    layersOf(config, batch).map((shape) => named(`${shape.name}, batch ${batch}`, shape))
  );
  const decoding = [...textLayers(config, 1), { ...heads, name: "head", rows: 1 }];
  return [
    ...training,
    named(heads.name, heads),
    ...decoding.map((shape) => named(`decoding ${shape.name}`, { ...shape, decoding: true })),
  ];
}

/** A square product, as large as the device multiplies within about a second. */
export function squareCase(peaks: Peaks, dtype: Activation): KernelCase {
  const seconds = (n: number) => 2 * n ** 3 / (peaks.f32.rate * 1e9 / 4);
  const n = [4096, 2048].find((n) => seconds(n) < 1) ?? 1024;
  return linearCase("square", { name: "square", rows: n, columns: n, depth: n, dtype });
}

function layersOf(config: VLMConfig, batch: number): Shape[] {
  const { vit_hidden_dim: C, vit_inter_dim: I, vit_patch_size, mp_pixel_shuffle_factor } = config;
  const rows = batch * patchesPerSide(config) ** 2;
  const images = imageTokens(config);
  return [
    {
      name: "vision patches",
      rows,
      columns: C,
      depth: 3 * vit_patch_size ** 2,
      bias: true,
      wide: true,
    },
    { name: "vision qkv", rows, columns: 3 * C, depth: C, bias: true },
    { name: "vision out", rows, columns: C, depth: C, bias: true, residual: true, wide: true },
    { name: "vision fc1", rows, columns: I, depth: C, bias: true, gelu: true },
    { name: "vision fc2", rows, columns: C, depth: I, bias: true, residual: true, wide: true },
    {
      name: "projector",
      rows: batch * images,
      columns: config.lm_hidden_dim,
      depth: C * mp_pixel_shuffle_factor ** 2,
      wide: true,
    },
    ...textLayers(config, batch * (images + config.lm_max_length)),
  ];
}

function textLayers(config: VLMConfig, rows: number): Shape[] {
  const { lm_hidden_dim: C, lm_inter_dim: I, lm_n_heads, lm_n_kv_heads } = config;
  const qkv = C / lm_n_heads * (lm_n_heads + 2 * lm_n_kv_heads);
  return [
    { name: "text qkv", rows, columns: qkv, depth: C },
    { name: "text out", rows, columns: C, depth: C, residual: true, wide: true },
    { name: "text gate_up", rows, columns: 2 * I, depth: C },
    { name: "text down", rows, columns: C, depth: I, residual: true, wide: true },
  ];
}

function linearCase(name: string, layer: Layer): KernelCase {
  const { dtype } = layer;
  return { name, section: "linear", dtype, prepare: (device) => prepare(device, layer) };
}

/** The tensors of a case. */
interface Operands {
  readonly x: Tensor;
  readonly weight: Tensor;
  /** The weight in f16. */
  readonly half: Tensor | undefined;
  readonly dweight: Tensor;
  readonly dy: Tensor;
  readonly bias: Tensor | undefined;
  readonly dbias: Tensor | undefined;
  readonly residual: Tensor | undefined;
}

async function prepare(device: Device, layer: Layer): Promise<PreparedCase> {
  const { rows, columns, depth, dtype, decoding = false } = layer;
  const scaled = { deviation: 1 / Math.sqrt(depth), dtype };
  const output = outputOf(layer);
  // The naive product reads f32, holding the same numbers.
  const exact = (shape: readonly number[], options: RandomOptions) =>
    persistent(device, "naive operand", shape, "f32", randomOf(shape, options));
  const naive = {
    x: exact([rows, depth], { dtype }),
    weight: exact([columns, depth], scaled),
    dy: exact([rows, columns], { dtype: output }),
  };
  const operands: Operands = {
    x: randomTensor(device, [rows, depth], { dtype }),
    weight: naive.weight,
    half: dtype === "f16" ? randomTensor(device, [columns, depth], scaled) : undefined,
    dweight: persistent(device, "dweight", [columns, depth]),
    dy: randomTensor(device, [rows, columns], { dtype: output }),
    bias: layer.bias ? randomTensor(device, [columns]) : undefined,
    dbias: layer.bias ? persistent(device, "dbias", [columns]) : undefined,
    residual: layer.residual ? randomTensor(device, [rows, columns]) : undefined,
  };
  const products = await naiveProducts(device, layer, naive);
  for (const tensor of [naive.x, naive.dy]) bufferOf(tensor).destroy();
  return {
    subject: {
      build: (rec, mark) => record(rec, mark, { layer, operands }),
      check: (outputs) => checkProducts(outputs, layer, products),
    },
    parts: Object.fromEntries(
      (decoding ? [FORWARD] : [FORWARD, DX, DWEIGHT]).map((part) => [part, workOf(layer, part)]),
    ),
    naive: new Map([...products].map(([part, { time }]) => [part, time])),
    tensors: Object.values(operands).filter((tensor) => tensor !== undefined),
  };
}

function workOf(layer: Layer, part: string): Work {
  const { rows, columns, depth, dtype } = layer;
  const shapes: Record<string, number[]> = {
    [FORWARD]: [rows, columns, depth],
    [DX]: [rows, depth, columns],
    [DWEIGHT]: [columns, depth, rows],
  };
  const weight = part === DWEIGHT ? "f32" : dtype;
  return {
    shape: (shapes[part] ?? []).join(" x "),
    flops: 2 * rows * columns * depth,
    bytes: elementBytes(dtype) * rows * depth + elementBytes(weight) * columns * depth +
      elementBytes(outputOf(layer)) * rows * columns,
  };
}

/**
 * Forward and dx by a layer whose weight needs no gradient, dW by one whose input needs none. Behind GELU the backward
 * products would see other numbers than dy, so they are recorded without it.
 */
function record(
  rec: Recorder,
  mark: (part: string | undefined) => void,
  { layer, operands }: { layer: Layer; operands: Operands },
): Tensor[] {
  const { x, weight, half, dweight, dy, bias, dbias, residual } = operands;
  const { gelu = false, decoding = false } = layer;
  const options = (training: boolean): LinearOptions => ({
    weight: { value: weight, gradient: training ? dweight : undefined, half },
    ...(bias ? { bias: { value: bias, gradient: training ? dbias : undefined } } : {}),
    ...(residual ? { residual } : {}),
    output: outputOf(layer),
  });
  const input = alias(x, { gradient: true });
  mark(FORWARD);
  const y = linear(rec, decoding || gelu ? alias(x) : input, { ...options(false), gelu });
  if (decoding) return [y];
  mark(undefined);
  const plain = gelu ? linear(rec, input, options(false)) : y;
  mark(DX);
  rec.backprop(plain, dy);
  mark(undefined);
  const again = linear(rec, alias(x), options(true));
  mark(DWEIGHT);
  rec.backprop(again, dy);
  const dx = rec.gradientOf(input);
  if (!dx) throw new TypeError(`Cannot bench ${layer.name}: it gave no dx`);
  return [y, dx, dweight];
}

/** Some rows of each product. */
async function naiveProducts(
  device: Device,
  { rows, columns, depth, decoding }: Layer,
  { x, weight, dy }: Pick<Operands, "x" | "weight" | "dy">,
): Promise<Map<string, NaiveProduct>> {
  const products = new Map<string, NaiveProduct>();
  products.set(
    FORWARD,
    await naiveProduct(device, {
      lhs: { tensor: x, step: depth, depth: 1 },
      rhs: { tensor: weight, step: depth, depth: 1 },
      rows,
      columns,
      depth,
    }),
  );
  if (decoding) return products;
  products.set(
    DX,
    await naiveProduct(device, {
      lhs: { tensor: dy, step: columns, depth: 1 },
      rhs: { tensor: weight, step: 1, depth },
      rows,
      columns: depth,
      depth: columns,
    }),
  );
  products.set(
    DWEIGHT,
    await naiveProduct(device, {
      lhs: { tensor: dy, step: 1, depth: columns },
      rhs: { tensor: x, step: 1, depth },
      rows: columns,
      columns: depth,
      depth: rows,
    }),
  );
  return products;
}
