// Tests of model/safetensors.ts and its header reader: a file of PyTorch's nanoVLM, made-up good files, and damaged ones.
import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { CheckpointError, openSafetensors, writeSafetensors } from "../../model/safetensors.ts";

const GOLDEN = new URL("../golden/v01_a/model.safetensors", import.meta.url).pathname;

async function inFolder(use: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A file of `header`, as it stands or as JSON, and `data`. */
function bytesOf(header: unknown, data: ArrayLike<number> = []): Uint8Array {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const entry = (dtype: string, shape: unknown, start: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [start, end],
});

Deno.test("writeSafetensors() copies a file of Python's save_model byte for byte", async () => {
  await inFolder(async (dir) => {
    using file = openSafetensors(GOLDEN);
    const tensors = [...file.tensors].reverse().map(([name, { shape }]) => ({
      name,
      shape,
      data: () => file.readFloat32(name),
    }));
    await writeSafetensors(`${dir}/copy`, tensors, Object.fromEntries(file.metadata));
    assert(tensors.length > 40);
    assertEquals(Deno.readFileSync(`${dir}/copy`), Deno.readFileSync(GOLDEN));
    assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name), ["copy"]);
  });
});

Deno.test("read() gives every supported kind its exact values", async () => {
  await inFolder((dir) => {
    const data = new Uint8Array([
      ...new Uint8Array(new Float32Array([1.5, -0]).buffer),
      ...[0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc, 0xff, 0x7b], // F16: 1, 2^-24, -infinity, 65504
      ...[0x80, 0x3f, 0x49, 0xc0, 0x80, 0x7f], // BF16: 1, -3.140625, infinity
      ...new Uint8Array(new Int32Array([-7]).buffer),
      ...new Uint8Array(new BigInt64Array([-(2n ** 40n)]).buffer),
      ...[0, 255],
    ]);
    const header = {
      __metadata__: { format: "pt" },
      f32: entry("F32", [2, 1], 0, 8),
      f16: entry("F16", [4], 8, 16),
      bf16: entry("BF16", [3], 16, 22),
      i32: entry("I32", [], 22, 26),
      i64: entry("I64", [1], 26, 34),
      u8: entry("U8", [2], 34, 36),
      empty: entry("F32", [0, 5], 36, 36),
    };
    Deno.writeFileSync(`${dir}/kinds`, bytesOf(JSON.stringify(header) + "   ", data));
    using file = openSafetensors(`${dir}/kinds`);
    assertEquals([...file.metadata], [["format", "pt"]]);
    assertEquals(file.entry("f32"), { dtype: "F32", shape: [2, 1], offsets: [0, 8] });
    assertEquals(file.read("f32"), new Float32Array([1.5, -0]));
    assertEquals(file.read("f16"), new Float32Array([1, 2 ** -24, -Infinity, 65504]));
    assertEquals(file.read("bf16"), new Float32Array([1, -3.140625, Infinity]));
    assertEquals(file.read("i32"), new Int32Array([-7]));
    assertEquals(file.read("i64"), new BigInt64Array([-(2n ** 40n)]));
    assertEquals(file.read("u8"), new Uint8Array([0, 255]));
    assertEquals(file.read("empty"), new Float32Array(0));
    assertThrows(() => file.readFloat32("i32"), CheckpointError, "is I32");
    assertThrows(
      () => file.readFloat32("f16"),
      CheckpointError,
      '"f16" has -Infinity at element 2',
    );
    assertThrows(
      () => file.readFloat32("bf16"),
      CheckpointError,
      '"bf16" has Infinity at element 2',
    );
    assertThrows(() => file.read("other"), CheckpointError, 'no tensor "other"');
  });
});

