/**
 * Everything that is bound by the memory rather than by arithmetic: norms, activations, embedding, loss,
 * sampling; at a model's shapes, recorded by the product's own functions. The loss with its head stands here too.
 */
import { patchesPerSide, type VLMConfig } from "../../model/config.ts";
import { imageTokens } from "../../model/inputs.ts";
import { crossEntropy } from "../../shaders/cross_entropy.ts";
import { embedding } from "../../shaders/embedding.ts";
import { gelu } from "../../shaders/gelu.ts";
import { layerNorm } from "../../shaders/layer_norm.ts";
import { linearCrossEntropy } from "../../shaders/linear_cross_entropy.ts";
import { rmsNorm } from "../../shaders/rms_norm.ts";
import { rope, ropeTable } from "../../shaders/rope.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import type { Activation, Tensor } from "../../shaders/runtime/tensor.ts";
import { type RandomMode, sample } from "../../shaders/sample.ts";
import { swiglu } from "../../shaders/swiglu.ts";
import {
  checkCrossEntropy,
  checkEmbedding,
  checkGelu,
  checkGreedy,
  checkLayerNorm,
  checkLinearCrossEntropy,
  checkRmsNorm,
  checkRope,
  checkSampled,
  checkSwiglu,
} from "./memory_checks.ts";
import type { KernelCase } from "./kernels.ts";
import { BACKWARD, type Definition, FORWARD, memoryCase, passes, unary } from "./memory_case.ts";
import { alias } from "./timing.ts";

const EPSILON = 1e-5;

/** Every such op of `config` at a batch size. */
export function memoryCases(
  preset: string,
  config: VLMConfig,
  { batch, dtype }: { batch: number; dtype: Activation },
): KernelCase[] {
  const { vit_hidden_dim, vit_inter_dim, lm_hidden_dim, lm_inter_dim, lm_vocab_size } = config;
  const vision = batch * patchesPerSide(config) ** 2;
  const L = imageTokens(config) + config.lm_max_length;
  const losses = Math.min(128, batch * config.lm_max_length);
  const labels = batch * Math.ceil(config.lm_max_length / 2);
  const definitions: Record<string, Definition> = {
    [`LayerNorm, batch ${batch}`]: norm("layer", [vision, vit_hidden_dim], dtype),
    [`RMSNorm, batch ${batch}`]: norm("rms", [batch * L, lm_hidden_dim], dtype),
    [`GELU, batch ${batch}`]: activation("gelu", [vision, vit_inter_dim], dtype),
    [`SwiGLU, batch ${batch}`]: activation("swiglu", [batch * L, lm_inter_dim], dtype),
    [`RoPE, batch ${batch}`]: rotation(config, [batch, L], dtype),
    [`embedding, batch ${batch}`]: lookup(config, batch * L),
    [`cross-entropy, batch ${batch}`]: tokenLosses([losses, lm_vocab_size]),
    [`head and loss, batch ${batch}`]: headAndLoss(config, labels, dtype),
    "sampling, greedy": sampling("greedy", lm_vocab_size),
    "sampling, random": sampling(TOP_K, lm_vocab_size),
  };
  return Object.entries(definitions).map(([name, definition]) =>
    memoryCase(`${preset} ${name}`, dtype, definition)
  );
}

const TOP_K: RandomMode = { temperature: 0.5, topK: 50, topP: 0.9 };

/** x and dx are f32, the residual stream's; y and dy are activations. */
function norm(
  kind: "layer" | "rms",
  shape: readonly [number, number],
  dtype: Activation,
): Definition {
  return {
    shape,
    work: {
      [FORWARD]: { bytes: passes(1, shape) + passes(1, shape, dtype) },
      [BACKWARD]: { bytes: passes(2, shape) + passes(1, shape, dtype) },
    },
    make: (inputs) => {
      const [weight, bias] = [inputs.parameter([shape[1]]), inputs.parameter([shape[1]], 0.5)];
      const op = (rec: Recorder, x: Tensor) =>
        kind === "layer"
          ? layerNorm(rec, x, weight, bias, EPSILON)
          : rmsNorm(rec, x, weight, EPSILON);
      return unary(inputs, { x: shape, y: shape, op, wide: true });
    },
    check: ([y]) =>
      (kind === "layer" ? checkLayerNorm : checkRmsNorm)(y, shape, { epsilon: EPSILON, dtype }),
  };
}

function activation(
  kind: "gelu" | "swiglu",
  y: readonly [number, number],
  dtype: Activation,
): Definition {
  const isGelu = kind === "gelu";
  const x = [y[0], isGelu ? y[1] : 2 * y[1]];
  return {
    shape: y,
    work: {
      [FORWARD]: { bytes: passes(isGelu ? 2 : 3, y, dtype) },
      [BACKWARD]: { bytes: passes(isGelu ? 3 : 5, y, dtype) },
    },
    make: (inputs) => unary(inputs, { x, y, op: isGelu ? gelu : swiglu }),
    check: ([result]) => isGelu ? checkGelu(result, y, dtype) : checkSwiglu(result, y, dtype),
  };
}

