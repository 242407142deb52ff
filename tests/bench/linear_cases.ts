/**
 * The three products of every linear layer of a model, and its decoding shapes, recorded by linear(); and a large square.
 */
import { patchesPerSide, type VLMConfig } from "../../model/config.ts";
import { imageTokens } from "../../model/inputs.ts";
import { linear, type LinearOptions } from "../../shaders/linear.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import { persistent, type Tensor } from "../../shaders/runtime/tensor.ts";
import { assertClose, matmulBound } from "../gradcheck.ts";
import { GELU_SLOPE_MAX, geluOf } from "../reference/gelu.ts";
import type { KernelCase, PreparedCase, Work } from "./kernels.ts";
import { type NaiveProduct, naiveProduct } from "./naive_product.ts";
import type { Peaks } from "./peaks.ts";
import { alias, randomOf } from "./timing.ts";

/** One layer: y (rows, columns) = x (rows, depth) · Wᵀ and what is fused to it. */
interface Layer {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly bias?: boolean;
  readonly gelu?: boolean;
  readonly residual?: boolean;
  /** Forward only. */
  readonly decoding?: boolean;
}

const FORWARD = "x·Wᵀ";
const DX = "dy·W";
const DWEIGHT = "dyᵀ·x";
/** Rows of a chunk of the head in shaders/linear_cross_entropy.ts, at SmolLM2's vocabulary. */
const HEAD_ROWS = 128;

/** All linear layers of `config`, by batch size. */
export function linearCases(
  preset: string,
  config: VLMConfig,
  batches: readonly number[],
): KernelCase[] {
  const heads: Layer = {
    name: "head chunk",
    rows: Math.min(HEAD_ROWS, config.lm_max_length * Math.max(...batches)),
    columns: config.lm_vocab_size,
    depth: config.lm_hidden_dim,
  };
  const training = batches.flatMap((batch) =>
    layersOf(config, batch).map((layer) =>
      linearCase(`${preset} ${layer.name}, batch ${batch}`, layer)
    )
  );
  const decoding = [...textLayers(config, 1), { ...heads, name: "head", rows: 1 }];
  return [
    ...training,
    linearCase(`${preset} ${heads.name}`, heads),
    ...decoding.map((layer) =>
      linearCase(`${preset} decoding ${layer.name}`, { ...layer, decoding: true })
    ),
  ];
}

/** A square product, as large as the device multiplies within about a second. */
export function squareCase(peaks: Peaks): KernelCase {
  const seconds = (n: number) => 2 * n ** 3 / (peaks.f32.rate * 1e9 / 4);
  const n = [4096, 2048].find((n) => seconds(n) < 1) ?? 1024;
  return linearCase("square", { name: "square", rows: n, columns: n, depth: n });
}

function layersOf(config: VLMConfig, batch: number): Layer[] {
  const { vit_hidden_dim: C, vit_inter_dim: I, vit_patch_size, mp_pixel_shuffle_factor } = config;
  const rows = batch * patchesPerSide(config) ** 2;
  const images = imageTokens(config);
  return [
    { name: "vision patches", rows, columns: C, depth: 3 * vit_patch_size ** 2, bias: true },
    { name: "vision qkv", rows, columns: 3 * C, depth: C, bias: true },
    { name: "vision out", rows, columns: C, depth: C, bias: true, residual: true },
    { name: "vision fc1", rows, columns: I, depth: C, bias: true, gelu: true },
    { name: "vision fc2", rows, columns: C, depth: I, bias: true, residual: true },
    {
      name: "projector",
      rows: batch * images,
      columns: config.lm_hidden_dim,
      depth: C * mp_pixel_shuffle_factor ** 2,
    },
    ...textLayers(config, batch * (images + config.lm_max_length)),
  ];
}

function textLayers(config: VLMConfig, rows: number): Layer[] {
  const { lm_hidden_dim: C, lm_inter_dim: I, lm_n_heads, lm_n_kv_heads } = config;
  const qkv = C / lm_n_heads * (lm_n_heads + 2 * lm_n_kv_heads);
  return [
    { name: "text qkv", rows, columns: qkv, depth: C },
    { name: "text out", rows, columns: C, depth: C, residual: true },
    { name: "text gate_up", rows, columns: 2 * I, depth: C },
    { name: "text down", rows, columns: C, depth: I, residual: true },
  ];
}

function linearCase(name: string, layer: Layer): KernelCase {
  return { name, section: "linear", prepare: (device) => prepare(device, layer) };
}

