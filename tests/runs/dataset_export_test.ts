// Tests of writing a dataset as a folder: what is read from it again, and what is left out.
import { assertEquals, assertRejects } from "@std/assert";
import { decodeImage } from "../../data/image.ts";
import { openDataset, type Row } from "../../data/datasets.ts";
import { exportDataset } from "../../runs/dataset_export.ts";
import { goldenImage, inTemporaryFolder, writeCauldron } from "../data/helpers.ts";

Deno.test("exportDataset() writes drawn pictures with all questions, as they are read again", () =>
  inTemporaryFolder(async (dir) => {
    const shapes = await openDataset("shapes", "train");
    const progress: number[] = [];
    const written = await exportDataset(shapes, `${dir}/my/shapes`, {
      rows: 3,
      onRow: (done, of) => progress.push(done / of),
    });
    assertEquals(written, { pictures: 3, questions: 12, leftOut: 0, reason: undefined });
    assertEquals(progress.at(-1), 1);
    const again = await openDataset(`${dir}/my/shapes`, "train");
    assertEquals(again.rows, 12);
    for (const [index, row] of [[0, 0], [7, 1], [11, 2]] as const) {
      const [read, drawn]: [Row, Row] = [await again.row(index), await shapes.row(row)];
      assertEquals(read.turns, [drawn.turns[index % 4]!]);
      assertEquals<unknown>(await decodeImage(read.image as Uint8Array, ""), drawn.image);
    }
    // A row a question: a picture's are held out together.
    const held = await openDataset(`${dir}/my/shapes`, "validation", { heldOut: 0.1 });
    assertEquals(held.rows, 4);
    const twice = () => exportDataset(shapes, `${dir}/my/shapes`, { rows: 1 });
    await assertRejects(twice, Error, "expected an empty folder");
  }));

Deno.test("exportDataset() names metadata.jsonl last, so that an interrupted one does not look whole", () =>
  inTemporaryFolder(async (dir) => {
    const namesIn = () => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
    const stop = (done: number) => {
      if (done < 3) return;
      assertEquals(namesIn(), ["metadata.jsonl.partial", "pictures"]);
      throw new Error("stopped");
    };
    const shapes = await openDataset("shapes", "train");
    await assertRejects(() => exportDataset(shapes, dir, { onRow: stop }), Error, "stopped");
    assertEquals(namesIn(), ["pictures"]);
  }));

Deno.test("exportDataset() keeps files as they are, and leaves out what cannot be read", () =>
  inTemporaryFolder(async (dir) => {
    const [png, jpeg] = [goldenImage("1_gray.png"), goldenImage("5_photo.jpg")];
    writeCauldron(`${dir}/a.parquet`, [
      { image: null, turns: [["none?", "no"]] },
      { image: jpeg, turns: [["q", "a"]] },
      { image: png, turns: [["r", "b"]] },
      { image: png.subarray(0, 60), turns: [["cut", "c"]] },
    ]);
    const written = await exportDataset(await openDataset(`${dir}/a.parquet`, "train"), `${dir}/b`);
    assertEquals([written.pictures, written.leftOut, written.reason], [
      2,
      2,
      'Cannot read field "images.bytes": found nothing, expected a picture file',
    ]);
    assertEquals(Deno.readFileSync(`${dir}/b/pictures/1.jpg`), jpeg);
    assertEquals(Deno.readFileSync(`${dir}/b/pictures/2.png`), png);
  }));
