/**
 * What goes into the model, made from what users and datasets hold: prompts from questions, and
 * pixels from picture files. Reading order of the data room starts here.
 *
 * Source: nanoVLM v0.1, data/processors.py and data/datasets.py.
 */
import { decodeImage } from "./image.ts";
import { resize } from "./resize.ts";
import { overWhite, placeOnCanvas, type RgbImage } from "./rgb_image.ts";

/** The prompt of a free question; the answer follows without a space. */
export function vqaPrompt(question: string): string {
  return `Question: ${question} Answer:`;
}

/** The prompt of a multiple-choice question, as the MMStar benchmark is asked. */
export function mmstarPrompt(question: string): string {
  return `Question: ${question} \nAnswer only with the letter! \nAnswer:`;
}

/** How bytes become numbers: (byte / 255 - mean) / std, the same for every channel. */
export interface Normalization {
  /** Of values from 0 to 1. */
  mean: number;
  /** Of values from 0 to 1, above 0. */
  std: number;
}

/** The float32 value of each byte. With mean 0 and std 1 exactly torchvision's `ToTensor`. */
function byteValues({ mean, std }: Normalization): Float32Array {
  return Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / std);
}

/** Writes (height, width, 3) bytes as (3, height, width) numbers. */
function writePixels(image: RgbImage, values: Float32Array, target: Float32Array): void {
  const plane = image.width * image.height;
  for (let pixel = 0, from = 0; pixel < plane; pixel++) {
    for (let c = 0; c < 3; c++) target[c * plane + pixel] = values[image.data[from++] ?? 0] ?? 0;
  }
}

/**
 * The picture as numbers for the vision encoder.
 *
 * @param image (height, width, 3) bytes
 * @returns (3, height, width)
 */
export function toPixels(image: RgbImage, normalization: Normalization): Float32Array {
  const pixels = new Float32Array(3 * image.width * image.height); // (3, height, width)
  writePixels(image, byteValues(normalization), pixels);
  return pixels;
}

/** A value that a program gave, in a few words. */
function described(value: unknown): string {
  if (typeof value === "number") return String(value);
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return ArrayBuffer.isView(value) ? `${kind} of ${value.byteLength} bytes` : kind;
}

/**
 * A picture from a program, which may give anything.
 *
 * @throws {TypeError} when it is no picture
 */
function requirePicture(image: RgbImage, name: string): RgbImage {
  const { width, height, data, alpha }: Partial<RgbImage> = Object(image);
  const isSide = (side = 0) => Number.isInteger(side) && side >= 1;
  const pixels = isSide(width) && isSide(height) ? (width ?? 0) * (height ?? 0) : NaN;
  const isBytes = (bytes: unknown, length: number) =>
    bytes instanceof Uint8Array && bytes.length === length;
  if (isBytes(data, 3 * pixels) && (alpha === undefined || isBytes(alpha, pixels))) return image;
  const parts = Object.entries({ width, height, data, ...(alpha === undefined ? {} : { alpha }) });
  const found = [width, height, data].every((part) => part === undefined)
    ? described(image)
    : parts.map(([key, part]) => `${key} ${described(part)}`).join(", ");
  throw new TypeError(
    `Cannot read ${name}: found ${found}, expected a file's bytes as a Uint8Array, or width and height from 1 on ` +
      "with data, a Uint8Array of 3 * width * height bytes (red, green, blue; alpha, if any, apart: width * height bytes)",
  );
}

/** How pictures are made ready: keys of a VLMConfig, which may be given whole. */
export interface PictureSettings {
  /** Pixels per side of what the encoder sees. */
  readonly vit_img_size: number;
  /** Of pixel values from 0 to 1. Defaults 0 and 1, as nanoVLM v0.1. */
  readonly vit_pixel_mean?: number;
  /** Deviation of the pixel values. */
  readonly vit_pixel_std?: number;
  /**
   * "squeeze", the default and nanoVLM's way, gives a picture the encoder's shape; "pad" keeps its
   * shape and lays it in the middle of a white ground: white as paper is, and as the ground under
   * transparent pictures, so that no second colour appears where there was none.
   */
  readonly image_fit?: "squeeze" | "pad";
  /** Whether alpha is dropped, the default and nanoVLM's way, or the picture laid over white. */
  readonly image_alpha?: "drop" | "white";
}

