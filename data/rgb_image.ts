/**
 * The picture type that flows through the data room: decoders and the shape generator make it,
 * resizing and the processor take it.
 */

/** A picture of 8-bit red, green and blue. */
export interface RgbImage {
  /** Pixels per line. */
  width: number;
  /** Lines. */
  height: number;
  /** (height, width, 3), bytes from 0 to 255. */
  data: Uint8Array;
}

/**
 * Drops every fourth byte: alpha is thrown away, not blended, as Pillow's `convert("RGB")` does.
 *
 * @param rgba (height, width, 4)
 */
export function dropAlpha(
  rgba: ArrayLike<number>,
  width: number,
  height: number,
): RgbImage {
  const data = new Uint8Array(width * height * 3); // (height, width, 3)
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from] ?? 0;
    data[to + 1] = rgba[from + 1] ?? 0;
    data[to + 2] = rgba[from + 2] ?? 0;
  }
  return { width, height, data };
}
