/** Tests of JSON: what is read, which records are refused, and which pictures are not followed. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { openDataset } from "../../data/datasets.ts";
import { Loader } from "../../data/loader.ts";
import { goldenImage, inTemporaryFolder } from "./helpers.ts";

const PNG = goldenImage("1_gray.png");

function line(image: unknown, question = "is it?", answer: unknown = "yes"): string {
  return JSON.stringify({ image, question, answer });
}

function write(path: string, ...lines: string[]): void {
  Deno.writeTextFileSync(path, lines.join("\n"));
}

const open = (path: string) => openDataset(path, "train");

Deno.test("a JSON-lines file's rows are pictures beside it with a question and an answer", () =>
  inTemporaryFolder(async (dir) => {
    Deno.mkdirSync(`${dir}/in`);
    Deno.writeFileSync(`${dir}/in/é.png`, PNG);
    write(
      `${dir}/a.jsonl`,
      line("in/é.png", "what 0?"),
      line(["in\\é.png", "none.png"], "what 1?"),
      line("./in//é.png", "what 2?"),
      "",
    );
    for (const spec of [`${dir}/a.jsonl`, dir, `${dir}/*.jsonl`]) {
      const dataset = await open(spec);
      assertEquals([dataset.rows, dataset.format, dataset.groups], [3, "vqa", undefined]);
      assertEquals(await dataset.turnCounts(), Uint32Array.of(1, 1, 1));
      for (const index of [2, 0, 1]) {
        const { image, turns } = await dataset.row(index);
        assertEquals(image, PNG);
        assertEquals(turns, [{
          question: `what ${index}?`,
          answer: "yes",
          category: `what ${index}`,
        }]);
      }
      await assertRejects(async () => await dataset.row(3), RangeError, '"3"');
      await assertRejects(async () => await dataset.row(-1), RangeError, '"-1"');
    }
  }));

Deno.test("messages become questions with answers, in turn", () =>
  inTemporaryFolder(async (dir) => {
    Deno.writeFileSync(`${dir}/a.png`, PNG);
    const user = (content: unknown) => ({ role: "user", content });
    const assistant = (content: unknown) => ({ role: "assistant", content });
    const row = (...messages: unknown[]) => JSON.stringify({ image: "a.png", messages });
    const parts = [{ type: "image" }, { type: "text", text: "is it " }, {
      type: "text",
      text: "red?",
    }];
    write(
      `${dir}/metadata.jsonl`,
      row(user(parts), assistant("yes"), user("why?"), assistant([{ type: "text", text: "so" }])),
      row(user("no answer?")),
      row(assistant("first"), user("second")),
      row({ role: "system", content: "be nice" }, user("?"), assistant("!")),
      row(user([{ type: "video" }]), assistant("!")),
      row(),
    );
    const dataset = await open(dir);
    assertEquals((await dataset.row(0)).turns, [
      { question: "is it red?", answer: "yes", category: "yes/no" },
      { question: "why?", answer: "so", category: "why" },
    ]);
    const wrong = ["an answer behind it", "an answer behind it", undefined, '"video"'];
    for (const [at, part] of wrong.entries()) {
      if (part) await assertRejects(async () => await dataset.row(at + 1), TypeError, part);
    }
    const afterSystem = { question: "?", answer: "!", category: "other" };
    assertEquals((await dataset.row(3)).turns, [afterSystem]);
    assertEquals(await dataset.turnCounts(), Uint32Array.of(2, 1, 1, 1, 1, 0));
  }));

Deno.test("a byte order mark, carriage returns, empty lines and a missing last line feed do no harm", () =>
  inTemporaryFolder(async (dir) => {
    Deno.writeFileSync(`${dir}/a.png`, PNG);
    const text = `\ufeff\r\n${line("a.png", "q0")}\r\n\r\n  \n${line("a.png", "q1")}\r\n\n` +
      `{broken\n${line("a.png", "q2")}`;
    Deno.writeTextFileSync(`${dir}/a.jsonl`, text);
    const dataset = await open(`${dir}/a.jsonl`);
    assertEquals(dataset.rows, 4);
    const question = async (row: number) => (await dataset.row(row)).turns[0]?.question;
    assertEquals([await question(0), await question(1), await question(3)], ["q0", "q1", "q2"]);
    await assertRejects(() => question(2), SyntaxError, `line 7 of "${dir}/a.jsonl"`);
  }));

Deno.test("a byte order mark in front of the first record is no part of it", () =>
  inTemporaryFolder(async (dir) => {
    Deno.writeFileSync(`${dir}/a.png`, PNG);
    Deno.writeTextFileSync(`${dir}/a.jsonl`, `\ufeff${line("a.png")}`);
    assertEquals((await (await open(`${dir}/a.jsonl`)).row(0)).turns.length, 1);
  }));

Deno.test("a bad line is an error of its row alone, and its number is named", () =>
  inTemporaryFolder(async (dir) => {
    Deno.writeFileSync(`${dir}/a.png`, PNG);
    const bad = ["{", "[]", "7", "null", '"text"', "not json", '{"image": "a.png"}', "\\ud800"];
    write(`${dir}/a.jsonl`, line("a.png"), ...bad, line("a.png"), line(null), line([]), line(7));
    Deno.writeFileSync(`${dir}/a.jsonl`, Uint8Array.of(10, 0xff, 0xfe), { append: true });
    const dataset = await open(`${dir}/a.jsonl`);
    assertEquals(dataset.rows, 14);
    assertEquals(await dataset.turnCounts(), new Uint32Array(14).fill(1));
    await dataset.row(0);
    await dataset.row(9);
    for (const row of [1, 2, 3, 4, 5, 6, 8, 13]) {
      const error = await assertRejects(async () => await dataset.row(row), SyntaxError);
      assertStringIncludes(error.message, `line ${row + 1} of`);
    }
    await assertRejects(async () => await dataset.row(7), TypeError, '"question"');
    for (const row of [10, 11, 12]) {
      await assertRejects(async () => await dataset.row(row), TypeError, '"image"');
    }
    write(`${dir}/b.jsonl`, "{", "[]");
    await assertRejects(() => open(`${dir}/b.jsonl`), SyntaxError, "line 1 of");
    Deno.writeTextFileSync(`${dir}/b.jsonl`, "\n \n");
    await assertRejects(() => open(`${dir}/b.jsonl`), RangeError, "no rows");
  }));

Deno.test("a line of more than 64 MiB is refused without being read", () =>
  inTemporaryFolder(async (dir) => {
    Deno.writeFileSync(`${dir}/a.png`, PNG);
    write(`${dir}/a.jsonl`, line("a.png"), '{"image": "');
    using file = Deno.openSync(`${dir}/a.jsonl`, { append: true });
    const filler = new Uint8Array(2 ** 20).fill(0x61);
    for (let written = 0; written <= 64; written++) file.writeSync(filler);
    file.writeSync(new TextEncoder().encode(`"}\n${line("a.png")}`));
    const dataset = await open(`${dir}/a.jsonl`);
    await assertRejects(async () => await dataset.row(1), RangeError, "at most 67108864");
    await dataset.row(2);
  }));

Deno.test("no picture outside the dataset's folder is read, and no URL is fetched", () =>
  inTemporaryFolder(async (dir) => {
    Deno.mkdirSync(`${dir}/data/sub`, { recursive: true });
    for (const name of ["data-2", "dat2"]) Deno.mkdirSync(`${dir}/${name}`);
    for (const path of ["out.png", "data/in.png", "data-2/near.png", "dat2/near.png"]) {
      Deno.writeFileSync(`${dir}/${path}`, PNG);
    }
    Deno.symlinkSync(`${dir}/out.png`, `${dir}/data/link.png`);
    Deno.symlinkSync(`${dir}/data-2`, `${dir}/data/linked`);
    Deno.symlinkSync(`${dir}/dat2`, `${dir}/data/linked2`);
    Deno.symlinkSync(`in.png`, `${dir}/data/inner.png`);
    await new Deno.Command("mkfifo", { args: [`${dir}/data/pipe.png`] }).output();
    let asked = 0;
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
      asked++;
      return new Response("");
    });
    const refused = {
      [`${dir}/out.png`]: "absolute path",
      [`${dir}/data/../out.png`]: "absolute path",
      [`${dir}/data/link.png`]: "absolute path",
      "../out.png": '".."',
      "sub/../../out.png": '".."',
      "..\\out.png": '".."',
      "C:\\out.png": "absolute path",
      "\\\\host\\share\\out.png": "absolute path",
      "link.png": "symbolic link",
      "linked/near.png": "symbolic link",
      "linked2/near.png": "symbolic link",
      [`http://127.0.0.1:${server.addr.port}/a.png`]: "URL",
      [`file://${dir}/out.png`]: "absolute path",
      "data:image/png;base64,=!": "damaged Base64",
      "none.png": "no such file",
      "in.png/x": "no such file",
      "sub": "no file",
      "pipe.png": "no file",
      "a\0b": "NUL",
      "": "no name",
    };
    const paths = Object.keys(refused);
    const file = `${dir}/data/a.jsonl`;
    const inside = ["in.png", "inner.png", "none/../in.png"];
    inside.push(`${dir}/data/in.png`, `file://${dir}/data/in.png`);
    write(file, ...inside.map((path) => line(path)), ...paths.map((path) => line(path)));
    const dataset = await open(file);
    for (const row of inside.keys()) assertEquals((await dataset.row(row)).image, PNG);
    for (const [at, path] of paths.entries()) {
      const error = await assertRejects(async () => await dataset.row(inside.length + at), Error);
      assertStringIncludes(error.message, refused[path]!, path);
    }
    assertEquals(asked, 0);
  }));

Deno.test("pictures of a snapshot in the Hub's cache may be links to its blobs, and to no others", () =>
  inTemporaryFolder(async (dir) => {
    const [own, other] = [`${dir}/datasets--me--pets`, `${dir}/datasets--me--cars`];
    Deno.mkdirSync(`${own}/snapshots/abc/img`, { recursive: true });
    for (const repository of [own, other]) {
      Deno.mkdirSync(`${repository}/blobs`, { recursive: true });
      Deno.writeFileSync(`${repository}/blobs/h0`, PNG);
    }
    const snapshot = `${own}/snapshots/abc`;
    Deno.symlinkSync("../../../blobs/h0", `${snapshot}/img/0.png`);
    Deno.symlinkSync(`${other}/blobs/h0`, `${snapshot}/img/1.png`);
    write(`${own}/blobs/lines`, line("img/0.png"), line("img/1.png"));
    Deno.symlinkSync("../../blobs/lines", `${snapshot}/train.jsonl`);
    const dataset = await openDataset(snapshot, "train");
    assertEquals((await dataset.row(0)).image, PNG);
    await assertRejects(async () => await dataset.row(1), Error, "symbolic link out of the folder");
  }));

Deno.test("the loader counts bad lines and goes on", () =>
  inTemporaryFolder(async (dir) => {
    Deno.writeFileSync(`${dir}/a.png`, PNG);
    const lines = Array.from({ length: 40 }, (_, i) => line("a.png", `what ${i}?`));
    lines[3] = "{";
    lines[7] = line("../a.png");
    write(`${dir}/a.jsonl`, ...lines);
    for (const questionsPerRow of ["first", "all"] as const) {
      const loader = await Loader.open({
        dataset: dir,
        split: "train",
        questionsPerRow,
        tokenizer: "bytes",
        maxLength: 48,
        pictures: { vit_img_size: 8 },
        batchSize: 10,
        seed: 0,
        workers: 0,
      });
      for (let batch = 0; batch < 4; batch++) await loader.next();
      assertEquals(loader.skipped.map(({ row }) => row).sort(), [3, 7]);
      assertStringIncludes(loader.skipped.map(({ imageName }) => imageName).join(), "line 4 of");
      loader.close();
    }
  }));
