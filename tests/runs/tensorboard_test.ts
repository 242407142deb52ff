// Tests of runs/tensorboard.ts: checksums, bytes as TensorBoard's own writer makes them, and files over a resumed run.
import { assertEquals } from "@std/assert";
import {
  crc32c,
  EventFile,
  restartEvent,
  scalarsEvent,
  versionEvent,
} from "../../runs/tensorboard.ts";

/**
 * Three records by the RecordWriter of TensorBoard 2.21: the version at 1700000000.25, the start of a session at step 41,
 * and two scalars after step 300.
 */
const FIXTURE = [
  "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9",
  "0f000000000000006d532b090900006040fc54d94110293a020801b43fc31c",
  "3d000000000000006049f1ec090000a040fc54d94110ac022a2f0a110a0a747261696e2f6c6f7373150000403f" +
  "0a1a0a1376616c69646174696f6e2f616363757261637915000000009c0c3e7a",
];

Deno.test("crc32c() gives the checksums of RFC 3720", () => {
  const range = Uint8Array.from({ length: 32 }, (_, i) => i);
  assertEquals(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assertEquals(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assertEquals(crc32c(range), 0x46dd794e);
  assertEquals(crc32c(range.toReversed()), 0x113fdb5c);
  assertEquals(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
});

Deno.test("events have the bytes that TensorBoard's own writer gives them", () => {
  assertEquals(versionEvent(1700000000.25).toHex(), FIXTURE[0]);
  assertEquals(restartEvent(1700000001.5, 41).toHex(), FIXTURE[1]);
  const scalars = { "train/loss": 0.75, "validation/accuracy": 0 };
  assertEquals(scalarsEvent(1700000002.5, 300, scalars).toHex(), FIXTURE[2]);
});

/** The contents of a file's records. */
function recordsOf(path: string): Uint8Array[] {
  const bytes = Deno.readFileSync(path);
  const records: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(new DataView(bytes.buffer).getBigUint64(at, true));
    records.push(bytes.subarray(at, at + 16 + length));
    at += 16 + length;
  }
  return records;
}

Deno.test("a resumed run's file comes behind the others though the clock was set back", async () => {
  const folder = await Deno.makeTempDir();
  const later = `${(Date.now() / 1000 + 3600).toFixed(3)}`;
  await Deno.writeTextFile(`${folder}/events.out.tfevents.${later}.nanovlm`, "");
  EventFile.open(folder, 40).close();
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  assertEquals(names.length, 2);
  assertEquals(names[0], `events.out.tfevents.${later}.nanovlm`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a resumed run has a file of its own, which takes back later steps; a new run none but its own", async () => {
  const folder = await Deno.makeTempDir();
  const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  await Deno.writeTextFile(`${folder}/events.out.tfevents.1.elsewhere`, "");
  const first = EventFile.open(folder);
  first.write(1700000000, 1, { "train/loss": 2 });
  first.close();
  await new Promise((resolve) => setTimeout(resolve, 5));
  EventFile.open(folder, 40).close();
  const [foreign, ...own] = names();
  assertEquals([foreign, own.length], ["events.out.tfevents.1.elsewhere", 2]);
  const [before, after] = own.map((name) => recordsOf(`${folder}/${name}`));
  assertEquals(before!.length, 2);
  assertEquals(before![1]!.toHex(), scalarsEvent(1700000000, 1, { "train/loss": 2 }).toHex());
  // The step, 41, and the session's start.
  assertEquals(after![1]!.subarray(21, -4).toHex(), "10293a020801");
  EventFile.open(folder).close();
  assertEquals(names().length, 2);
  assertEquals(names().includes(own[0]!), false);
  await Deno.remove(folder, { recursive: true });
});
