/**
 * First values of a model that is trained from scratch.
 *
 * Source: `_init_weights` of nanoVLM's modules at v0.1, and for "fan_in" LeCun et al. 1998, "Efficient BackProp",
 * section 4.6.
 */
import type { ParameterShape } from "./checkpoint.ts";
import { elements } from "../shaders/runtime/tensor.ts";

/** Deviation of nanoVLM's weights. */
const DEVIATION = 0.02;

/** Standard normal numbers by Box and Muller from a small counter-based generator; the same seed gives the same. */
export function normalGenerator(seed: number): () => number {
  const uniform = uniformGenerator(seed);
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/** Uniform numbers in [0, 1): the SplitMix32 finalizer over a counter. */
export function uniformGenerator(seed: number): () => number {
  let counter = Math.imul(seed, 0x9e3779b9) >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let word = counter;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return ((word ^ (word >>> 15)) >>> 0) / 2 ** 32;
  };
}

/**
 * The first values of one parameter.
 *
 * "nanovlm": weights and the token embedding N(0, 0.02), biases 0, norms 1, the position embedding uniform in [0, 1)
 * as torch.rand. "fan_in": weights and the token embedding N(0, 1/√inputs), the position embedding N(0, 0.5), as large as
 * what the patches give: with 0.02 a small model had learned no positions after 19,000 questions about shapes.
 */
export function initialValues(
  { name, shape }: ParameterShape,
  scheme: "nanovlm" | "fan_in",
  random: { normal: () => number; uniform: () => number },
): Float32Array {
  const length = elements(shape);
  if (name.endsWith(".bias")) return new Float32Array(length);
  if (shape.length === 1) return new Float32Array(length).fill(1);
  if (name.endsWith("position_embedding") && scheme === "nanovlm") {
    return Float32Array.from({ length }, random.uniform);
  }
  const deviation = scheme === "nanovlm" ? DEVIATION : fanInDeviation(name, shape);
  return Float32Array.from({ length }, () => deviation * random.normal());
}

function fanInDeviation(name: string, shape: readonly number[]): number {
  return name.endsWith("position_embedding") ? 0.5 : 1 / Math.sqrt(elements(shape.slice(1)));
}