const good = entry("F32", [1], 0, 4);
const four = [0, 0, 0, 0];
const DAMAGED: Array<[string, Uint8Array, string]> = [
  ["an empty file", new Uint8Array(0), "has 0 bytes"],
  ["fewer than 8 bytes", new Uint8Array(7), "has 7 bytes"],
  ["a header longer than the file", bytesOf("{}").slice(0, 9), "claims 2 bytes"],
  ["a header of 2^64 - 1 bytes", new Uint8Array(100).fill(255), "claims 18446744073709551615"],
  ["no JSON", bytesOf("{"), "no JSON"],
  ["an empty header", bytesOf(""), "no JSON"],
  ["no UTF-8", bytesOf("{}").fill(0xff, 8), "no UTF-8"],
  ["a list for a header", bytesOf([]), "no object"],
  ["null for a header", bytesOf("null"), "no object"],
  [
    "the same name twice",
    bytesOf(`{"a":${JSON.stringify(good)},"\\u0061":${JSON.stringify(good)}}`, four),
    "twice",
  ],
  [
    "the same key of an entry twice",
    bytesOf(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, four),
    '"dtype" twice',
  ],
  ["metadata that is a list", bytesOf({ __metadata__: [] }), "__metadata__"],
  ["metadata that is no text", bytesOf({ __metadata__: { a: 1 } }), "__metadata__"],
  ["an entry that is a number", bytesOf({ a: 3 }), "the entry 3"],
  ["an unknown dtype", bytesOf({ a: entry("F99", [1], 0, 4) }, four), '"F99"'],
  ["a dtype of Object", bytesOf({ a: entry("toString", [1], 0, 4) }, four), '"toString"'],
  ["a negative side", bytesOf({ a: entry("F32", [-1], 0, 4) }, four), "shape [-1]"],
  ["two negative sides", bytesOf({ a: entry("F32", [-1, -1], 0, 4) }, four), "shape [-1,-1]"],
  ["a fractional side", bytesOf({ a: entry("F32", [0.5, 2], 0, 4) }, four), "shape [0.5,2]"],
  ["a text for a side", bytesOf({ a: entry("F32", ["1"], 0, 4) }, four), 'shape ["1"]'],
  ["a side of 2^60", bytesOf({ a: entry("F32", [2 ** 60], 0, 4) }, four), "shape"],
  ["a huge product", bytesOf({ a: entry("F32", Array(40).fill(2 ** 50), 0, 4) }, four), "4 bytes"],
  ["no shape", bytesOf({ a: { dtype: "F32", data_offsets: [0, 4] } }, four), "shape"],
  ["no offsets", bytesOf({ a: { dtype: "F32", shape: [1] } }, four), "data_offsets undefined"],
  ["offsets that go back", bytesOf({ a: entry("F32", [1], 4, 0) }, four), "data_offsets [4,0]"],
  ["negative offsets", bytesOf({ a: entry("F32", [1], -4, 0) }, four), "data_offsets"],
  ["a length that is not the shape's", bytesOf({ a: entry("F32", [2], 0, 4) }, four), "4 bytes"],
  ["offsets beyond the data", bytesOf({ a: entry("F32", [2], 0, 8) }, four), "4 bytes of data"],
  ["data that no tensor has", bytesOf({ a: good }, [...four, 1]), "5 bytes of data"],
  ["a hole", bytesOf({ a: entry("U8", [1], 0, 1), b: entry("U8", [1], 2, 3) }, [1, 2, 3]), "hole"],
  ["an overlap", bytesOf({ a: good, b: entry("F32", [1], 2, 6) }, [...four, 1, 2]), "overlaps"],
  ["two tensors at one place", bytesOf({ a: good, b: good }, four), "overlaps"],
];

for (const [what, bytes, message] of DAMAGED) {
  Deno.test(`openSafetensors() throws a CheckpointError with the path for ${what}`, async () => {
    await inFolder((dir) => {
      const path = `${dir}/damaged.safetensors`;
      Deno.writeFileSync(path, bytes);
      const error = assertThrows(() => openSafetensors(path), CheckpointError, message);
      assertStringIncludes(error.message, path);
    });
  });
}

Deno.test("openSafetensors() throws at every length of a file that was cut off", async () => {
  await inFolder((dir) => {
    const whole = bytesOf({ a: good, b: entry("F16", [3], 4, 10) }, new Uint8Array(10));
    for (let length = 0; length < whole.length; length++) {
      Deno.writeFileSync(`${dir}/cut`, whole.subarray(0, length));
      assertThrows(() => openSafetensors(`${dir}/cut`), CheckpointError);
    }
    Deno.writeFileSync(`${dir}/cut`, whole);
    openSafetensors(`${dir}/cut`).close();
  });
});

