/**
 * Everything that is bound by the memory rather than by arithmetic: norms, activations, embedding, loss, optimizer,
 * sampling; at a model's shapes, recorded by the product's own functions. The loss with its head stands here too.
 */
import { patchesPerSide, type VLMConfig } from "../../model/config.ts";
import { imageTokens } from "../../model/inputs.ts";
import { adamw, adamwHyper } from "../../shaders/adamw.ts";
import { crossEntropy } from "../../shaders/cross_entropy.ts";
import { embedding } from "../../shaders/embedding.ts";
import { gelu } from "../../shaders/gelu.ts";
import { gradientNorm } from "../../shaders/gradient_norm.ts";
import { layerNorm } from "../../shaders/layer_norm.ts";
import { linearCrossEntropy } from "../../shaders/linear_cross_entropy.ts";
import { rmsNorm } from "../../shaders/rms_norm.ts";
import { rope, ropeTable } from "../../shaders/rope.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import { persistent, slice, type Tensor } from "../../shaders/runtime/tensor.ts";
import { type RandomMode, sample } from "../../shaders/sample.ts";
import { swiglu } from "../../shaders/swiglu.ts";
import {
  checkAdamw,
  checkCrossEntropy,
  checkEmbedding,
  checkGelu,
  checkGradientNorm,
  checkGreedy,
  checkLayerNorm,
  checkLinearCrossEntropy,
  checkRmsNorm,
  checkRope,
  checkSampled,
  checkSwiglu,
} from "./memory_checks.ts";
import type { KernelCase } from "./kernels.ts";
import { BACKWARD, FORWARD, memoryCase, passes, unary } from "./memory_case.ts";
import { alias } from "./timing.ts";

const EPSILON = 1e-5;

/** Every such op of `config` at a batch size. */
export function memoryCases(preset: string, config: VLMConfig, batch: number): KernelCase[] {
  const named = (name: string) => `${preset} ${name}, batch ${batch}`;
  const vision = batch * patchesPerSide(config) ** 2;
  const L = imageTokens(config) + config.lm_max_length;
  return [
    norm(named("LayerNorm"), "layer", [vision, config.vit_hidden_dim]),
    norm(named("RMSNorm"), "rms", [batch * L, config.lm_hidden_dim]),
    activation(named("GELU"), "gelu", [vision, config.vit_inter_dim]),
    activation(named("SwiGLU"), "swiglu", [batch * L, config.lm_inter_dim]),
    ropeCase(named("RoPE"), config, [batch, L]),
    embeddingCase(named("embedding"), config, batch * L),
    crossEntropyCase(named("cross-entropy"), [
      Math.min(128, batch * config.lm_max_length),
      config.lm_vocab_size,
    ]),
    linearCrossEntropyCase(
      named("head and loss"),
      config,
      batch * Math.ceil(config.lm_max_length / 2),
    ),
    ...["greedy", "random"].map((mode) =>
      samplingCase(
        `${preset} sampling, ${mode}`,
        mode === "greedy" ? "greedy" : TOP_K,
        config.lm_vocab_size,
      )
    ),
  ];
}

/** Parameters that are enough for the optimizer's speed: 256 MiB a buffer, larger than caches. */
const MOST_PARAMETERS = 2 ** 26;

/** AdamW and the gradients' norm over the model's parameters, or as many as `limit` bytes hold or are enough. */
export function optimizerCases(preset: string, parameters: number, limit: number): KernelCase[] {
  const most = Math.min(MOST_PARAMETERS, Math.floor(limit / 4 / 64) * 64);
  const n = Math.min(Math.ceil(parameters / 64) * 64, most);
  const few = [Math.min(4096, n)];
  return [
    memoryCase(`${preset} AdamW`, {
      shape: [n],
      work: { [FORWARD]: { bytes: passes(7, [n]) } },
      make: (inputs) => {
        const [value, gradient, m, v] = [
          inputs.f32([n]),
          inputs.f32([n], 0.01),
          inputs.zeros([n]),
          inputs.zeros([n]),
        ];
        const hyper = persistent(inputs.device, "hyper", [8], "f32", adamwHyper(HYPER));
        inputs.tensors.push(hyper);
        return (rec, mark) => {
          mark(FORWARD);
          adamw(rec, { value, gradient, m, v, hyper });
          return [slice(value, 0, few)];
        };
      },
      check: ([value]) => checkAdamw(value, n, HYPER),
    }),
    memoryCase(`${preset} gradient norm`, {
      shape: [n],
      work: { [FORWARD]: { bytes: passes(1, [n]) } },
      make: (inputs) => {
        const gradient = inputs.f32([n]);
        return (rec, mark) => {
          mark(FORWARD);
          return [gradientNorm(rec, [gradient]).norm];
        };
      },
      check: ([norm]) => checkGradientNorm(norm, n),
    }),
  ];
}

