/** Tests of the loader's threads: that none is waited for in vain. */
import { assertEquals, assertRejects } from "@std/assert";
import { type BatchOptions, openWorkers } from "../../data/loader_source.ts";

const OPTIONS: BatchOptions = {
  dataset: "shapes",
  split: "train",
  rows: 100,
  questionsPerRow: "first",
  tokenizer: "bytes",
  maxLength: 48,
  pictures: { vit_img_size: 8 },
  batchSize: 10,
};
const THREADS = { builders: 2, ahead: 4 };

const product = (name: string) => new URL(`../../data/${name}_worker.ts`, import.meta.url);
const SCRIPTS = { reader: product("reader"), builder: product("builder") };
const script = (code: string) => new URL(`data:application/javascript,${encodeURIComponent(code)}`);

const DIES = 'throw new Error("out of luck");';
const READER_THAT_DIES_READING = script(`onmessage = ({ data }) => {
  for (const port of data.ports) port.onmessage = () => { ${DIES} };
  postMessage({ answer: { samples: 100, rows: 100 } });
};`);
const BUILDER_THAT_DIES_BUILDING = script(`onmessage = ({ data }) => {
  if ("position" in data) ${DIES}
  postMessage({ answer: undefined });
};`);

const build = (source: Awaited<ReturnType<typeof openWorkers>>, batch: number) =>
  source.build(batch, { seed: 1, epoch: 0, batch });

for (const role of ["reader", "builder"] as const) {
  Deno.test(`openWorkers() fails when a ${role} dies before it is ready`, async () => {
    const scripts = { ...SCRIPTS, [role]: script(`onmessage = () => { ${DIES} };`) };
    await assertRejects(() => openWorkers(OPTIONS, THREADS, scripts), Error, "out of luck");
  });
}

for (
  const [role, dying] of [
    ["reader", READER_THAT_DIES_READING],
    ["builder", BUILDER_THAT_DIES_BUILDING],
  ] as const
) {
  Deno.test(`a ${role} that dies ends all batches under way and to come`, async () => {
    const source = await openWorkers(OPTIONS, THREADS, { ...SCRIPTS, [role]: dying });
    try {
      const under = [0, 1, 2, 3].map((batch) => build(source, batch));
      for (const result of await Promise.allSettled(under)) assertEquals(result.status, "rejected");
      await assertRejects(() => build(source, 4), Error, "broken worker (Uncaught Error: out of");
    } finally {
      source.close();
    }
  });
}

Deno.test("closing ends what waits for a busy worker", async () => {
  const busy = script(`onmessage = ({ data }) => {
    if ("position" in data) for (;;);
    postMessage({ answer: undefined });
  };`);
  const source = await openWorkers(OPTIONS, THREADS, { ...SCRIPTS, builder: busy });
  const under = build(source, 0);
  source.close();
  await assertRejects(() => under, Error, "closed loader");
});

for (const role of ["reader", "builder"] as const) {
  Deno.test(`nothing is left of a ${role} when the loader closes, or cannot open`, async () => {
    const file = await Deno.makeTempFile();
    const size = async () => (await Deno.stat(file)).size;
    const pause = (milliseconds: number) =>
      new Promise((resolve) => setTimeout(resolve, milliseconds));
    const alive = `setInterval(() => {
      Deno.writeTextFileSync(${JSON.stringify(file)}, "x", { append: true });
    }, 2);
    onmessage = () => postMessage({ answer: { samples: 100, rows: 100 } });`;
    try {
      const scripts = { ...SCRIPTS, [role]: script(alive) };
      const source = await openWorkers(OPTIONS, THREADS, scripts);
      while (await size() === 0) await pause(2);
      source.close();
      const wrong = {
        ...OPTIONS,
        ...(role === "reader" ? { pictures: { vit_img_size: 0 } } : { dataset: "/no" }),
      };
      await assertRejects(() => openWorkers(wrong, THREADS, scripts));
      await pause(50);
      const before = await size();
      await pause(100);
      assertEquals(await size(), before);
    } finally {
      await Deno.remove(file);
    }
  });
}