/** The tensors of a case. */
interface Operands {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly dweight: Tensor;
  readonly dy: Tensor;
  readonly bias: Tensor | undefined;
  readonly dbias: Tensor | undefined;
  readonly residual: Tensor | undefined;
}

async function prepare(device: Device, layer: Layer): Promise<PreparedCase> {
  const { rows, columns, depth, decoding = false } = layer;
  const made = (label: string, shape: readonly number[], deviation?: number) =>
    persistent(device, label, shape, "f32", randomOf(shape, deviation));
  const operands: Operands = {
    x: made("x", [rows, depth]),
    weight: made("weight", [columns, depth], 1 / Math.sqrt(depth)),
    dweight: persistent(device, "dweight", [columns, depth]),
    dy: made("dy", [rows, columns]),
    bias: layer.bias ? made("bias", [columns]) : undefined,
    dbias: layer.bias ? persistent(device, "dbias", [columns]) : undefined,
    residual: layer.residual ? made("residual", [rows, columns]) : undefined,
  };
  const products = await naiveProducts(device, layer, operands);
  const epilogue = {
    bias: operands.bias && randomOf([columns]),
    residual: operands.residual && randomOf([rows, columns]),
  };
  return {
    subject: {
      build: (rec, mark) => record(rec, mark, { layer, operands }),
      check: (outputs) => check(outputs, { layer, products, ...epilogue }),
    },
    parts: Object.fromEntries(
      (decoding ? [FORWARD] : [FORWARD, DX, DWEIGHT]).map((part) => [part, workOf(layer, part)]),
    ),
    naive: new Map([...products].map(([part, { time }]) => [part, time])),
    tensors: Object.values(operands).filter((tensor) => tensor !== undefined),
  };
}

function workOf({ rows, columns, depth }: Layer, part: string): Work {
  const shapes: Record<string, number[]> = {
    [FORWARD]: [rows, columns, depth],
    [DX]: [rows, depth, columns],
    [DWEIGHT]: [columns, depth, rows],
  };
  return {
    shape: (shapes[part] ?? []).join(" x "),
    flops: 2 * rows * columns * depth,
    bytes: 4 * (rows * depth + columns * depth + rows * columns),
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
  const { x, weight, dweight, dy, bias, dbias, residual } = operands;
  const { gelu = false, decoding = false } = layer;
  const options = (training: boolean): LinearOptions => ({
    weight: { value: weight, gradient: training ? dweight : undefined },
    ...(bias ? { bias: { value: bias, gradient: training ? dbias : undefined } } : {}),
    ...(residual ? { residual } : {}),
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
  { x, weight, dy }: Operands,
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

/**
 * Compares the rows that the naive kernels computed. Both are off the exact sum by at most the bound of rule 21 of the
 * style guide; an error before GELU is at most GELU_SLOPE_MAX times as large after it, whose own evaluation adds
 * 64 roundings at most for arguments below 4 (tests/shaders/gelu_test.ts) and is of the size of its argument.
 */
function check(
  outputs: readonly Float32Array[],
  { layer, products, bias, residual }: {
    layer: Layer;
    products: ReadonlyMap<string, NaiveProduct>;
    bias: Float32Array | undefined;
    residual: Float32Array | undefined;
  },
): void {
  [...products].forEach(([part, { rows, values, magnitudes }], index) => {
    const output = outputs[index] ?? new Float32Array();
    const isForward = part === FORWARD;
    const columns = values.length / rows.length;
    const depth = isForward ? layer.depth : part === DX ? layer.columns : layer.rows;
    const at = (i: number) => (rows[Math.floor(i / columns)] ?? 0) * columns + i % columns;
    const slope = layer.gelu && isForward ? GELU_SLOPE_MAX + 4 : 1;
    const expected = Float64Array.from(values, (value, i) => {
      if (!isForward) return value;
      const sum = value + (bias?.[i % columns] ?? 0);
      return (layer.gelu ? geluOf(sum) : sum) + (residual?.[at(i)] ?? 0);
    });
    const terms = Float64Array.from(
      magnitudes,
      (sum, i) =>
        isForward
          ? slope * (sum + Math.abs(bias?.[i % columns] ?? 0)) + Math.abs(residual?.[at(i)] ?? 0)
          : sum,
    );
    assertClose(Float32Array.from(values, (_, i) => output[at(i)] ?? NaN), expected, {
      tolerance: matmulBound(depth, terms).map((bound) => 2 * bound),
      name: `${layer.name} ${part} against the naive product`,
    });
  });
}