const WHITE: readonly number[] = [255, 255, 255];

/** Makes pictures of any kind and size ready for the vision encoder. */
export class ImageProcessor {
  /** Width and height in pixels of what the encoder sees. */
  readonly imageSize: number;
  readonly #settings: PictureSettings;
  readonly #values: Float32Array;

  /**
   * Sets up the processor.
   *
   * @param settings a model's configuration, or the part of it that is about pictures
   * @throws {RangeError} when a number is out of range
   */
  constructor(settings: PictureSettings) {
    const { vit_img_size: side, vit_pixel_mean: mean = 0, vit_pixel_std: std = 1 } = settings;
    if (!Number.isInteger(side) || side < 1 || !Number.isFinite(mean) || !(std > 0)) {
      throw new RangeError(
        `Cannot make image processor: found image size "${side}", mean "${mean}", std ` +
          `"${std}", expected a whole size from 1 on, a finite mean and a positive std`,
      );
    }
    this.imageSize = side;
    this.#settings = settings;
    this.#values = byteValues({ mean, std });
  }

  /**
   * Decodes a file, if it is one, and brings it to the encoder's size and shape.
   *
   * @param image a picture file's bytes, or a picture
   * @param name what to call it in messages
   * @returns (imageSize, imageSize, 3) bytes
   * @throws {SyntaxError} when the file cannot be decoded
   * @throws {RangeError} when its declared size is absurd
   * @throws {TypeError} when it is neither, or the picture has more or fewer bytes than its size says
   */
  async square(image: Uint8Array | RgbImage, name: string): Promise<RgbImage> {
    const isFile = image instanceof Uint8Array;
    const decoded = isFile ? await decodeImage(image, name) : requirePicture(image, name);
    const opaque = this.#settings.image_alpha === "white" ? overWhite(decoded) : decoded;
    return this.#settings.image_fit === "pad"
      ? this.#padded(opaque)
      : resize(opaque, this.imageSize, this.imageSize);
  }

  /** The picture in its own shape, in the middle of the ground. */
  #padded(image: RgbImage): RgbImage {
    const side = this.imageSize;
    const longer = Math.max(image.width, image.height);
    const [width = 1, height = 1] = [image.width, image.height]
      .map((pixels) => Math.max(1, Math.round(pixels * side / longer)));
    const place = { x: Math.floor((side - width) / 2), y: Math.floor((side - height) / 2) };
    const canvas = { width: side, height: side, colour: WHITE };
    const { data } = placeOnCanvas(resize(image, width, height), place, canvas);
    return { width: side, height: side, data };
  }

  /**
   * Writes a picture of the encoder's size as numbers.
   *
   * @param image (imageSize, imageSize, 3) bytes
   * @param target (3, imageSize, imageSize)
   * @throws {TypeError} when the picture has another size
   */
  write(image: RgbImage, target: Float32Array): void {
    if (image.width !== this.imageSize || image.height !== this.imageSize) {
      throw new TypeError(
        `Cannot write pixels: found a picture of ${image.width}x${image.height}, expected ` +
          `${this.imageSize}x${this.imageSize}. Call square() first.`,
      );
    }
    writePixels(image, this.#values, target);
  }

  /**
   * From a picture file or picture to the encoder's input in one step.
   *
   * @returns (3, imageSize, imageSize)
   * @throws {SyntaxError} when the file cannot be decoded
   * @throws {RangeError} when its declared size is absurd
   * @throws {TypeError} when it is neither, or the picture has more or fewer bytes than its size says
   */
  async process(image: Uint8Array | RgbImage, name: string): Promise<Float32Array> {
    const pixels = new Float32Array(3 * this.imageSize ** 2); // (3, imageSize, imageSize)
    this.write(await this.square(image, name), pixels);
    return pixels;
  }
}