const HYPER = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  step: 1,
};
const TOP_K: RandomMode = { temperature: 0.5, topK: 50, topP: 0.9 };

function norm(name: string, kind: "layer" | "rms", shape: readonly [number, number]): KernelCase {
  return memoryCase(name, {
    shape,
    work: { [FORWARD]: { bytes: passes(2, shape) }, [BACKWARD]: { bytes: passes(3, shape) } },
    make: (inputs) => {
      const [weight, bias] = [inputs.parameter([shape[1]]), inputs.parameter([shape[1]], 0.5)];
      const op = (rec: Recorder, x: Tensor) =>
        kind === "layer"
          ? layerNorm(rec, x, weight, bias, EPSILON)
          : rmsNorm(rec, x, weight, EPSILON);
      return unary(inputs, { x: shape, y: shape, op });
    },
    check: ([y]) =>
      kind === "layer" ? checkLayerNorm(y, shape, EPSILON) : checkRmsNorm(y, shape, EPSILON),
  });
}

function activation(
  name: string,
  kind: "gelu" | "swiglu",
  y: readonly [number, number],
): KernelCase {
  const isGelu = kind === "gelu";
  const x = [y[0], isGelu ? y[1] : 2 * y[1]];
  return memoryCase(name, {
    shape: y,
    work: {
      [FORWARD]: { bytes: passes(isGelu ? 2 : 3, y) },
      [BACKWARD]: { bytes: passes(isGelu ? 3 : 5, y) },
    },
    make: (inputs) => unary(inputs, { x, y, op: isGelu ? gelu : swiglu }),
    check: ([result]) => isGelu ? checkGelu(result, y) : checkSwiglu(result, y),
  });
}

function ropeCase(name: string, config: VLMConfig, [B, T]: readonly [number, number]): KernelCase {
  const headWidth = config.lm_hidden_dim / config.lm_n_heads;
  const heads = config.lm_n_heads + config.lm_n_kv_heads;
  const shape = [B, T, (heads + config.lm_n_kv_heads) * headWidth];
  const options = { base: config.lm_re_base, maxPositions: T, scaling: 1 };
  const table = ropeTable(T, headWidth, options);
  const bytes = passes(2, [B, T, heads * headWidth]);
  return memoryCase(name, {
    shape: [B * T, heads * headWidth],
    work: { [FORWARD]: { bytes }, [BACKWARD]: { bytes } },
    make: (inputs) => {
      const tableShape = [T, headWidth / 2];
      const [cos, sin] = [table.cos, table.sin].map((values) => {
        const tensor = persistent(inputs.device, "rotary table", tableShape, "f32", values);
        inputs.tensors.push(tensor);
        return tensor;
      });
      const position = inputs.u32(new Uint32Array(1));
      if (!cos || !sin) throw new TypeError("Cannot make the rotary tables");
      const op = (rec: Recorder, x: Tensor) =>
        rope(rec, x, { heads, headWidth, cos, sin, position });
      return unary(inputs, { x: shape, y: shape, op });
    },
    check: ([y]) => checkRope(y, { shape, heads, headWidth, ...table }),
  });
}

