/**
 * A dataset to measure loading with: photographs of 640x480 as JPEG, each with ten questions and
 * answers, in Parquet files of The Cauldron's schema.
 */
import factory from "@jsquash/jpeg/codec/enc/mozjpeg_enc.js";
import { decodeImage } from "../../../data/image.ts";
import { Random } from "../../../data/random.ts";
import { resize } from "../../../data/resize.ts";
import type { RgbImage } from "../../../data/rgb_image.ts";
import { writeCauldron } from "../../data/helpers.ts";

/** Photographs beside the checkout; drawn pictures take their place where they are absent. */
const PHOTOS = new URL("../../../../shared/data/photos/", import.meta.url);
const NAMES = ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg"];

/** As cameras and libraries write by default: one scan, chroma halved both ways. */
const SETTINGS = {
  baseline: false,
  arithmetic: false,
  progressive: false,
  optimize_coding: true,
  smoothing: 0,
  color_space: 3,
  quant_table: 3,
  trellis_multipass: false,
  trellis_opt_zero: false,
  trellis_opt_table: false,
  trellis_loops: 1,
  auto_subsample: true,
  chroma_subsample: 2,
  separate_chroma_quality: false,
  chroma_quality: 75,
};

interface Encoder {
  encode(rgba: Uint8Array, width: number, height: number, settings: unknown): Uint8Array;
}

async function openEncoder(): Promise<Encoder> {
  const url = new URL(import.meta.resolve("@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm"));
  const compiled = await WebAssembly.compile(await Deno.readFile(url));
  const start = factory as unknown as (options: unknown) => Promise<Encoder>;
  return await start({
    noInitialRun: true,
    instantiateWasm(imports: WebAssembly.Imports, done: (one: WebAssembly.Instance) => void) {
      const instance = new WebAssembly.Instance(compiled, imports);
      done(instance);
      return instance.exports;
    },
  });
}

/** Gradients, a hundred discs and a little noise. */
function draw(width: number, height: number, random: Random): RgbImage {
  const data = new Uint8Array(width * height * 3); // (height, width, 3)
  const discs = Array.from({ length: 100 }, () => ({
    x: random.below(width),
    y: random.below(height),
    squared: random.below(60) ** 2,
    color: [random.below(256), random.below(256), random.below(256)],
  }));
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const disc = discs.findLast((one) => (one.x - x) ** 2 + (one.y - y) ** 2 < one.squared);
      for (let c = 0; c < 3; c++) {
        const base = disc?.color[c] ?? (x * (c + 1) / width + y / height) * 60;
        data[to++] = Math.min(255, base + random.below(12));
      }
    }
  }
  return { width, height, data };
}

async function originals(size: Size): Promise<RgbImage[]> {
  try {
    return await Promise.all(NAMES.map(async (name) => {
      const photo = await decodeImage(await Deno.readFile(new URL(name, PHOTOS)), name);
      return resize(photo, size.width, size.height);
    }));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return NAMES.map((_, seed) => draw(size.width, size.height, new Random(seed)));
  }
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Twenty JPEG files: five pictures, each at four qualities. */
async function encodePictures(size: Size): Promise<Uint8Array[]> {
  const encoder = await openEncoder();
  const files: Uint8Array[] = [];
  for (const { data } of await originals(size)) {
    const rgba = new Uint8Array(size.width * size.height * 4).fill(255);
    for (let pixel = 0; pixel < size.width * size.height; pixel++) {
      rgba.set(data.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
    }
    for (const quality of [85, 86, 88, 90]) {
      const settings = { ...SETTINGS, quality };
      files.push(encoder.encode(rgba, size.width, size.height, settings).slice());
    }
  }
  return files;
}

const THINGS = "man,woman,dog in the grass,red car,table near the window,street sign,kite,bench,\
plate of food,old clock,traffic light,horse,umbrella,laptop,train at the station".split(",");
const QUESTIONS = ["What is the color of the", "How many people stand next to the", "Where is the"];
const ANSWERS = [
  "It is on the left side, in front of a white building.",
  "Two.",
  "Blue and white.",
];

function turns(random: Random): [string, string][] {
  const of = (list: readonly string[]) => list[random.below(list.length)] ?? "";
  return Array.from({ length: 10 }, () => [`${of(QUESTIONS)} ${of(THINGS)}?`, of(ANSWERS)]);
}

/**
 * Writes the dataset, in files of at most 1,000 rows.
 *
 * @param folder an empty one
 * @param what how many rows, of what size, and how many of them to a row group
 * @returns bytes of all files
 */
export async function writePictures(
  folder: string,
  { rows, size, groupRows }: { rows: number; size: Size; groupRows: number },
): Promise<number> {
  const files = await encodePictures(size);
  const random = new Random(1);
  let bytes = 0;
  for (let start = 0; start < rows; start += 1000) {
    const path = `${folder}/train-${String(start).padStart(8, "0")}.parquet`;
    const count = Math.min(1000, rows - start);
    const part = Array.from({ length: count }, (_, i) => {
      // A number behind the end of the picture, so that no two are the same and no page is packed.
      const number = new Uint8Array(4);
      new DataView(number.buffer).setUint32(0, start + i);
      const image = new Uint8Array([...files[(start + i) % files.length] ?? [], ...number]);
      return { image, turns: turns(random) };
    });
    writeCauldron(path, part, groupRows);
    bytes += (await Deno.stat(path)).size;
  }
  return bytes;
}
