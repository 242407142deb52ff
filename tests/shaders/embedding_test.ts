// embedding() and scatterRows() against the float64 references.
import { assert, assertEquals } from "@std/assert";
import { embedding, NO_ROW } from "../../shaders/embedding.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { scatterRows } from "../../shaders/scatter_rows.ts";
import { assertClose, matmulBound, seededRandom } from "../gradcheck.ts";
import {
  embedding as reference,
  embeddingBackward,
  scatterRows as referenceScatter,
} from "../reference/embedding.ts";
import { runOp, testOnGpu } from "./harness.ts";

async function check(
  device: Device,
  { ids, V, C, existing = 0 }: { ids: Int32Array; V: number; C: number; existing?: number },
): Promise<void> {
  const random = seededRandom(ids.length);
  const table = random.normal(V * C);
  const dy = random.normal(ids.length * C);
  const { y, gradients } = await runOp(
    device,
    {
      ids: { shape: [ids.length], data: Array.from(ids, (id) => id >>> 0), dtype: "u32" },
      table: { shape: [V, C], data: table, parameter: true },
    },
    (rec, { ids, table }) => embedding(rec, ids, table),
    { dy, existing },
  );
  assertEquals(y, Float32Array.from(reference({ table }, { ids, C })));
  const exact = embeddingBackward({ table }, dy, { ids, C }).dtable;
  const terms = embeddingBackward({ table }, dy.map(Math.abs), { ids, C }).dtable;
  const occurrences = new Map<number, number>();
  for (const id of ids) occurrences.set(id, (occurrences.get(id) ?? 0) + 1);
  const K = Math.max(...occurrences.values()) + 1;
  assertClose(gradients.table!, exact.map((g) => g + existing), {
    tolerance: matmulBound(K, terms.map((t) => t + existing)),
    name: "dtable",
  });
}

testOnGpu(
  "embedding() looks rows up and adds up the gradients of equal ids",
  async (device) => {
    const ids = seededRandom(5).integers(75, 11).map((id, r) => r % 7 === 3 ? -1 : id);
    await check(device, { ids, V: 13, C: 5 });
    await check(device, { ids: Int32Array.of(0), V: 1, C: 1 });
  },
);
testOnGpu(
  "embedding() adds to the table's gradient",
  (device) => check(device, { ids: Int32Array.of(2, 2, -1, 0), V: 3, C: 70, existing: 0.5 }),
);
testOnGpu(
  "embedding() matches float64 at SmolLM2's width",
  (device) => check(device, { ids: seededRandom(6).integers(300, 200), V: 400, C: 576 }),
);
testOnGpu(
  "embedding() adds across chunks of rows",
  (device) => check(device, { ids: seededRandom(7).integers(5000, 40), V: 40, C: 3 }),
);
testOnGpu(
  "embedding() adds more equal ids than one loop may take",
  (device) => check(device, { ids: new Int32Array(70_000).fill(1), V: 2, C: 1 }),
);
testOnGpu("embedding() gives NaN for an id beyond the table", async (device) => {
  const { y } = await runOp(
    device,
    {
      ids: { shape: [2], data: [3, 2], dtype: "u32" },
      table: { shape: [3, 2], data: [1, 2, 3, 4, 5, 6], parameter: true },
    },
    (rec, { ids, table }) => embedding(rec, ids, table),
  );
  assert(Number.isNaN(y[0]) && Number.isNaN(y[1]));
  assertEquals([...y.subarray(2)], [5, 6]);
});

async function checkScatter(device: Device, C: number, existing?: number): Promise<void> {
  const random = seededRandom(C);
  const table = random.uniform(4 * C);
  const image = random.uniform(3 * C);
  const dy = random.uniform(5 * C);
  const ids = Int32Array.of(2, -1, -1, 2, 0);
  const { y, gradients } = await runOp(
    device,
    {
      ids: { shape: [5], data: Array.from(ids, (id) => id >>> 0), dtype: "u32" },
      table: { shape: [4, C], data: table, parameter: true },
      image: { shape: [3, C], data: image },
      rows: { shape: [3], data: [2, NO_ROW, 1], dtype: "u32" },
    },
    (rec, { ids, table, image, rows }) => scatterRows(rec, embedding(rec, ids, table), image, rows),
    existing === undefined ? { dy } : { dy, existing },
  );
  const before = existing ?? 0;
  const base = reference({ table }, { ids, C });
  const kept = Float64Array.from([...image.subarray(0, C), ...image.subarray(2 * C)]);
  const expected = referenceScatter({ base, image: kept }, { rows: Int32Array.of(2, 1), C });
  assertEquals(y, Float32Array.from(expected));
  const row = (r: number) => [...dy.subarray(r * C, (r + 1) * C)];
  const dimage = [...row(2), ...new Array<number>(C).fill(0), ...row(1)];
  assertEquals(gradients.image!, Float32Array.from(dimage, (d) => d + before));
  const dtable = embeddingBackward({ table }, dy, { ids, C }).dtable;
  const tolerance = matmulBound(3, dtable.map((d) => Math.abs(d) + 2 + before));
  assertClose(gradients.table!, dtable.map((d) => d + before), { tolerance, name: "dtable" });
}

testOnGpu(
  "scatterRows() fills the rows that embedding() leaves, and takes their gradient",
  async (device) => {
    await checkScatter(device, 7);
    await checkScatter(device, 1);
    await checkScatter(device, 576);
  },
);
testOnGpu(
  "scatterRows() adds to a gradient that is there already",
  (device) => checkScatter(device, 3, 0.5),
);
