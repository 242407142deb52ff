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

/** Width and height in pixels. */
export type Size = Pick<RgbImage, "width" | "height">;

/** Where a frame lies on a canvas, in pixels from the upper left. */
export interface Place extends Size {
  /** Pixels to the left of it. */
  x: number;
  /** Lines above it. */
  y: number;
}

/**
 * Refuses a frame that is not within its canvas.
 *
 * @throws {SyntaxError} saying what was found
 */
export function requireWithin({ x, y, width, height }: Place, canvas: Size): void {
  if (x + width <= canvas.width && y + height <= canvas.height) return;
  throw new SyntaxError(
    `a frame of ${width}x${height} at ${x}, ${y} that reaches beyond the ` +
      `${canvas.width}x${canvas.height} canvas`,
  );
}

/**
 * Puts a frame on a black canvas.
 *
 * @throws {SyntaxError} when it reaches beyond
 */
export function placeOnCanvas(
  { width, height, data }: RgbImage,
  { x, y }: Pick<Place, "x" | "y">,
  canvas: Size,
): RgbImage {
  requireWithin({ x, y, width, height }, canvas);
  if (width === canvas.width && height === canvas.height) return { width, height, data };
  const result = new Uint8Array(canvas.width * canvas.height * 3); // (height, width, 3)
  for (let line = 0; line < height; line++) {
    const pixels = data.subarray(line * width * 3, (line + 1) * width * 3);
    result.set(pixels, ((y + line) * canvas.width + x) * 3);
  }
  return { ...canvas, data: result };
}
