/**
 * Which kernel computes a matrix product: a family with its tile, and over how many workgroups the depth is split.
 *
 * Read by matmul.ts. The choice is fixed by the kind of device, or measured once (matmul_tuning.ts) and kept on it.
 */
import type { Device } from "./runtime/device.ts";

/** Tiles of y by their size in workgroup memory; "subgroup" is the family without. */
export const TILES = { "64x64": [64, 64], "128x64": [128, 64], "128x128": [128, 128] } as const;

/** A kernel and the number of slices of the depth, each summed by workgroups of its own. */
export interface MatmulChoice {
  readonly kernel: "subgroup" | keyof typeof TILES;
  readonly slices: number;
}

/** Sizes that are chosen for: how many workgroups a product keeps busy. */
export const SIZES = ["few", "some", "many"] as const;
/** One of the sizes. */
export type MatmulSize = (typeof SIZES)[number];
/** A choice for every size. */
export type MatmulChoices = Readonly<Record<MatmulSize, MatmulChoice>>;

/** The size of a product: "few" where it has fewer than 32 tiles of 64 x 64, "many" from 256 on. */
export function sizeOf(rows: number, columns: number): MatmulSize {
  const tiles = Math.ceil(rows / 64) * Math.ceil(columns / 64);
  return tiles < 32 ? "few" : tiles < 256 ? "some" : "many";
}

/** The choice without measuring: one subgroup a workgroup where a CPU plays the GPU, tiles elsewhere. */
export function fixedChoices(device: Device): MatmulChoices {
  const subgroup = { kernel: "subgroup", slices: 1 } as const;
  if (device.subgroupSize >= 8 && device.adapter.isFallbackAdapter) {
    return { few: subgroup, some: subgroup, many: subgroup };
  }
  return {
    few: { kernel: "64x64", slices: device.adapter.isFallbackAdapter ? 1 : 4 },
    some: { kernel: "64x64", slices: 1 },
    many: { kernel: "128x128", slices: 1 },
  };
}

/** Every choice that a device can run, those for any size first. */
export function possibleChoices(device: Device): MatmulChoice[] {
  const kernels: MatmulChoice["kernel"][] = device.subgroupSize >= 8 ? ["subgroup"] : [];
  for (const name of ["64x64", "128x64", "128x128"] as const) {
    const [rows, columns] = TILES[name];
    const threads = rows * columns / 64;
    const bytes = 16 * 4 * (rows + columns);
    const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = device.limits;
    if (threads <= maxComputeInvocationsPerWorkgroup && bytes <= maxComputeWorkgroupStorageSize) {
      kernels.push(name);
    }
  }
  return [1, 4].flatMap((slices) => kernels.map((kernel) => ({ kernel, slices })));
}
