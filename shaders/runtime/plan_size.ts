/**
 * How large a plan is: known from its recording alone, before anything is allocated or run.
 *
 * Beside plan.ts; model/training_plan.ts adds up what a training step takes.
 */
import { tensorsOf } from "./command.ts";
import { peakBytes, type Slot, type StorageLife } from "./memory.ts";
import type { Recorder } from "./recorder.ts";
import type { Storage } from "./tensor.ts";

/** Launches, arithmetic and memory of one run. */
export interface PlanSize {
  /** Kernel launches. */
  readonly dispatches: number;
  /** Floating-point operations of the products, what is computed twice counted twice. */
  readonly flops: number;
  /** Bytes of transient tensors that live from the forward to the backward pass. */
  readonly activationBytes: number;
  /** Bytes of transient tensors where most of them live: no layout takes less. */
  readonly liveBytes: number;
  /** Bytes of the buffers that they take turns in. */
  readonly slotBytes: number;
  /** The largest piece of memory that a launch binds. */
  readonly largest: { readonly label: string; readonly bytes: number };
}

/** Measures a recording and its layout. */
export function planSize(
  { commands, backwardStart }: Pick<Recorder, "commands" | "backwardStart">,
  lives: readonly StorageLife[],
  slots: readonly Slot[],
): PlanSize {
  let largest: Pick<Storage, "label" | "bytes"> = { label: "", bytes: 0 };
  let [dispatches, flops] = [0, 0];
  for (const command of commands) {
    if ("clear" in command) continue;
    dispatches++;
    flops += command.flops;
    for (const { storage } of tensorsOf(command)) {
      if (storage.bytes > largest.bytes) largest = storage;
    }
  }
  const sum = (parts: readonly { readonly bytes: number }[]) =>
    parts.reduce((total, { bytes }) => total + bytes, 0);
  const isActivation = ({ first, last }: StorageLife) =>
    first < backwardStart && last >= backwardStart;
  return {
    dispatches,
    flops,
    activationBytes: sum(lives.filter(isActivation)),
    liveBytes: peakBytes(lives),
    slotBytes: sum(slots),
    largest: { label: largest.label, bytes: largest.bytes },
  };
}
