/** Tests of what record files that are read in groups have in common. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { openArrow } from "../../data/arrow.ts";
import { localFile } from "../../data/local_file.ts";
import { openParquet } from "../../data/parquet.ts";
import { GroupCache } from "../../data/records.ts";
import { fromGolden, inTemporaryFolder, memoryFile, writeColumns } from "./helpers.ts";

const cache = () => new GroupCache(2 ** 20);

Deno.test("files of the same columns in another order, or of more columns, are one source", () =>
  inTemporaryFolder(async (dir) => {
    writeColumns(`${dir}/a.parquet`, [
      { name: "question", data: ["q0", "q1"] },
      { name: "answer", data: ["a0", "a1"] },
    ]);
    writeColumns(`${dir}/b.parquet`, [
      { name: "answer", data: ["a2"] },
      { name: "extra", data: ["e2"] },
      { name: "question", data: ["q2"] },
    ]);
    const files = [localFile(`${dir}/a.parquet`), localFile(`${dir}/b.parquet`)];
    const source = await openParquet(files, cache());
    assertEquals(source.columns, ["question", "answer", "extra"]);
    assertEquals(await source.record(1), { question: "q1", answer: "a1" });
    assertEquals(await source.record(2), { question: "q2", answer: "a2", extra: "e2" });
    const extras = await Array.fromAsync(source.select(["extra", "answer"]));
    assertEquals(extras, [{ answer: "a0" }, { answer: "a1" }, { answer: "a2", extra: "e2" }]);
    assertEquals(source.place?.(2), `row 0 of "${dir}/b.parquet"`);
    assertThrows(() => source.useColumns?.(["extra"], []), TypeError, `"${dir}/a.parquet"`);
    const some = await openParquet(files, cache());
    some.useColumns?.(["answer"], ["extra"]);
    assertEquals(await some.record(0), { answer: "a0" });
    assertEquals(await some.record(2), { answer: "a2", extra: "e2" });
  }));

Deno.test("what datasets wrote about columns is offered, from Parquet and Arrow files", async () => {
  for (const open of [openParquet, openArrow]) {
    const name = open === openParquet ? "cauldron_zstd.parquet" : "saved/data-00000-of-00001.arrow";
    const { features = "" } = await open([localFile(fromGolden(`datasets/${name}`))], cache());
    const { info } = JSON.parse(features);
    assertEquals(Object.keys(info.features), ["images", "texts"]);
  }
});

Deno.test("a file of another kind is called what it is", async () => {
  const kinds = {
    "a pointer to a file in Git LFS": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "an HTML page": "<!doctype html>\n<html><body>Not found</body></html>",
    "a ZIP archive": "PK\x03\x04 and more",
    "a Feather file of version 1": "FEA1 and more",
    "a text file": '{"image": "a.png"}\n',
    "an empty file": "",
  };
  for (const [kind, text] of Object.entries(kinds)) {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    for (const open of [openParquet, openArrow]) {
      await assertRejects(() => open([memoryFile(bytes)], cache()), SyntaxError, `found ${kind},`);
    }
  }
});
