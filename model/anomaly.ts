/**
 * Which tensor of a training step goes bad first: the step is computed again with everything looked at that is otherwise only
 * passed on.
 *
 * Beside training_step.ts; train.ts asks where a loss is no number. Source: torch.autograd.detect_anomaly, forward too.
 */
import { Plan } from "../shaders/runtime/plan.ts";
import type { Tensor } from "../shaders/runtime/tensor.ts";
import { BatchInputs, type HostBatch, labelCapacity, labelCount, splitBatch } from "./inputs.ts";
import { ReadAhead } from "./read_ahead.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** Rows at once: one, so that looking at everything takes little memory. */
const ROWS = 1;

/** One row's step, with what is looked at in the order in which it is computed. */
interface Recorded {
  readonly inputs: BatchInputs;
  readonly plan: Plan;
  readonly forward: ReadonlyMap<string, Tensor>;
  readonly backward: ReadonlyMap<string, Tensor>;
}

/**
 * The first tensor of a step that is not finite, such as "decoder.blocks.3 of row 2" or "the gradient of MP of row 0":
 * parameters come first, then values forward, then gradients backward, without a loss scale. Undefined where all are finite.
 *
 * The parameters' gradients are another's afterwards; a step sets them to zero before anything.
 *
 * @throws {DeviceError} {ShaderError}
 */
export async function firstNotFinite(
  model: VisionLanguageModel,
  batch: HostBatch,
): Promise<string | undefined> {
  const { store, device } = model;
  const parameters = await firstOf(model, (name) => store.parameter(name).value);
  if (parameters) return `the parameter ${parameters}`;
  const zero = await Plan.record(device, (rec) => {
    for (const { gradient } of store.groups) if (gradient) rec.clear(gradient);
  });
  zero.run();
  zero.destroy();
  for (const [row, part] of splitBatch(batch, ROWS).entries()) {
    const recorded = await record(model, part);
    try {
      const found = await firstOfRow(recorded, part, labelCount(batch));
      if (found) return `${found} of row ${row}`;
    } finally {
      recorded.plan.destroy();
      recorded.inputs.destroy();
    }
  }
  const gradient = await firstOf(model, (name) => store.parameter(name).gradient);
  return gradient && `the gradient of the parameter ${gradient}`;
}

async function record(model: VisionLanguageModel, part: HostBatch): Promise<Recorded> {
  const { device, config, dtype: activation } = model;
  const { size, length } = part;
  const shape = { size, length, labels: labelCapacity(part) };
  const inputs = await device.scoped(
    "make a row's inputs",
    () => new BatchInputs(device, config, shape),
  );
  const taps = new Map<string, Tensor>();
  const forward = new Map<string, Tensor>();
  const plan = await Plan.record(device, (rec) => {
    const { loss } = model.loss(rec, inputs);
    for (const [name, tensor] of taps) forward.set(name, tensor);
    forward.set("the loss", rec.keep(loss));
    rec.backprop(loss, rec.constant("dloss", [1], "f32", Float32Array.of(1)));
  }, { training: true, activation, taps });
  const backward = new Map([...taps].filter(([name]) => !forward.has(name)));
  return { inputs, plan, forward, backward };
}

async function firstOfRow(
  { inputs, plan, forward, backward }: Recorded,
  part: HostBatch,
  labels: number,
): Promise<string | undefined> {
  inputs.upload(part, labels);
  plan.run();
  for (const tensors of [forward, backward]) {
    const values = await plan.read(...tensors.values());
    const bad = [...tensors.keys()].find((_, i) => !values[i]?.every(Number.isFinite));
    if (bad) return tensors === forward ? bad : `the gradient of ${bad.slice("d".length)}`;
  }
  return undefined;
}

/** The first parameter of which something is not finite. */
async function firstOf(
  { store, device }: VisionLanguageModel,
  part: (name: string) => Tensor | undefined,
): Promise<string | undefined> {
  const tensors = store.shapes.flatMap(({ name }) => {
    const tensor = part(name);
    return tensor ? [[name, tensor] as const] : [];
  });
  const ahead = new ReadAhead(device, new Map(tensors));
  for (const [name] of tensors.toSorted(([a], [b]) => a < b ? -1 : 1)) {
    if (!(await ahead.load(name)).every(Number.isFinite)) return name;
  }
  return undefined;
}
