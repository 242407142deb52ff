// A minimal backward tape over float64 arrays: it chains the references into whole models.
// Sits between the single references and vision_language_model.ts; source: Griewank and Walther 2008,
// reverse mode.

import { expectLength } from "./arrays.ts";

/** An array and the gradient that gathers beside it. */
export interface Value {
  data: Float64Array;
  grad: Float64Array;
}

/** A value with a gradient of zeros. */
export function valueOf(data: Float64Array): Value {
  return { data, grad: new Float64Array(data.length) };
}

/** Rows from .. from + count of a matrix of the given width, sharing its data and gradient. */
export function rowsOf(
  matrix: Value,
  { from, count, width }: { from: number; count: number; width: number },
): Value {
  const [start, end] = [from * width, (from + count) * width];
  return { data: matrix.data.subarray(start, end), grad: matrix.grad.subarray(start, end) };
}

/** Records operations as they are applied, and plays their backward functions in reverse. */
export class Tape {
  readonly #steps: (() => void)[] = [];

  /**
   * Applies an operation; `backward` names the gradient of input `x` `dx`, as gradcheck wants it.
   */
  apply<Name extends string>(
    inputs: Record<Name, Value>,
    forward: (inputs: Record<Name, Float64Array>) => Float64Array,
    backward: (
      inputs: Record<Name, Float64Array>,
      dy: Float64Array,
    ) => Record<`d${Name}`, Float64Array>,
  ): Value {
    const names = Object.keys(inputs) as Name[];
    const data = Object.fromEntries(names.map((name) => [name, inputs[name].data])) as Record<
      Name,
      Float64Array
    >;
    const y = valueOf(forward(data));
    this.#steps.push(() => {
      const gradients = backward(data, y.grad);
      for (const name of names) add(inputs[name].grad, gradients[`d${name}`]);
    });
    return y;
  }

  /** Fills the gradients of everything that `loss`, one number, was made from. */
  backprop(loss: Value): void {
    loss.grad.fill(1);
    for (const step of this.#steps.toReversed()) step();
  }
}

function add(target: Float64Array, terms: Float64Array): void {
  expectLength("gradient", terms, target.length);
  terms.forEach((term, i) => target[i]! += term);
}
