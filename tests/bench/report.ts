/**
 * What the benches print: tables for people while they run, JSON lines, and the sections of docs/benchmarks.md.
 */
import { describe, type Header } from "./header.ts";
import type { KernelRow } from "./kernels.ts";
import type { Peaks } from "./peaks.ts";
import type { ProfileRow, StepRow } from "./steps.ts";

/** A table's columns: heading, width while printing, and the cell. */
interface Column<R> {
  readonly head: string;
  readonly width: number;
  readonly cell: (row: R) => string;
  /** Text stands left, numbers right. */
  readonly left?: boolean;
}

/** Three or more significant digits, without exponents. */
function digits(value: number | undefined): string {
  if (value === undefined) return "";
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

function percent(share: number | undefined): string {
  if (share === undefined) return "";
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

export const KERNEL_COLUMNS: readonly Column<KernelRow>[] = [
  { head: "op", width: 37, cell: ({ name }) => name, left: true },
  { head: "part", width: 11, cell: ({ part }) => part, left: true },
  { head: "shape", width: 19, cell: ({ shape }) => shape, left: true },
  { head: "ms", width: 8, cell: ({ milliseconds }) => digits(milliseconds) },
  { head: "GFLOP/s", width: 8, cell: ({ gflops }) => digits(gflops) },
  { head: "GB/s", width: 7, cell: (row) => digits(row.gigabytes_per_second) },
  { head: "bound", width: 10, cell: ({ bound }) => bound, left: true },
  { head: "of peak", width: 7, cell: (row) => percent(row.share_of_peak) },
  { head: "naive ms", width: 8, cell: (row) => digits(row.naive_milliseconds) },
  { head: "naive/ours", width: 10, cell: (row) => digits(row.times_naive) },
  { head: "naive ran on", width: 20, cell: (row) => row.naive_sample ?? "", left: true },
];

export const STEP_COLUMNS: readonly Column<StepRow>[] = [
  { head: "preset", width: 6, cell: ({ preset }) => preset, left: true },
  { head: "step", width: 8, cell: ({ step }) => step, left: true },
  { head: "batch", width: 5, cell: ({ batch }) => String(batch) },
  { head: "ms", width: 9, cell: ({ milliseconds }) => digits(milliseconds) },
  { head: "a second", width: 15, cell: ({ per_second, unit }) => `${digits(per_second)} ${unit}` },
  { head: "launches", width: 8, cell: ({ dispatches }) => String(dispatches) },
  { head: "host ms", width: 8, cell: (row) => digits(row.host_milliseconds) },
  { head: "host", width: 7, cell: (row) => percent(row.host_share) },
  { head: "GFLOP/s", width: 8, cell: ({ gflops }) => digits(gflops) },
  { head: "of peak", width: 7, cell: (row) => percent(row.share_of_peak) },
];

export const PROFILE_COLUMNS: readonly Column<ProfileRow>[] = [
  { head: "kernel", width: 40, cell: ({ name }) => name, left: true },
  { head: "launches", width: 8, cell: ({ count }) => String(count) },
  { head: "ms", width: 9, cell: ({ milliseconds }) => digits(milliseconds) },
  { head: "share", width: 7, cell: ({ share }) => percent(share) },
  { head: "GFLOP/s", width: 8, cell: ({ gflops }) => digits(gflops) },
];

/** One line of a table for a terminal; the headings without a row. */
export function line<R>(columns: readonly Column<R>[], row?: R): string {
  return columns.map(({ head, width, cell, left }) => {
    const text = row === undefined ? head : cell(row);
    return left ? text.padEnd(width) : text.padStart(width);
  }).join("  ").trimEnd();
}

/** A Markdown table. */
function table<R>(columns: readonly Column<R>[], rows: readonly R[]): string {
  const used = columns.filter(({ cell }) => rows.some((row) => cell(row) !== ""));
  const markdown = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    markdown(used.map(({ head }) => head)),
    markdown(used.map(({ left }) => left ? "---" : "--:")),
    ...rows.map((row) => markdown(used.map(({ cell }) => cell(row)))),
  ].join("\n");
}

/** The device's peaks in one line. */
export function describePeaks({ f32, f16, copies, copy }: Peaks): string {
  const sizes = copies.map(({ bytes, rate }) => `${bytes / 2 ** 20} MiB ${digits(rate)}`);
  return `Peaks: ${digits(f32.rate)} GFLOP/s in f32 (${f32.how})` +
    (f16 ? `, ${digits(f16.rate)} in f16 (${f16.how})` : "") +
    `; copying ${digits(copy.rate)} GB/s (${copy.how}; by size: ${sizes.join(", ")} GB/s)`;
}

/** All that a run measured. */
export interface Results {
  readonly header: Header;
  readonly peaks: Peaks;
  readonly kernels: readonly KernelRow[];
  readonly steps: readonly StepRow[];
  readonly profiles: readonly ProfileRow[];
}

const TITLES = {
  linear: "Matrix products",
  attention: "Attention",
  memory: "Memory-bound kernels, loss and optimizer",
} as const;

/** Sections of the document by key, those that this run has rows for. */
export function sections(results: Results, plot?: string): Map<string, string> {
  const { header, peaks, kernels, steps, profiles } = results;
  const made = new Map<string, string>();
  const add = (key: string, title: string, ...parts: string[]) => {
    const source = `${describe(header)}. ${describePeaks(peaks)}.`;
    made.set(key, [`## ${title}`, source, ...parts].join("\n\n"));
  };
  for (const section of ["linear", "attention", "memory"] as const) {
    byDtype(kernels.filter((row) => row.section === section), (dtype, rows) => {
      add(`${section} ${dtype}`, `${TITLES[section]}, ${dtype}`, table(KERNEL_COLUMNS, rows));
    });
  }
  byDtype(steps, (dtype, rows) => {
    const picture = plot ? [`![Time of a training step by batch size](${plot})`] : [];
    add(`steps ${dtype}`, `Whole steps, ${dtype}`, table(STEP_COLUMNS, rows), ...picture);
  });
  for (const [preset, its] of Map.groupBy(profiles, ({ preset }) => preset)) {
    byDtype(its, (dtype, rows) => {
      const title = `A training step of ${preset} by kernel, batch ${rows[0]?.batch}, ${dtype}`;
      add(`profile ${preset} ${dtype}`, title, table(PROFILE_COLUMNS, rows));
    });
  }
  return made;
}

function byDtype<R extends { dtype: string }>(
  rows: readonly R[],
  use: (dtype: string, rows: readonly R[]) => void,
): void {
  for (const [dtype, its] of Map.groupBy(rows, ({ dtype }) => dtype)) use(dtype, its);
}

/** Puts sections in the places that comments mark in a document; new ones at its end. */
export function withSections(document: string, made: ReadonlyMap<string, string>): string {
  let text = document;
  for (const [key, section] of made) {
    const [open, close] = [`<!-- bench: ${key} -->`, `<!-- end of bench: ${key} -->`];
    const block = `${open}\n\n${section}\n\n${close}`;
    const [start, end] = [text.indexOf(open), text.indexOf(close)];
    text = start >= 0 && end > start
      ? text.slice(0, start) + block + text.slice(end + close.length)
      : `${text.trimEnd()}\n\n${block}\n`;
  }
  return text;
}