function rotation(
  config: VLMConfig,
  [B, T]: readonly [number, number],
  dtype: Activation,
): Definition {
  const headWidth = config.lm_hidden_dim / config.lm_n_heads;
  const heads = config.lm_n_heads + config.lm_n_kv_heads;
  const shape = [B, T, (heads + config.lm_n_kv_heads) * headWidth];
  const options = { base: config.lm_re_base, maxPositions: T, scaling: 1 };
  const table = ropeTable(T, headWidth, options);
  const bytes = passes(2, [B, T, heads * headWidth], dtype);
  return {
    shape: [B * T, heads * headWidth],
    work: { [FORWARD]: { bytes }, [BACKWARD]: { bytes } },
    make: (inputs) => {
      const [cos, sin] = [table.cos, table.sin].map((values) =>
        inputs.given([T, headWidth / 2], values)
      );
      const position = inputs.u32(new Uint32Array(1));
      if (!cos || !sin) throw new TypeError("Cannot make the rotary tables");
      const op = (rec: Recorder, x: Tensor) =>
        rope(rec, x, { heads, headWidth, cos, sin, position });
      return unary(inputs, { x: shape, y: shape, op });
    },
    check: ([y]) => checkRope(y, { shape, heads, headWidth, ...table, dtype }),
  };
}

/** Token embeddings, f32 in mixed precision too. */
function lookup(config: VLMConfig, rows: number): Definition {
  const { lm_hidden_dim: C, lm_vocab_size: V } = config;
  const ids = labelsOf(rows, V);
  return {
    shape: [rows, C],
    work: {
      [FORWARD]: { bytes: passes(2, [rows, C]) },
      [BACKWARD]: { bytes: passes(3, [rows, C]) },
    },
    make: (inputs) => {
      const table = inputs.parameter([V, C]);
      const [rowIds, dy] = [inputs.u32(ids), inputs.f32([rows, C])];
      return (rec, mark) => {
        mark(FORWARD);
        const y = embedding(rec, rowIds, table);
        mark(BACKWARD);
        rec.backprop(y, dy);
        return [y];
      };
    },
    check: ([y]) => checkEmbedding(y, ids, [V, C]),
  };
}

/** Labels spread over the vocabulary. */
function labelsOf(rows: number, V: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: rows }, (_, i) => i * 7919 % V);
}

/** Losses of logits and, over them, their gradient: f32 in mixed precision too. */
function tokenLosses(shape: readonly [number, number]): Definition {
  const [rows, V] = shape;
  const labels = labelsOf(rows, V);
  return {
    shape,
    work: { [FORWARD]: { bytes: passes(2, shape) } },
    make: (inputs) => {
      const logits = inputs.f32(shape);
      const [labelTensor, count] = [inputs.u32(labels), inputs.u32(Uint32Array.of(rows))];
      const lossScale = inputs.given([1], Float32Array.of(1));
      return (rec, mark) => {
        mark(FORWARD);
        const tokenLoss = rec.tensor("token loss", [rows]);
        const tensors = { logits, labels: labelTensor, count, tokenLoss, lossScale };
        crossEntropy(rec, { ...tensors, gradient: true });
        return [tokenLoss];
      };
    },
    check: ([loss]) => checkCrossEntropy(loss, labels, shape),
  };
}

function headAndLoss(config: VLMConfig, rows: number, dtype: Activation): Definition {
  const { lm_hidden_dim: C, lm_vocab_size: V } = config;
  const labels = labelsOf(rows, V);
  return {
    shape: [rows, V, C],
    // Three products; weight and gradient pass once, logits twice.
    work: {
      all: {
        bytes: passes(1, [V, C], dtype) + passes(2, [V, C]) + passes(2, [rows, V]),
        flops: 6 * rows * V * C,
      },
    },
    make: (inputs) => {
      const hidden = inputs.activation([rows, C]);
      const head = inputs.parameter([V, C], 1 / Math.sqrt(C));
      const tensors = {
        rows: inputs.u32(Uint32Array.from({ length: rows }, (_, i) => i)),
        labels: inputs.u32(labels),
        count: inputs.u32(Uint32Array.of(rows)),
      };
      const seed = inputs.given([1], Float32Array.of(1));
      return (rec, mark) => {
        mark("all");
        const x = alias(hidden, { gradient: true });
        const { loss, tokenLosses } = linearCrossEntropy(rec, x, head, tensors);
        rec.backprop(loss, seed);
        return tokenLosses.slice(0, 1);
      };
    },
    check: ([losses]) => checkLinearCrossEntropy(losses, labels, { V, C, dtype }),
  };
}

function sampling(mode: "greedy" | RandomMode, V: number): Definition {
  return {
    shape: [1, V],
    work: { [FORWARD]: { bytes: passes(1, [V]) } },
    make: (inputs) => {
      const logits = inputs.f32([1, V]);
      const [next, history, position, seed] = [[1], [1, 1], [1], [1]].map((shape) =>
        inputs.u32(new Uint32Array(1), shape)
      );
      const probabilities = inputs.f32([1, 1]);
      if (!next || !history || !position || !seed) throw new TypeError("Cannot sample");
      return (rec, mark) => {
        mark(FORWARD);
        sample(rec, { logits, next, history, probabilities, position, mode, seed });
        return [next];
      };
    },
    check: ([next]) => mode === "greedy" ? checkGreedy(next, V) : checkSampled(next, V, mode.topK),
  };
}