function embeddingCase(name: string, config: VLMConfig, rows: number): KernelCase {
  const { lm_hidden_dim: C, lm_vocab_size: V } = config;
  const ids = Uint32Array.from({ length: rows }, (_, i) => i * 7919 % V);
  return memoryCase(name, {
    shape: [rows, C],
    work: {
      [FORWARD]: { bytes: passes(2, [rows, C]) },
      [BACKWARD]: { bytes: passes(3, [rows, C]) },
    },
    make: (inputs) => {
      const [table, rowIds, dy] = [
        inputs.parameter([V, C]),
        inputs.u32(ids),
        inputs.f32([rows, C]),
      ];
      return (rec, mark) => {
        mark(FORWARD);
        const y = embedding(rec, rowIds, table);
        mark(BACKWARD);
        rec.backprop(y, dy);
        return [y];
      };
    },
    check: ([y]) => checkEmbedding(y, ids, [V, C]),
  });
}

/** Labels spread over the vocabulary. */
function labelsOf(rows: number, V: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: rows }, (_, i) => i * 7919 % V);
}

function crossEntropyCase(name: string, shape: readonly [number, number]): KernelCase {
  const [rows, V] = shape;
  const labels = labelsOf(rows, V);
  return memoryCase(name, {
    shape,
    work: { [FORWARD]: { bytes: passes(2, shape) } },
    make: (inputs) => {
      const [logits, labelTensor, count] = [
        inputs.f32(shape),
        inputs.u32(labels),
        inputs.u32(Uint32Array.of(rows)),
      ];
      return (rec, mark) => {
        mark(FORWARD);
        const tokenLoss = rec.tensor("token loss", [rows]);
        const lossScale = rec.constant("loss scale", [1], "f32", Float32Array.of(1));
        const tensors = { logits, labels: labelTensor, count, tokenLoss, lossScale };
        crossEntropy(rec, { ...tensors, gradient: true });
        return [tokenLoss];
      };
    },
    check: ([loss]) => checkCrossEntropy(loss, labels, shape),
  });
}

function linearCrossEntropyCase(name: string, config: VLMConfig, rows: number): KernelCase {
  const { lm_hidden_dim: C, lm_vocab_size: V } = config;
  const labels = labelsOf(rows, V);
  return memoryCase(name, {
    shape: [rows, V, C],
    // Three products; weight and gradient pass once, logits twice.
    work: { all: { bytes: passes(3, [V, C]) + passes(2, [rows, V]), flops: 6 * rows * V * C } },
    make: (inputs) => {
      const [hidden, head] = [inputs.f32([rows, C]), inputs.parameter([V, C], 1 / Math.sqrt(C))];
      const tensors = {
        rows: inputs.u32(Uint32Array.from({ length: rows }, (_, i) => i)),
        labels: inputs.u32(labels),
        count: inputs.u32(Uint32Array.of(rows)),
      };
      const seed = persistent(inputs.device, "dloss", [1], "f32", Float32Array.of(1));
      inputs.tensors.push(seed);
      return (rec, mark) => {
        mark("all");
        const x = alias(hidden, { gradient: true });
        const { loss, tokenLosses } = linearCrossEntropy(rec, x, head, tensors);
        rec.backprop(loss, seed);
        return tokenLosses.slice(0, 1);
      };
    },
    check: ([losses]) => checkLinearCrossEntropy(losses, labels, [V, C]),
  });
}

function samplingCase(name: string, mode: "greedy" | RandomMode, V: number): KernelCase {
  return memoryCase(name, {
    shape: [1, V],
    work: { [FORWARD]: { bytes: passes(1, [V]) } },
    make: (inputs) => {
      const logits = inputs.f32([1, V]);
      const [next, history, position, seed] = [[1], [1, 1], [1], [1]].map((shape) =>
        inputs.u32(new Uint32Array(1), shape)
      );
      if (!next || !history || !position || !seed) throw new TypeError("Cannot sample");
      return (rec, mark) => {
        mark(FORWARD);
        sample(rec, { logits, next, history, position, mode, seed });
        return [next];
      };
    },
    check: ([next]) => mode === "greedy" ? checkGreedy(next, V) : checkSampled(next, V, mode.topK),
  });
}
