/**
 * How kernels read and write tensors: WGSL by format, put in front of the kernels that name their tensors' accessors.
 *
 * A tensor "a" that is read gives `a4(i)`, four values from flat index i on; one that is written also takes
 * `put_a4(i, count, value)`. The format follows from the rows' length and the device: one value a load where the
 * length is odd, otherwise four, or two floats a load where loads are made lane by lane (`Device.wide`).
 */
import OPERAND_SCALAR from "./operand_scalar.wgsl" with { type: "text" };
import OPERAND_VEC4 from "./operand_vec4.wgsl" with { type: "text" };
import OPERAND_WIDE from "./operand_wide.wgsl" with { type: "text" };
import OUTPUT_SCALAR from "./output_scalar.wgsl" with { type: "text" };
import OUTPUT_VEC4 from "./output_vec4.wgsl" with { type: "text" };
import OUTPUT_WIDE from "./output_wide.wgsl" with { type: "text" };
import type { Device } from "./runtime/device.ts";

const OPERANDS = { scalar: OPERAND_SCALAR, vec4: OPERAND_VEC4, wide: OPERAND_WIDE } as const;
const OUTPUTS = { scalar: OUTPUT_SCALAR, vec4: OUTPUT_VEC4, wide: OUTPUT_WIDE } as const;

/** How a tensor's values are loaded and stored. */
export type Format = keyof typeof OPERANDS;

/** The format for rows of `length` values. */
export function formatOf(device: Device, length: number): Format {
  if (length % 4 !== 0) return "scalar";
  return device.wide ? "wide" : "vec4";
}

/** WGSL that reads a tensor as `name`, bound at `binding`. */
export function operand(name: string, binding: number, format: Format): string {
  return OPERANDS[format].replaceAll("lhs", name).replace("@binding(1)", `@binding(${binding})`);
}

/** WGSL that reads and writes a tensor as `name`, bound at `binding`. */
export function output(name: string, binding: number, format: Format): string {
  return OUTPUTS[format].replaceAll("out", name).replace("@binding(3)", `@binding(${binding})`);
}
