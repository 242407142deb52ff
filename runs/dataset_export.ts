/**
 * Writes a dataset as a folder of pictures and one file about them, the form in which one's own
 * pictures are read: metadata.jsonl with a line a question.
 *
 * Between data/ and inspect.ts. Ours, after the `datasets` library's imagefolder.
 */
import type { Dataset, Row, Turn } from "../data/datasets.ts";
import { HubError } from "../data/hub.ts";
import { decodeImage } from "../data/image.ts";
import { readImageHeader } from "../data/image_header.ts";
import { encodePng } from "../data/png_encoder.ts";
import { writeBeside } from "../model/saved_files.ts";

/** What was written. */
export interface Export {
  readonly pictures: number;
  readonly questions: number;
  /** Rows that could not be read, and why the first of them. */
  readonly leftOut: number;
  readonly reason: string | undefined;
}

/**
 * Writes the first rows of a dataset. metadata.jsonl gets its name last: where it is, all of them are there.
 *
 * @param folder is made; it must not hold anything yet
 * @throws {Error} when it holds something
 * @throws {HubError} where the Hub fails
 */
export async function exportDataset(
  dataset: Dataset,
  folder: string,
  { rows = Infinity, onRow }: { rows?: number; onRow?: (done: number, of: number) => void } = {},
): Promise<Export> {
  await Deno.mkdir(`${folder}/pictures`, { recursive: true });
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  const other = names.find((name) => name !== "pictures");
  if (other !== undefined) {
    throw new Error(
      `Cannot write dataset to "${folder}": found "${other}" in it, expected an empty folder. ` +
        `Name another one.`,
    );
  }
  const encoder = new TextEncoder();
  const count = Math.min(rows, dataset.rows);
  let [pictures, questions, leftOut] = [0, 0, 0];
  let reason: string | undefined;
  await writeBeside(`${folder}/metadata.jsonl`, async (put) => {
    for (let index = 0; index < count; index++) {
      onRow?.(index + 1, count);
      let row: Readable;
      try {
        row = await readable(await dataset.row(index));
      } catch (error) {
        if (error instanceof HubError) throw error;
        reason ??= error instanceof Error ? error.message : String(error);
        leftOut++;
        continue;
      }
      const name = `pictures/${index}.${row.ending}`;
      await Deno.writeFile(`${folder}/${name}`, row.bytes);
      const lines = row.turns.map((turn) => `${JSON.stringify({ file_name: name, ...turn })}\n`);
      await put(encoder.encode(lines.join("")));
      pictures++;
      questions += lines.length;
    }
  });
  return { pictures, questions, leftOut, reason };
}

/** A row as it is written. */
interface Readable {
  readonly bytes: Uint8Array;
  /** Of the picture file's name. */
  readonly ending: string;
  readonly turns: readonly Turn[];
}

/** @throws {Error} where the picture is damaged */
async function readable({ image, imageName, turns }: Row): Promise<Readable> {
  if (!(image instanceof Uint8Array)) return { bytes: encodePng(image), ending: "png", turns };
  await decodeImage(image, imageName);
  const type = readImageHeader(image, imageName).type.toLowerCase();
  return { bytes: image, ending: type === "jpeg" ? "jpg" : type, turns };
}
