/** Tests of CSV and TSV files, and of what text files of all kinds have in common. */
import { constants, deflateRawSync } from "node:zlib";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openCsv } from "../../data/csv_records.ts";
import { openJson } from "../../data/json_records.ts";
import type { DataRecord, RecordSource } from "../../data/records.ts";
import { memoryFile } from "./helpers.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const openText = (text: string) => openCsv([memoryFile(bytesOf(text))]);

async function all(source: RecordSource): Promise<DataRecord[]> {
  const records = [];
  for (let index = 0; index < source.rows; index++) records.push(await source.record(index));
  assertEquals(await Array.fromAsync(source.select(source.columns)), records);
  return records;
}

Deno.test("a CSV file is read as pandas reads it, but for values, which stay text", async () => {
  // Right values: pandas 3.1.1, read_csv(file, dtype=str, keep_default_na=False, na_values=[""]).
  const quoted = 'image,question,answer\n"a.png","is it, ""so""?","line 1\nline 2"\nb.png,"",007\n';
  const right = [
    { image: "a.png", question: 'is it, "so"?', answer: "line 1\nline 2" },
    { image: "b.png", question: null, answer: "007" },
  ];
  const source = await openText(quoted);
  assertEquals([source.columns, source.rows], [["image", "question", "answer"], 2]);
  assertEquals(await all(source), right);
  assertEquals(await all(await openText("\ufeff" + quoted.trimEnd())), right);
  const windows = quoted.replaceAll("\n", "\r\n");
  const second = { ...right[1]! };
  assertEquals(await all(await openText(windows)), [
    { ...right[0]!, answer: "line 1\r\nline 2" },
    second,
  ]);
  assertEquals((await all(await openText(quoted.replaceAll("\n", "\r"))))[1], second);
  // A quote within a value is a character like others, as is one behind a closed text.
  assertEquals(await all(await openText('a,b\n5" disk,"x"y"z\n\n \n"""",1')), [
    { a: '5" disk', b: 'xy"z' },
    { a: '"', b: "1" },
  ]);
  assertEquals(await all(await openText("a,b,c\n1\n1,2,3,,\n")), [
    { a: "1", b: null, c: null },
    { a: "1", b: "2", c: "3" },
  ]);
  assertEquals(await all(await openText("BMI\n20")), [{ BMI: "20" }]); // no picture file
  assertEquals((await openText(",a,a\n0,1,2")).columns, ["Unnamed: 0", "a", "a.1"]);
});

Deno.test("semicolons and tabs between values are found by the line of names", async () => {
  const right = [{ image: "a.png", question: "one, two; three?" }];
  assertEquals(await all(await openText('image;question\na.png;"one, two; three?"')), right);
  assertEquals(await all(await openText("image\tquestion\na.png\tone, two; three?")), right);
  assertEquals(await all(await openText('image,"question"\na.png,"one, two; three?"')), right);
  assertEquals(await all(await openText("text\none")), [{ text: "one" }]);
});

Deno.test("a bad CSV record is an error of its own, with its line as editors count", async () => {
  const source = await openText('a,b\n"x\ny",1\none,two,three\nfine,1');
  assertEquals(source.rows, 3);
  await assertRejects(() => source.record(1), SyntaxError, 'line 4 of "in memory": found 3 values');
  assertEquals(await source.record(2), { a: "fine", b: "1" });
  // As in pandas, whose "EOF inside string" stops it too; else a slip would eat the rows behind it.
  const open = 'a,b\n"x\ny",1\nfine,"a ""b"" never closed\nlost,1\n';
  await assertRejects(
    () => openText(open),
    SyntaxError,
    "a quote in the row on line 4 that is never closed",
  );
  const latin = await openCsv([memoryFile(Uint8Array.of(...bytesOf("a\nx\n"), 0xe9))]);
  await assertRejects(() => latin.record(1), SyntaxError, "found bytes that are no UTF-8");
});

Deno.test("text files in gzip and in UTF-16 are read, other kinds are named", async () => {
  const text = '{"a":"é"}\n{"a":"ü"}';
  const right = [{ a: "é" }, { a: "ü" }];
  const open = (bytes: Uint8Array) => openJson([memoryFile(bytes)]);
  const zipped = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  const gzip = await new Response(zipped).bytes();
  assertEquals(await all(await open(gzip)), right);
  await assertRejects(() => open(gzip.slice(0, -9)), SyntaxError, "a damaged file");
  const codes = Uint16Array.from("\ufeff" + text, (character) => character.charCodeAt(0));
  const little = new Uint8Array(codes.buffer);
  assertEquals(await all(await open(little)), right);
  const big = little.map((_, at) => little[at ^ 1]!);
  assertEquals(await all(await open(big)), right);
  const pointer = bytesOf("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 345\n");
  await assertRejects(() => open(pointer), SyntaxError, "a pointer to a file in Git LFS");
  await assertRejects(() => open(bytesOf("<!DOCTYPE html><html>")), SyntaxError, "an HTML page");
  await assertRejects(() => open(bytesOf("PK\x03\x04.....")), SyntaxError, "a ZIP archive");
});

