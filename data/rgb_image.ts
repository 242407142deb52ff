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
  /** (height, width), from 0 (transparent) to 255, where not all of it is opaque. */
  alpha?: Uint8Array;
}

/** A whole file of a kind that is not read. */
export class RareKindError extends SyntaxError {}

/** A larger array is not copied to give a quarter of it back. */
const MOST_COPIED_BYTES = 64 * 2 ** 20;

/**
 * Takes colours and alpha apart; the array that is given becomes the colours', for a picture may
 * be hundreds of megabytes large.
 *
 * @param rgba (height, width, 4), from the beginning of a buffer of its own
 */
export function splitAlpha(
  rgba: Uint8Array<ArrayBuffer> | Uint8ClampedArray<ArrayBuffer>,
  { width, height }: Size,
): RgbImage {
  const pixels = width * height;
  let alpha: Uint8Array | undefined;
  for (let pixel = 0; pixel < pixels; pixel++) {
    const from = 4 * pixel, to = 3 * pixel;
    const opacity = rgba[from + 3] ?? 255;
    if (opacity !== 255) (alpha ??= new Uint8Array(pixels).fill(255))[pixel] = opacity;
    rgba[to] = rgba[from] ?? 0;
    rgba[to + 1] = rgba[from + 1] ?? 0;
    rgba[to + 2] = rgba[from + 2] ?? 0;
  }
  const view = new Uint8Array(rgba.buffer, 0, 3 * pixels); // (height, width, 3)
  const data = view.length > MOST_COPIED_BYTES ? view : view.slice();
  return { width, height, data, ...(alpha ? { alpha } : {}) };
}

/** The picture on a white ground, as Pillow's `alpha_composite` lays it there. */
export function overWhite({ width, height, data, alpha }: RgbImage): RgbImage {
  if (!alpha) return { width, height, data };
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const opacity = alpha[Math.floor(i / 3)] ?? 255;
    const sum = (data[i] ?? 0) * opacity + 255 * (255 - opacity) + 128;
    result[i] = (sum + (sum >> 8)) >> 8; // sum / 255, rounded
  }
  return { width, height, data: result };
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
 * Puts a frame on a canvas that is transparent and of one colour.
 *
 * @throws {SyntaxError} when it reaches beyond
 */
export function placeOnCanvas(
  image: RgbImage,
  { x, y }: Pick<Place, "x" | "y">,
  canvas: Size & { colour?: readonly number[] },
): RgbImage {
  const { width, height } = canvas;
  requireWithin({ ...image, x, y }, canvas);
  if (width === image.width && height === image.height) return image;
  const data = new Uint8Array(width * height * 3); // (height, width, 3)
  if (canvas.colour) { for (let i = 0; i < data.length; i += 3) data.set(canvas.colour, i); }
  const alpha = new Uint8Array(width * height);
  for (let line = 0; line < image.height; line++) {
    const [from, to] = [line * image.width, (line + 1) * image.width];
    const place = (y + line) * width + x;
    data.set(image.data.subarray(3 * from, 3 * to), 3 * place);
    if (image.alpha) alpha.set(image.alpha.subarray(from, to), place);
    else alpha.fill(255, place, place + image.width);
  }
  return { width, height, data, alpha };
}
