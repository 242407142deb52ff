// 200 training steps on easy-VQA against PyTorch's nanoVLM: pictures, prompts, batches, steps, all from the same files.
import { assert, assertEquals } from "@std/assert";
import { sharedPath } from "./data/helpers.ts";
import { hasAdapter } from "./run_helpers.ts";
import { largestDifference, trainOnEasyVqa } from "./verify/easy_vqa_run.ts";

const DATA = sharedPath("data/easy-vqa/train-00000-of-00001.parquet");
/** Of the loss, as the project promises; roundings alone make 1e-6 of it by then. */
const LARGEST_DIFFERENCE = 0.01;

Deno.test({
  name: "200 steps of v01_a on easy-VQA follow PyTorch's losses within 1 %",
  ignore: !hasAdapter || DATA === undefined,
  fn: async () => {
    const curves = await trainOnEasyVqa(DATA ?? "");
    assertEquals(curves.ours.length, curves.pytorch.length);
    const difference = largestDifference(curves);
    assert(difference < LARGEST_DIFFERENCE, `the largest difference is ${100 * difference} %`);
    console.log(`largest difference from PyTorch: ${(100 * difference).toFixed(4)} %`);
  },
});
