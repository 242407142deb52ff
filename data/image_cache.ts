/**
 * Keeps decoded and resized pictures in memory, so that a small dataset is decoded once and not
 * once an epoch. Used by batch_builder.ts.
 */
import type { RgbImage } from "./rgb_image.ts";

/**
 * Pictures by row. When the budget is used up no more are taken in and none is thrown out: under
 * shuffling every row is as likely as any other to come next, and throwing out the longest unused
 * would lose most of them before their turn.
 */
export class ImageCache {
  readonly #images = new Map<number, RgbImage>();
  readonly #maximumBytes: number;
  #bytes = 0;

  /**
   * Starts empty.
   *
   * @param maximumBytes pixels to keep, in bytes
   */
  constructor(maximumBytes: number) {
    this.#maximumBytes = maximumBytes;
  }

  /** Bytes of pixels that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The row's picture, from memory if it is there, otherwise made now. */
  async get(row: number, make: () => Promise<RgbImage>): Promise<RgbImage> {
    const known = this.#images.get(row);
    if (known) return known;
    const image = await make();
    if (this.#bytes + image.data.length <= this.#maximumBytes && !this.#images.has(row)) {
      this.#images.set(row, image);
      this.#bytes += image.data.length;
    }
    return image;
  }
}
