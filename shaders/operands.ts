/**
 * How kernels read and write tensors: WGSL by format, put in front of the kernels that name their tensors' accessors.
 *
 * A tensor "a" that is read gives `a4(i)`, four values from flat index i on; one that is written also takes
 * `put_a4(i, count, value)`, and `round_a4(value)` is what would be found there then. The format follows from the rows' length and the device: one value a load where the
 * length is odd, otherwise four, or 64 bits a load where loads are made lane by lane (`Device.wide`); and from the
 * element type: f16 is converted at once, so that all values are f32.
 */
import OPERAND_SCALAR from "./operand_scalar.wgsl" with { type: "text" };
import OPERAND_SCALAR_F16 from "./operand_scalar_f16.wgsl" with { type: "text" };
import OPERAND_VEC4 from "./operand_vec4.wgsl" with { type: "text" };
import OPERAND_VEC4_F16 from "./operand_vec4_f16.wgsl" with { type: "text" };
import OPERAND_WIDE from "./operand_wide.wgsl" with { type: "text" };
import OPERAND_WIDE_F16 from "./operand_wide_f16.wgsl" with { type: "text" };
import OUTPUT_SCALAR from "./output_scalar.wgsl" with { type: "text" };
import OUTPUT_SCALAR_F16 from "./output_scalar_f16.wgsl" with { type: "text" };
import OUTPUT_VEC4 from "./output_vec4.wgsl" with { type: "text" };
import OUTPUT_VEC4_F16 from "./output_vec4_f16.wgsl" with { type: "text" };
import OUTPUT_WIDE from "./output_wide.wgsl" with { type: "text" };
import OUTPUT_WIDE_F16 from "./output_wide_f16.wgsl" with { type: "text" };
import type { Device } from "./runtime/device.ts";
import type { Activation } from "./runtime/tensor.ts";

const OPERANDS = {
  scalar: OPERAND_SCALAR,
  vec4: OPERAND_VEC4,
  wide: OPERAND_WIDE,
  scalar_f16: OPERAND_SCALAR_F16,
  vec4_f16: OPERAND_VEC4_F16,
  wide_f16: OPERAND_WIDE_F16,
} as const;
const OUTPUTS: Readonly<Record<Format, string>> = {
  scalar: OUTPUT_SCALAR,
  vec4: OUTPUT_VEC4,
  wide: OUTPUT_WIDE,
  scalar_f16: OUTPUT_SCALAR_F16,
  vec4_f16: OUTPUT_VEC4_F16,
  wide_f16: OUTPUT_WIDE_F16,
};

/** How a tensor's values are loaded and stored. */
export type Format = keyof typeof OPERANDS;

/** The format for rows of `length` values of an element type. */
export function formatOf(device: Device, length: number, dtype: Activation = "f32"): Format {
  const format = length % 4 !== 0 ? "scalar" : device.wide ? "wide" : "vec4";
  return dtype === "f16" ? `${format}_f16` : format;
}

/** WGSL that reads a tensor as `name`, bound at `binding`. */
export function operand(name: string, binding: number, format: Format): string {
  return OPERANDS[format].replaceAll("lhs", name).replace("@binding(1)", `@binding(${binding})`);
}

/** WGSL that reads and writes a tensor as `name`, bound at `binding`. */
export function output(name: string, binding: number, format: Format): string {
  return OUTPUTS[format].replaceAll("out", name).replace("@binding(3)", `@binding(${binding})`);
}

/** Declares kernels for the formats of their tensors, each once, when they are first asked for. */
export function byFormat<F extends readonly Format[], K>(
  declare: (...formats: F) => K,
): (...formats: F) => K {
  const declared = new Map<string, K>();
  return (...formats) => {
    const key = formats.join();
    const known = declared.get(key) ?? declare(...formats);
    declared.set(key, known);
    return known;
  };
}