Deno.test("openSafetensors() refuses a header over 10 MB without reading it", async () => {
  await inFolder((dir) => {
    const path = `${dir}/huge`;
    using file = Deno.openSync(path, { create: true, write: true });
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, 100_000_001n, true);
    file.writeSync(length);
    file.truncateSync(200_000_000);
    const before = Deno.memoryUsage().rss;
    assertThrows(() => openSafetensors(path), CheckpointError, "claims 100000001 bytes");
    assertGreater(before + 50e6, Deno.memoryUsage().rss);
  });
});

Deno.test("read() throws when the file became shorter after it was opened", async () => {
  await inFolder((dir) => {
    Deno.writeFileSync(`${dir}/a`, bytesOf({ a: good }, four));
    using file = openSafetensors(`${dir}/a`);
    Deno.truncateSync(`${dir}/a`, 20);
    assertThrows(() => file.read("a"), CheckpointError, "ends before byte 66");
  });
});

Deno.test("openSafetensors() says what lies in place of a model, and takes metadata of null", async () => {
  await inFolder((dir) => {
    const path = `${dir}/model.safetensors`;
    Deno.writeTextFileSync(path, "version https://git-lfs.github.com/spec/v1\noid sha256:12\n");
    assertThrows(() => openSafetensors(path), CheckpointError, "a pointer to a file in Git LFS");
    Deno.writeTextFileSync(path, "<!DOCTYPE html><title>Not found</title>");
    assertThrows(() => openSafetensors(path), CheckpointError, "an HTML page");
    Deno.writeFileSync(path, bytesOf(`{"a":${"[".repeat(1000)}${"]".repeat(1000)}}`));
    const { message } = assertThrows(() => openSafetensors(path), CheckpointError, "the entry [[[");
    assert(message.length < 350 + path.length, message);
    const header = { __metadata__: null, a: entry("F32", [1], 0, 4) };
    Deno.writeFileSync(path, bytesOf(JSON.stringify(header), new Uint8Array(4)));
    using file = openSafetensors(path);
    assertEquals(file.metadata.size, 0);
  });
});

Deno.test("openSafetensors() throws NotFound for a missing file", () => {
  assertThrows(() => openSafetensors("/no/such/file"), Deno.errors.NotFound);
});

Deno.test("writeSafetensors() that fails leaves the old file and nothing else", async () => {
  await inFolder(async (dir) => {
    const path = `${dir}/model.safetensors`;
    Deno.writeTextFileSync(path, "old");
    const a = { name: "a", shape: [2], data: new Float32Array(2) };
    const broken = () => Promise.reject(new Error("device lost"));
    await assertRejects(
      () => writeSafetensors(path, [a, { name: "b", shape: [1], data: broken }]),
      Error,
      "device lost",
    );
    const error = await assertRejects(
      () => writeSafetensors(path, [a, { ...a, name: "b", shape: [3] }]),
      RangeError,
    );
    assertStringIncludes(error.message, '"b" has 2 elements, expected 3');
    assertInstanceOf(await assertRejects(() => writeSafetensors(path, [a, a])), TypeError);
    assertEquals(Deno.readTextFileSync(path), "old");
    assertEquals([...Deno.readDirSync(dir)].length, 1);
  });
});

Deno.test("writeSafetensors() writes views, promises and scalars, and reads them back", async () => {
  await inFolder(async (dir) => {
    const view = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    await writeSafetensors(`${dir}/a`, [
      { name: "view", shape: [2], data: view },
      { name: "scalar", shape: [], data: () => Promise.resolve(new Float32Array([3])) },
    ]);
    using file = openSafetensors(`${dir}/a`);
    assertEquals([...file.tensors.keys()], ["scalar", "view"]);
    assertEquals(file.read("view"), new Float32Array([1, 2]));
    assertEquals(file.read("scalar"), new Float32Array([3]));
    assertEquals(file.metadata.size, 0);
  });
});
