/**
 * One run of the model over a batch, with everything observed: intermediate tensors, logits, losses and gradients.
 *
 * The model's own loss is recorded, as in training; the head is recorded once more, for the rows whose logits are wanted.
 */
import { gatherRows } from "../../shaders/gather_rows.ts";
import type { Loss } from "../../shaders/linear_cross_entropy.ts";
import { matmul } from "../../shaders/matmul.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import type { Tensor } from "../../shaders/runtime/tensor.ts";
import {
  BatchInputs,
  type HostBatch,
  IGNORED_LABEL,
  imageTokens,
  labelCapacity,
} from "../../model/inputs.ts";
import type { VisionLanguageModel } from "../../model/vision_language_model.ts";

interface Recorded {
  readonly loss: Loss;
  readonly logits: Tensor | undefined;
}

/** A finished run. Its gradients are in the model's store, if the model was made for training. */
export class Step {
  private constructor(
    readonly batch: HostBatch,
    readonly inputs: BatchInputs,
    readonly plan: Plan<Recorded>,
    readonly taps: ReadonlyMap<string, Tensor>,
  ) {}

  /**
   * Runs the model forward, and backward if it was made for training.
   *
   * `logitRows` are the rows of the (B·L) sequence positions that logits() gives.
   *
   * @throws {DeviceError} {ShaderError} {RangeError} where the batch does not fit the model.
   */
  static async run(
    model: VisionLanguageModel,
    batch: HostBatch,
    logitRows: readonly number[] = [],
  ): Promise<Step> {
    const { size, length } = batch;
    const { device, config, store: { training } } = model;
    const shape = { size, length, labels: labelCapacity(batch) };
    const inputs = new BatchInputs(device, config, shape);
    inputs.upload(batch);
    const taps = new Map<string, Tensor>();
    const plan = await Plan.record(device, (rec) => {
      for (const { gradient } of model.store.groups) if (gradient) rec.clear(gradient);
      const loss = model.loss(rec, inputs);
      for (const tensor of [loss.loss, ...loss.tokenLosses]) rec.keep(tensor);
      if (training) rec.backprop(loss.loss, rec.constant("dloss", [1], "f32", Float32Array.of(1)));
      return { loss, logits: recordLogits(rec, model, tapped(taps, "decoder.norm"), logitRows) };
    }, { training, taps, activation: model.dtype });
    plan.run();
    await device.idle();
    return new Step(batch, inputs, plan, taps);
  }

  /** Whether there is a tap of this name; gradients are at "d" and the name. */
  has(name: string): boolean {
    return this.taps.has(name);
  }

  /** An intermediate tensor of all rows, as the model names it. @throws {RangeError} where there is none. */
  async read(name: string): Promise<Float32Array> {
    const [data = new Float32Array()] = await this.plan.read(tapped(this.taps, name));
    return data;
  }

  /** Logits of the rows that run() was asked for, (rows, V). @throws {RangeError} where there were none. */
  async logits(): Promise<Float32Array> {
    const { logits } = this.plan.result;
    if (!logits) throw new RangeError("Cannot read logits: no rows were asked for");
    const [data = new Float32Array()] = await this.plan.read(logits);
    return data;
  }

  /** The mean loss. */
  async loss(): Promise<number> {
    const [data] = await this.plan.read(this.plan.result.loss.loss);
    return data?.[0] ?? NaN;
  }

  /** Each token's loss (B, T), 0 where there is no label. */
  async tokenLoss(): Promise<Float32Array> {
    const chunks = await this.plan.read(...this.plan.result.loss.tokenLosses);
    const losses = chunks.flatMap((chunk) => [...chunk]);
    let next = 0;
    const { labels = new Int32Array() } = this.batch;
    return Float32Array.from(
      labels,
      (label) => label === IGNORED_LABEL ? 0 : losses[next++] ?? NaN,
    );
  }

  /** Frees the run's memory. */
  destroy(): void {
    this.plan.destroy();
    this.inputs.destroy();
  }
}

function tapped(taps: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const tensor = taps.get(name);
  if (tensor) return tensor;
  throw new RangeError(
    `Cannot read the intermediate tensor "${name}": the model has none, expected one of ${
      [...taps.keys()].join(", ")
    }`,
  );
}

function recordLogits(
  rec: Recorder,
  model: VisionLanguageModel,
  hidden: Tensor,
  rows: readonly number[],
): Tensor | undefined {
  if (rows.length === 0) return undefined;
  const list = rec.constant("logit rows", [rows.length], "u32", Uint32Array.from(rows));
  const weight = rec.use(model.decoder.head);
  const [columns, depth] = [weight.dim(0), weight.dim(1)];
  const logits = rec.keep(rec.tensor("observed logits", [rows.length, columns]));
  const lhs = gatherRows(rec, hidden, list);
  matmul(rec, {
    lhs,
    rhs: weight,
    y: logits,
    rows: rows.length,
    columns,
    depth,
    transposeRhs: true,
  });
  return logits;
}

/** Where a batch's real tokens are. */
export interface RealRows {
  /** Rows of the (B·L) sequence positions that are image or real text. */
  readonly sequence: number[];
  /** Rows of the (B·L) sequence positions that are real text. */
  readonly textInSequence: number[];
  /** The same rows among the (B·T) text positions. */
  readonly text: number[];
}

/** The rows of a batch that can be compared: what stands at padding differs between PyTorch's own branches. */
export function realRows(model: VisionLanguageModel, batch: HostBatch): RealRows {
  const image = imageTokens(model.config);
  const rows: RealRows = { sequence: [], textInSequence: [], text: [] };
  for (let b = 0; b < batch.size; b++) {
    const first = b * (image + batch.length);
    for (let i = 0; i < image; i++) rows.sequence.push(first + i);
    for (let t = 0; t < batch.length; t++) {
      if (!batch.attentionMask[b * batch.length + t]) continue;
      rows.sequence.push(first + image + t);
      rows.textInSequence.push(first + image + t);
      rows.text.push(b * batch.length + t);
    }
  }
  return rows;
}

/** The first `size` rows of a batch, all of whose tokens are real if `unmasked`. */
export function firstRows(batch: HostBatch, size: number, unmasked = false): HostBatch {
  const part = <T extends Int32Array | Float32Array>(data: T) =>
    data.slice(0, data.length / batch.size * size) as T;
  const attentionMask = part(batch.attentionMask);
  return {
    ...batch,
    size,
    inputIds: part(batch.inputIds),
    attentionMask: unmasked ? attentionMask.fill(1) : attentionMask,
    images: part(batch.images),
    ...(batch.labels ? { labels: part(batch.labels) } : {}),
  };
}
