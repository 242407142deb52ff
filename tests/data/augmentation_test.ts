/** Tests of random changes to training pictures: what they may do, and that chance comes from the place alone. */
import { assert, assertEquals, assertNotEquals, assertStrictEquals } from "@std/assert";
import { augment } from "../../data/augmentation.ts";
import { Loader, type LoaderOptions } from "../../data/loader.ts";
import { encodePng } from "../../data/png_encoder.ts";
import { Random } from "../../data/random.ts";
import type { RgbImage } from "../../data/rgb_image.ts";
import { writeCauldron } from "./helpers.ts";

/** A picture from lines of letters: each letter is a colour of its own. */
function picture(...lines: string[]): RgbImage {
  const letters = lines.join("");
  const data = Uint8Array.from(
    { length: 3 * letters.length },
    (_, i) => letters.charCodeAt(Math.floor(i / 3)) + i % 3,
  );
  return { width: lines[0]!.length, height: lines.length, data };
}

function lines({ width, data }: RgbImage): string[] {
  const letters = Array.from(
    { length: data.length / 3 },
    (_, pixel) => String.fromCharCode(data[3 * pixel]!),
  );
  return letters.join("").match(new RegExp(`.{${width}}`, "g")) ?? [];
}

/** What 400 draws make of a picture, each result once. */
function results(image: RgbImage): string[] {
  const drawn = Array.from(
    { length: 400 },
    (_, i) => lines(augment(image, "shift_flip", new Random(1, i))).join("/"),
  );
  return [...new Set(drawn)].sort();
}

Deno.test('augment() leaves the picture alone where the kind is "none"', () => {
  const image = picture("....", ".ab.", "....");
  for (let i = 0; i < 20; i++) {
    assertStrictEquals(augment(image, "none", new Random(i)), image);
  }
});

Deno.test("augment() moves what lies on a background to every place where all of it is seen", () => {
  const before = picture("....", ".ab.", "....");
  const rows = [0, 1, 2].flatMap((row) =>
    ["ab..", ".ab.", "..ab", "ba..", ".ba.", "..ba"].map((line) =>
      [0, 1, 2].map((i) => i === row ? line : "....").join("/")
    )
  );
  assertEquals(results(before), rows.sort());
  assertEquals(lines(before), ["....", ".ab.", "...."]); // the cache's picture is as it was
});

Deno.test("augment() leaves what touches an edge there, and mirrors it", () => {
  assertEquals(results(picture("..a.", "..ab", "....")), ["..a./..ab/....", ".a../ba../...."]);
  assertEquals(
    results(picture(".a.", "...", "...")), // free to the sides only
    [".a./.../...", "..a/.../...", "a../.../..."].sort(),
  );
});

Deno.test("augment() mirrors a picture without a background, and one without anything on it", () => {
  assertEquals(results(picture("abc", "def")), ["abc/def", "cba/fed"]);
  assertEquals(results(picture("...", "...")), [".../..."]);
  assertEquals(results(picture("a")), ["a"]);
});

Deno.test("augment() takes what touches a corner for no background to move over", () => {
  assertEquals(
    results(picture("a...", "....", "..b.", "....")),
    ["...a/..../.b../....", "a.../..../..b./...."],
  );
});

/** Runs with a dataset of ten pictures, each a dot of its own on a background, with four questions about each. */
async function withDots(use: (options: LoaderOptions) => Promise<void>): Promise<void> {
  const dataset = await Deno.makeTempFile({ suffix: ".parquet" });
  const dot = (i: number) =>
    encodePng(picture("......", `..${"abcdefghij"[i]}...`, "......", "......", "......", "......"));
  const turns = ["w", "x", "y", "z"].map((question): [string, string] => [question, "a"]);
  writeCauldron(dataset, Array.from({ length: 10 }, (_, i) => ({ image: dot(i), turns })));
  try {
    await use({
      dataset,
      split: "train",
      questionsPerRow: "all",
      tokenizer: "bytes",
      maxLength: 24,
      pictures: { vit_img_size: 6 },
      batchSize: 8,
      augmentation: "shift_flip",
      seed: 1,
      workers: 0,
    });
  } finally {
    await Deno.remove(dataset);
  }
}

/** Two epochs of batches, from batch `first` on; an epoch has five. */
async function stream(options: LoaderOptions, first = 0) {
  const loader = await Loader.open(options);
  try {
    loader.restore({ seed: 1, epoch: Math.floor(first / 5), index: (first % 5) * 8 });
    return await Array.fromAsync({ length: 10 - first }, () => loader.next());
  } finally {
    loader.close();
  }
}

Deno.test("Loader augments alike whatever the number of workers and wherever it goes on", () =>
  withDots(async (options) => {
    const whole = await stream(options);
    assertEquals(await stream({ ...options, workers: 2 }), whole);
    assertEquals(await stream(options, 7), whole.slice(7));
    const plain = await stream({ ...options, augmentation: "none" });
    assertEquals(plain.map(({ inputIds }) => inputIds), whole.map(({ inputIds }) => inputIds));
    for (const [i, { images }] of whole.entries()) assertNotEquals(images, plain[i]!.images);
  }));

Deno.test("Loader draws anew for each question of a picture and for each epoch", () =>
  withDots(async (options) => {
    const seen = Array.from({ length: 10 }, () => new Set<string>());
    for (const { sampleIndices, images, size } of await stream(options)) {
      const length = images.length / size;
      sampleIndices.forEach((index, b) => {
        const pixels = images.subarray(b * length, (b + 1) * length).join();
        seen[Math.floor(index / 4)]!.add(pixels);
      });
    }
    // Of 36 places eight are drawn for each picture: about seven differ.
    const different = seen.map((pictures) => pictures.size);
    assert(different.every((count) => count > 4), String(different));
  }));
