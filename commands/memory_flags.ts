/**
 * Flags of train.ts about memory: how much there is, and how to do with less.
 *
 * Beside commands/training_config.ts. Ours.
 */
import type { MemoryRequest } from "../model/plan_choice.ts";
import { type Arguments, type Flags, UsageError } from "./flags.ts";

/** The flags. */
export const MEMORY_FLAGS = {
  "plan": {
    help: "print what training takes, in memory, arithmetic and launches, and stop; needs no data",
  },
  "micro-batch-size": {
    value: "N|auto",
    help: "questions at once, whose gradients add up to a step's; auto is the most that fit " +
      "(default: all of the batch)",
  },
  "recompute": {
    value: "LEVEL",
    choices: ["auto", "off", "on"],
    help: "whether the backward pass computes every block again, to save memory, a third slower: " +
      "on, off, or auto, where it does not fit otherwise (the default)",
  },
  "memory-limit": {
    value: "SIZE",
    help: "memory to stay within, in bytes or as 20GB or 20GiB; by default what can be had",
  },
} as const satisfies Flags;

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  MB: 1e6,
  GB: 1e9,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** What the flags ask for. @throws {UsageError} where one is wrong. */
export function memoryRequest(args: Arguments<typeof MEMORY_FLAGS>): MemoryRequest {
  const limit = args.text("memory-limit");
  const rows = args.text("micro-batch-size");
  const { choices } = MEMORY_FLAGS.recompute;
  return {
    microBatchSize: rows === undefined || rows === "auto" ? rows : rowsOf(rows),
    recompute: choices.find((choice) => choice === args.text("recompute")) ?? "auto",
    limitBytes: limit === undefined ? undefined : bytesOf(limit),
  };
}

function rowsOf(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new UsageError(
    `Cannot use --micro-batch-size: found "${text}", expected a whole number of at least 1, or auto`,
  );
}

function bytesOf(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const bytes = Number(number) * (UNITS[unit.toUpperCase()] ?? NaN);
  if (bytes > 0) return Math.floor(bytes);
  throw new UsageError(
    `Cannot use --memory-limit: found "${text}", expected bytes, or a number with MB, GB, MiB or GiB`,
  );
}