Deno.test("gzip that unpacks to more than 512 MiB is refused soon and in bounded memory", async () => {
  const header = Uint8Array.of(31, 139, 8, 0, 0, 0, 0, 0, 0, 0);
  const block = deflateRawSync(new Uint8Array(2 ** 20), { finishFlush: constants.Z_FULL_FLUSH });
  const zipped = await new Blob([header, ...Array(513).fill(block)]).bytes();
  await assertRejects(() => openJson([memoryFile(zipped)]), RangeError, "at most 536870912");
});

Deno.test("records are found whatever lies on the borders of what is read at once", async () => {
  const text = '"\\ ,[{é}]\n';
  const records = Array.from(
    { length: 25 },
    (_, i) => ({ a: text.repeat(7000 + 13 * i), b: `${i}` }),
  );
  const json = records.map((record) => JSON.stringify(record));
  const csv = records.map(({ a, b }) => `"${a.replaceAll('"', '""')}",${b}`);
  const open = (file: string) => openJson([memoryFile(bytesOf(file))]);
  assertEquals(await all(await open(`[${json.join()}]`)), records);
  assertEquals(await all(await open(`{"data": [${json.join()}]}`)), records);
  assertEquals(await all(await open(json.join("\n"))), records);
  assertEquals(await all(await openText(`a,b\n${csv.join("\n")}`)), records);
});

Deno.test("a small file of very many records is refused in bounded memory", async () => {
  const before = Deno.memoryUsage().rss;
  const many = memoryFile(bytesOf("7\n".repeat(2 ** 23 + 1)));
  await assertRejects(() => openCsv([many]), RangeError, "at most 8388608 in a file");
  const lists = bytesOf(`{${'"a":[],'.repeat(2 ** 17)}"b":[{"a":1}]}`);
  assertEquals((await openJson([memoryFile(lists)])).rows, 1);
  assert(Deno.memoryUsage().rss - before < 1e9);
});

Deno.test("a JSON list is read item by item, alone or in an object", async () => {
  const open = (text: string) => openJson([memoryFile(bytesOf(text))]);
  const items = ['{"a": "[,]", "b": {"c": [1, 2]}}', '{"a": "\\"}"}'];
  const right = [{ a: "[,]", b: { c: [1, 2] } }, { a: '"}' }];
  const list = `[${items.join(" ,\n")}\n]\n`;
  assertEquals(await all(await open(list)), right);
  assertEquals(await all(await open(`{"version": "1, [2]", "data": ${list}, "ids": [1]}`)), right);
  assertEquals(await all(await open(items.join("\n"))), right);
  assertEquals(await all(await open(`{\n"a": 1,\n"messages": [{"b": 2}]}\n`)), [
    { a: 1, messages: [{ b: 2 }] },
  ]);
  assertEquals((await open("[]")).rows, 0);
  // Objects over several lines, or several on one, as datasets reads them too.
  const pretty = right.map((record) => JSON.stringify(record, null, 1));
  assertEquals(await all(await open(pretty.join("\n"))), right);
  assertEquals(await all(await open(items.join(""))), right);
  assertEquals(await all(await open(items.join("\r"))), right);
  // As pandas writes by default, and with orient="split".
  const columns = [
    '{"image":{"0":"a.png"},"answer":{"0":"a"}}',
    '{"columns":["a"],"data":[["b"]]}',
  ];
  for (const text of columns) {
    await assertRejects(() => open(text), SyntaxError, "written by columns");
    await assertRejects(
      () => openJson([{ ...memoryFile(bytesOf(text)), name: "a.jsonl" }]),
      SyntaxError,
    );
  }
  assertEquals((await open('{"answers": {"0": "a"}}\n{"answers": {"0": "b"}}')).rows, 2);
  const twice = `{"images": [1], "train": ${list}, "test": ${list}}`;
  await assertRejects(() => open(twice), SyntaxError, '"train, test"');
  for (const cut of [list.slice(0, -2), list.slice(0, 20), list + "[]", "[["]) {
    await assertRejects(() => open(cut), SyntaxError, "a list without an end");
  }
  const bad = await open(`[\n{"a": 1},\n7, {"a": }, {"a": 2}]`);
  assertEquals(bad.rows, 4);
  await assertRejects(() => bad.record(1), SyntaxError, 'entry 2 on line 3 of "in memory"');
  await assertRejects(() => bad.record(2), SyntaxError, "entry 3");
  assertEquals(await bad.record(3), { a: 2 });
});

Deno.test("what Python's json writes for numbers that are none is missing", async () => {
  const text = '{"a": NaN, "b": [-Infinity, "NaN, \\"Infinity"], "c": 1}';
  assertEquals(await all(await openJson([memoryFile(bytesOf(text))])), [
    { a: null, b: [null, 'NaN, "Infinity'], c: 1 },
  ]);
  const numbers = '{"a": 12345678901234567890, "b": 1e30, "c": 0.12345678901234567}';
  assertEquals(await all(await openJson([memoryFile(bytesOf(numbers))])), [
    { a: 12345678901234567890n, b: 1e30, c: 0.12345678901234567 },
  ]);
});
