/**
 * A batch on the GPU: what the collator made, laid out as the model reads it.
 *
 * The model sees one sequence a row, `[placeholder × image tokens] + text`, so nanoVLM v0.1's images in front of
 * the text are placeholders that stand there. Rows with a label are listed, so that the head skips the others.
 */
import { NO_ROW } from "../shaders/embedding.ts";
import type { Device } from "../shaders/runtime/device.ts";
import { bufferOf, persistent, type Tensor } from "../shaders/runtime/tensor.ts";
import { patchesPerSide, type VLMConfig } from "./config.ts";

/** One batch as typed arrays. */
export interface HostBatch {
  /** Rows B. */
  readonly size: number;
  /** Text tokens T a row, padding included. */
  readonly length: number;
  /** (B, T). */
  readonly inputIds: Int32Array;
  /** (B, T), 0 for padding. */
  readonly attentionMask: Int32Array;
  /** (B, T), shifted by one, -100 where nothing counts; absent where no loss is wanted. */
  readonly labels?: Int32Array;
  /** (B, 3, S, S). */
  readonly images: Float32Array;
}

/** The label that counts for nothing, as in PyTorch. */
export const IGNORED_LABEL = -100;
/** Label capacities are multiples of this, so that few plans serve all batches. */
const LABEL_STEP = 32;

/** Image tokens in front of the text. */
export function imageTokens(config: VLMConfig): number {
  const side = patchesPerSide(config) / config.mp_pixel_shuffle_factor;
  return side * side;
}

/** Labels of a batch that count. */
export function labelCount({ labels }: HostBatch): number {
  return labels?.reduce((sum, label) => sum + Number(label !== IGNORED_LABEL), 0) ?? 0;
}

/** Room for `count` labels: rounded up. */
export function roomFor(count: number): number {
  return Math.max(1, Math.ceil(count / LABEL_STEP)) * LABEL_STEP;
}

/** Room for the labels of a batch. */
export function labelCapacity(batch: HostBatch): number {
  return roomFor(labelCount(batch));
}

/** Sizes of the parts of a batch of `size` rows, `part` each, the last one perhaps smaller. */
export function partSizes(size: number, part: number = size): number[] {
  const count = Math.ceil(size / part);
  return Array.from({ length: count }, (_, i) => Math.min(part, size - i * part));
}

/** The rows of a batch in such parts; views, no copies. */
export function splitBatch(batch: HostBatch, part: number): HostBatch[] {
  const { length, inputIds, attentionMask, labels, images } = batch;
  const pixels = images.length / batch.size;
  return partSizes(batch.size, part).map((size, i) => {
    const [first, end] = [i * part, i * part + size];
    const text = (values: Int32Array) => values.subarray(first * length, end * length);
    return {
      size,
      length,
      inputIds: text(inputIds),
      attentionMask: text(attentionMask),
      ...(labels ? { labels: text(labels) } : {}),
      images: images.subarray(first * pixels, end * pixels),
    };
  });
}

/** Persistent input tensors for batches of one shape. */
export class BatchInputs {
  /** (B, 3, S, S). */
  readonly images: Tensor;
  /** u32 (B·L), L = image tokens + T; NO_ROW stands for an image. */
  readonly ids: Tensor;
  /** u32 (B·image tokens): rows of the sequences that images fill. */
  readonly imageRows: Tensor;
  /** u32 (B, L). */
  readonly mask: Tensor;
  /** u32 (capacity): rows with a label; NO_ROW fills up. */
  readonly labelRows: Tensor;
  /** u32 (capacity). */
  readonly labels: Tensor;
  /** u32 [1]: labels over which the loss is a mean. */
  readonly count: Tensor;
  /** Length L of a row. */
  readonly length: number;

  constructor(
    readonly device: Device,
    readonly config: VLMConfig,
    readonly shape: { size: number; length: number; labels: number },
  ) {
    const { size, length, labels } = shape;
    const [patches, side] = [imageTokens(config), config.vit_img_size];
    const u32 = (label: string, dims: number[]) => persistent(device, label, dims, "u32");
    this.length = patches + length;
    this.images = persistent(device, "images", [size, 3, side, side]);
    this.ids = u32("ids", [size * this.length]);
    this.mask = u32("mask", [size, this.length]);
    this.labelRows = u32("label rows", [labels]);
    this.labels = u32("labels", [labels]);
    this.count = u32("label count", [1]);
    this.imageRows = u32("image rows", [size * patches]);
    const rows = Uint32Array.from(
      { length: size * patches },
      (_, i) => Math.floor(i / patches) * this.length + i % patches,
    );
    this.imageRows.upload(device, rows);
  }

  /**
   * Copies a batch to the GPU. `count` is the labels over which the loss is a mean: those of the batch, or of the larger
   * one that it is a part of.
   *
   * @throws {RangeError} where it has another shape, more labels than there is room for, or an id outside the vocabulary.
   */
  upload(batch: HostBatch, count: number = labelCount(batch)): void {
    const { size, length } = this.shape;
    if (batch.size !== size || batch.length !== length) {
      throw new RangeError(
        `Cannot upload a batch of ${batch.size} x ${batch.length}: expected ${size} x ${length}`,
      );
    }
    this.images.upload(this.device, new Float32Array(batch.images));
    this.#uploadText(batch);
    this.#uploadLabels(batch);
    this.count.upload(this.device, Uint32Array.of(count));
  }

  #uploadText({ size, length, inputIds, attentionMask }: HostBatch): void {
    const ids = new Uint32Array(this.ids.length).fill(NO_ROW);
    const mask = new Uint32Array(this.mask.length).fill(1);
    const vocabulary = this.config.lm_vocab_size;
    for (let b = 0; b < size; b++) {
      for (let t = 0; t < length; t++) {
        const id = inputIds[b * length + t] ?? -1;
        if (id < 0 || id >= vocabulary) {
          throw new RangeError(
            `Cannot use token ${id}: the model's vocabulary has ${vocabulary}; its tokenizer is another one`,
          );
        }
        const i = (b + 1) * this.length - length + t;
        ids[i] = id;
        mask[i] = attentionMask[b * length + t] ? 1 : 0;
      }
    }
    this.ids.upload(this.device, ids);
    this.mask.upload(this.device, mask);
  }

  #uploadLabels({ length, labels }: HostBatch): void {
    const rows = new Uint32Array(this.labelRows.length).fill(NO_ROW);
    const values = new Uint32Array(rows.length).fill(NO_ROW);
    let count = 0;
    labels?.forEach((label, i) => {
      if (label === IGNORED_LABEL) return;
      if (label < 0 || label >= this.config.lm_vocab_size) {
        throw new RangeError(
          `Cannot use label ${label}: the model's vocabulary has ${this.config.lm_vocab_size}`,
        );
      }
      const b = Math.floor(i / length);
      rows[count] = (b + 1) * this.length - length + i % length;
      values[count] = label;
      count++;
    });
    if (count > rows.length) {
      throw new RangeError(`Cannot upload ${count} labels: there is room for ${rows.length}`);
    }
    this.labelRows.upload(this.device, rows);
    this.labels.upload(this.device, values);
  }

  /** Frees the buffers. */
  destroy(): void {
    for (
      const tensor of [
        this.images,
        this.ids,
        this.imageRows,
        this.mask,
        this.labelRows,
        this.labels,
        this.count,
      ]
    ) bufferOf(tensor).destroy();
  }
}
