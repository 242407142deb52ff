// The references as layers with named weights on one tape, float64: what a model is built from.
// Sits between tape.ts and vision_language_model.ts; source: nanoVLM v0.1 models/*.py.

import { attention, attentionBackward, type AttentionOptions } from "./attention.ts";
import { layerNorm, layerNormBackward } from "./layer_norm.ts";
import { linear, linearBackward } from "./linear.ts";
import { rmsNorm, rmsNormBackward } from "./rms_norm.ts";
import { rope, ropeBackward, type RopeOptions } from "./rope.ts";
import type { Tape, Value } from "./tape.ts";

/** Layers that find their weights by checkpoint name and remember activations by name. */
export class Layers {
  /** What {@linkcode Layers.keep} was given. */
  readonly activations = new Map<string, Value>();

  constructor(readonly tape: Tape, readonly weights: ReadonlyMap<string, Value>) {}

  /**
   * The weight of that name.
   *
   * @throws {TypeError} when there is none.
   */
  weight(name: string): Value {
    const weight = this.weights.get(name);
    if (!weight) {
      throw new TypeError(
        `Cannot find weight "${name}": found none of that name, expected one. Check the checkpoint.`,
      );
    }
    return weight;
  }

  /** Remembers an activation and hands it on. */
  keep(name: string, value: Value): Value {
    this.activations.set(name, value);
    return value;
  }

  /** `name`.weight and, where there is one, `name`.bias: (rows, in) -> (rows, out). */
  linear(
    x: Value,
    name: string,
    { inFeatures, gelu = false }: { inFeatures: number; gelu?: boolean },
  ): Value {
    const weight = this.weight(`${name}.weight`);
    const bias = this.weights.get(`${name}.bias`);
    return this.product(bias ? { x, weight, bias } : { x, weight }, { inFeatures, gelu });
  }

  /** linear() of the given weight and bias. */
  product(
    inputs: { x: Value; weight: Value; bias?: Value },
    { inFeatures, gelu = false }: { inFeatures: number; gelu?: boolean },
  ): Value {
    const outFeatures = inputs.weight.data.length / inFeatures;
    const options = { inFeatures, outFeatures, gelu };
    return this.tape.apply(
      inputs as Record<"x" | "weight" | "bias", Value>,
      (x) => linear(x, options),
      (x, dy) => linearBackward(x, dy, options),
    );
  }

  /** left + right. */
  sum(left: Value, right: Value): Value {
    return this.tape.apply(
      { left, right },
      (x) => x.left.map((value, i) => value + x.right[i]!),
      (_, dy) => ({ dleft: dy, dright: dy }),
    );
  }

  /** layerNorm() with `name`.weight and `name`.bias. */
  layerNorm(x: Value, name: string, options: { C: number; epsilon: number }): Value {
    return this.tape.apply(
      { x, weight: this.weight(`${name}.weight`), bias: this.weight(`${name}.bias`) },
      (inputs) => layerNorm(inputs, options),
      (inputs, dy) => layerNormBackward(inputs, dy, options),
    );
  }

  /** rmsNorm() with `name`.weight. */
  rmsNorm(x: Value, name: string, options: { C: number; epsilon: number }): Value {
    return this.tape.apply(
      { x, weight: this.weight(`${name}.weight`) },
      (inputs) => rmsNorm(inputs, options),
      (inputs, dy) => rmsNormBackward(inputs, dy, options),
    );
  }

  /** rope() of x. */
  rope(x: Value, options: RopeOptions): Value {
    return this.tape.apply(
      { x },
      (inputs) => rope(inputs, options),
      (_, dy) => ropeBackward(dy, options),
    );
  }

  /** attention() of q, k and v. */
  attention(inputs: Record<"q" | "k" | "v", Value>, options: AttentionOptions): Value {
    return this.tape.apply(
      inputs,
      (x) => attention(x, options),
      (x, dy) => attentionBackward(x, dy, options),
    );
  }
}
