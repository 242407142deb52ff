/**
 * One measurement of loading, in a process of its own: prints a line of JSON. Started by main.ts
 * with a `Load` as its argument.
 */
import process from "node:process";
import { Loader } from "../../../data/loader.ts";

/** What to measure. */
export interface Load {
  readonly dataset: string;
  readonly tokenizer: string;
  readonly pictures: { readonly vit_img_size: number };
  readonly batchSize: number;
  readonly workers: number;
  readonly bufferBytes: number;
  readonly cacheBytes: number;
  /** Loaded before the clock starts. */
  readonly warmUp: number;
  /** Loaded while it runs. */
  readonly samples: number;
  /** Samples, of all that are loaded, after which to look at the memory. */
  readonly looks: readonly number[];
}

/** What came out. */
export interface Loaded {
  readonly samples: number;
  readonly seconds: number;
  /** Of all threads, while the clock ran. */
  readonly cpuSeconds: number;
  /** Resident memory of the process, at each look. */
  readonly residentBytes: readonly number[];
  /** Batches that were looked at: their real tokens a sample. */
  readonly tokensPerSample: number;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function measure(load: Load): Promise<Loaded> {
  const loader = await Loader.open({
    ...load,
    split: "train",
    questionsPerRow: "first",
    maxLength: 79,
    seed: 1,
  });
  const residentBytes: number[] = [];
  let [loaded, tokens] = [0, 0];
  const take = async (count: number) => {
    for (const end = loaded + count; loaded < end; loaded += load.batchSize) {
      tokens += (await loader.next()).realTokens;
      const due = load.looks[residentBytes.length] ?? Infinity;
      if (loaded + load.batchSize >= due) residentBytes.push(Deno.memoryUsage().rss);
    }
  };
  await take(load.warmUp);
  const [start, cpuStart, first] = [performance.now(), cpuSeconds(), loaded];
  await take(load.samples);
  const seconds = (performance.now() - start) / 1000;
  const result = { seconds, cpuSeconds: cpuSeconds() - cpuStart, samples: loaded - first };
  loader.close();
  return { ...result, residentBytes, tokensPerSample: tokens / loaded };
}

if (import.meta.main) console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0] ?? ""))));
